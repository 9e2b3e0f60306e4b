"""Random models of 20 to 30 million parameters with the real architectures, tokenizer class and image processor."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tests.helpers.processors import without_videos
from tests.helpers.tiny_checkpoints import PROCESSOR_CLASSES, tiny_config, trained_tokenizer
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model

ARCHITECTURES = ("qwen2_5_vl", "qwen3_vl")
WIDTH, NUM_LAYERS, NUM_HEADS = 384, 6, 6
VISION_WIDTH, VISION_LAYERS = 256, 6
PATCH, MERGE = 14, 2
TOKEN_SIDE = PATCH * MERGE  # pixels of the square that makes one token
PICTURE_SIDE = 16 * TOKEN_SIDE  # pixels of a picture of 256 tokens


def random_model(folder: Path, architecture: str, *, template: str = "gmr") -> RerankModel:
    """A model with random weights, saved in ``folder / "saved"`` as any reranker is and loaded from there.

    Args:
        folder: a folder that is there or not.
        architecture: of ``ARCHITECTURES``.
        template: name of its prompt template.
    """
    plain = folder / "plain"
    tokenizer = trained_tokenizer()
    config = tiny_config(architecture, tokenizer).to_dict()
    head_dim = WIDTH // NUM_HEADS
    text: dict[str, Any] = config["text_config"]
    text |= {
        "hidden_size": WIDTH,
        "intermediate_size": 3 * WIDTH,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": NUM_HEADS,
        "num_key_value_heads": 2,
        "initializer_range": 0.05,
        "head_dim": head_dim,
        "layer_types": ["full_attention"] * NUM_LAYERS,
        "max_window_layers": NUM_LAYERS,
    }
    half = head_dim // 2
    text["rope_parameters"]["mrope_section"] = [half - 2 * (half // 3), half // 3, half // 3]
    vision: dict[str, Any] = config["vision_config"]
    vision |= {
        "depth": VISION_LAYERS,
        "hidden_size": VISION_WIDTH,
        "intermediate_size": 3 * VISION_WIDTH,
        "out_hidden_size": WIDTH,
        "num_heads": 4,
        "patch_size": PATCH,
        "initializer_range": 0.05,
    }
    if architecture == "qwen2_5_vl":
        vision |= {"window_size": 8 * PATCH, "fullatt_block_indexes": [2, 5]}
    else:
        vision |= {"num_position_embeddings": 1024, "deepstack_visual_indexes": [1, 3]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForImageTextToText.from_config(AutoConfig.for_model(**config)).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    processor = Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=2,
        size={"shortest_edge": PICTURE_SIDE**2 // 4, "longest_edge": 1280 * TOKEN_SIDE**2},
    )
    processor.save_pretrained(plain)
    path = plain / "preprocessor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {
        "processor_class": PROCESSOR_CLASSES[architecture]
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    model = load_model(plain, device="cpu", template=template)
    save_model(model, folder / "saved")
    return load_model(folder / "saved", device="cpu")


def random_models(architectures: Sequence[str]) -> Iterator[tuple[str, RerankModel]]:
    """A random model of each architecture by name, its files gone when the next one is asked for."""
    for architecture in architectures:
        with tempfile.TemporaryDirectory() as temporary, without_videos():
            yield architecture, random_model(Path(temporary), architecture)
