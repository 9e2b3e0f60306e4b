"""Random models of real size, built on the device itself."""

from typing import Any

import torch
from tests.helpers.tiny_checkpoints import tiny_config, trained_tokenizer
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from benchmarks.device.timing import Device
from gmr.modeling.images import PixelCache
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import TEMPLATES

# The published sizes; the section that is "" holds what is outside of both.
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "qwen2.5-vl-3b": {
        "": {"model_type": "qwen2_5_vl", "tie_word_embeddings": True, "mrope_section": [16, 24, 24]},
        "text": {"hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
                 "intermediate_size": 11_008, "vocab_size": 151_936, "head_dim": 128},
        "vision": {"hidden_size": 1280, "depth": 32, "num_heads": 16, "intermediate_size": 3420, "patch_size": 14,
                   "out_hidden_size": 2048, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]},
    },
    "qwen2.5-vl-7b": {
        "": {"model_type": "qwen2_5_vl", "tie_word_embeddings": False, "mrope_section": [16, 24, 24]},
        "text": {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
                 "intermediate_size": 18_944, "vocab_size": 152_064, "head_dim": 128},
        "vision": {"hidden_size": 1280, "depth": 32, "num_heads": 16, "intermediate_size": 3420, "patch_size": 14,
                   "out_hidden_size": 3584, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]},
    },
    "qwen3-vl-2b": {
        "": {"model_type": "qwen3_vl", "tie_word_embeddings": True, "mrope_section": [24, 20, 20]},
        "text": {"hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
                 "intermediate_size": 6144, "vocab_size": 151_936, "head_dim": 128},
        "vision": {"hidden_size": 1024, "depth": 24, "num_heads": 16, "intermediate_size": 4096, "patch_size": 16,
                   "out_hidden_size": 2048, "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17]},
    },
    "qwen3-vl-8b": {
        "": {"model_type": "qwen3_vl", "tie_word_embeddings": False, "mrope_section": [24, 20, 20]},
        "text": {"hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
                 "intermediate_size": 12_288, "vocab_size": 151_936, "head_dim": 128},
        "vision": {"hidden_size": 1152, "depth": 27, "num_heads": 16, "intermediate_size": 4304, "patch_size": 16,
                   "out_hidden_size": 4096, "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24]},
    },
    "toy": {
        "": {"model_type": "qwen2_5_vl", "tie_word_embeddings": True, "mrope_section": [2, 3, 3]},
        "text": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "intermediate_size": 128, "vocab_size": 1024, "head_dim": 16, "initializer_range": 0.2},
        "vision": {"hidden_size": 32, "depth": 2, "num_heads": 2, "intermediate_size": 64, "patch_size": 14,
                   "out_hidden_size": 64, "window_size": 112, "fullatt_block_indexes": [1]},
    },
}  # fmt: skip
MOST_TOKENS = 1280  # of one picture
# Pixel values are made once: decoding and resizing are no work of the device.
KEPT_PIXELS = 2**36


def sized_config(name: str, **changes: int) -> Any:
    """The configuration of ``SIZES[name]``; ``num_hidden_layers`` may be another."""
    sizes = SIZES[name]
    config = tiny_config(sizes[""]["model_type"], trained_tokenizer()).to_dict()
    text, vision = config["text_config"], config["vision_config"]
    text |= {"max_position_embeddings": 32_768, "initializer_range": 0.02, **sizes["text"], **changes}
    text["layer_types"] = ["full_attention"] * text["num_hidden_layers"]
    text["max_window_layers"] = text["num_hidden_layers"]
    text["rope_parameters"] |= {"rope_theta": 1e6, "mrope_section": sizes[""]["mrope_section"]}
    vision |= {"initializer_range": 0.02, **sizes["vision"]}
    text["tie_word_embeddings"] = config["tie_word_embeddings"] = sizes[""]["tie_word_embeddings"]
    return AutoConfig.for_model(**config)


def random_backbone(name: str, device: Device, *, dtype: torch.dtype | None = None, **changes: int) -> Any:
    """A model of ``SIZES[name]``, initialised on the device; the same weights in every call.

    Args:
        name: which.
        device: where.
        dtype: of the weights; None for the device's own.
        changes: as for `sized_config`.
    """
    # A configuration of its own: whoever switches a model's attention writes it there.
    config = sized_config(name, **changes)
    torch.manual_seed(0)
    with torch.device(device.name):
        backbone = AutoModelForImageTextToText.from_config(config, dtype=dtype or device.dtype)
    return backbone.to(device.name).eval()


def as_reranker(backbone: Any, *, template: str) -> RerankModel:
    """The backbone with a processor that keeps pixel values."""
    vision = backbone.config.vision_config
    square = (vision.patch_size * vision.spatial_merge_size) ** 2
    images = Qwen2VLImageProcessorPil(
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        size={"shortest_edge": 4 * square, "longest_edge": MOST_TOKENS * square},
    )
    processor = PromptProcessor(trained_tokenizer(), images, TEMPLATES[template])
    model = RerankModel(backbone, processor).eval()
    keep_pixels(model, kept=True)
    return model


def keep_pixels(model: RerankModel, *, kept: bool) -> None:
    """Whether pictures are preprocessed once, or in every call."""
    limits = {"max_bytes": KEPT_PIXELS, "max_picture_bytes": KEPT_PIXELS} if kept else {}
    model.processor._pixels = PixelCache(**limits)
