"""Random tiny checkpoints of every supported architecture, with a byte-level BPE tokenizer trained on the
spot.

The architecture, tensor names, tokenizer class, special tokens and processor settings are the real ones; only
the sizes and the weights are not. Everything is a function of ``(architecture, seed)``.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.helpers.folders import shared_folder

ARCHITECTURES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3")
VISION_ARCHITECTURES = ARCHITECTURES[:3]
# Layers that packed sequences cannot compute: sliding windows among full attention, and linear attention.
OTHER_ARCHITECTURES = ("qwen3_sliding", "qwen2_5_vl_sliding", "qwen3_5")
WIDTH = 32
PATCH, MERGE = 4, 2

SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
PLAIN_ADDED_TOKENS = [
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
]
TRAINING_TEXTS = (
    "yes no Yes No true false True False relevant irrelevant maybe",
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no".',
    "<Instruct>: Given a search query, retrieve relevant candidates that answer the query.",
    "<Query>: black chess queen <Document>: a picture of a red apple on the table",
    "Assert the relevance of the previous image document to the following query, answer True or False.",
    "system user assistant query document text image",
)
PROCESSOR_CLASSES = {
    "qwen2_vl": "Qwen2VLProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen2_5_vl_sliding": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
    "qwen3_5": "Qwen3VLProcessor",
}
SLIDING_WINDOW = 8


def train_tokenizer() -> Qwen2Tokenizer:
    """A Qwen2 tokenizer with the real special tokens and few merges; ``yes``, ``no``, ... are one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=1,
        show_progress=False,
    )
    texts = [*TRAINING_TEXTS, *["yes", "no", "Yes", "No", "True", "False"] * 50]
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    trained = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(merge) for merge in model["merges"]],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        extra_special_tokens=SPECIAL_TOKENS,
    )
    trained.add_tokens(PLAIN_ADDED_TOKENS)
    return trained


def tiny_config(architecture: str, tokenizer: Qwen2Tokenizer, *, tie: bool = False) -> Any:
    """Configuration of three layers and 32 channels of ``architecture``."""
    sliding = architecture.endswith("_sliding")
    architecture = architecture.removesuffix("_sliding")
    token_id = tokenizer.convert_tokens_to_ids
    heads = 4
    head_dim = WIDTH // heads * 2 if architecture.startswith("qwen3") else WIDTH // heads
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer) + 3,
        "hidden_size": WIDTH,
        "intermediate_size": 3 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": token_id("<|im_end|>"),
        "pad_token_id": token_id("<|endoftext|>"),
        "tie_word_embeddings": tie,
    }
    if architecture.startswith("qwen3"):
        text["head_dim"] = head_dim
    if sliding:
        text |= {"use_sliding_window": True, "sliding_window": SLIDING_WINDOW, "max_window_layers": 1}
    if architecture == "qwen3_5":
        text |= {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
        text |= {f"linear_{side}_head_dim": 8 for side in ("key", "value")}
        text |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
    if architecture == "qwen3":
        return AutoConfig.for_model(
            "qwen3", rope_parameters={"rope_type": "default", "rope_theta": 1e4}, **text
        )
    half = head_dim // 2
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": [half - 2 * (half // 3), half // 3, half // 3],
    }
    if architecture == "qwen3_vl":
        text["rope_parameters"]["mrope_interleaved"] = True
    if architecture == "qwen3_5":
        text["rope_parameters"] |= {"mrope_interleaved": True, "partial_rotary_factor": 1.0}
    vision: dict[str, Any] = {
        "depth": 3,
        "num_heads": 2,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "in_channels": 3,
        "initializer_range": 0.2,
    }
    if architecture == "qwen2_vl":
        vision |= {"embed_dim": 16, "hidden_size": WIDTH, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 16, "intermediate_size": 32, "out_hidden_size": WIDTH}
    if architecture == "qwen2_5_vl":
        vision |= {"window_size": PATCH * MERGE * 2, "fullatt_block_indexes": [1]}
    if architecture == "qwen3_5":
        vision |= {"num_position_embeddings": 64}
    if architecture == "qwen3_vl":
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    return AutoConfig.for_model(
        architecture,
        text_config=text,
        vision_config=vision,
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=tie,
    )


def tiny_backbone(architecture: str, *, seed: int = 0, tie: bool = False) -> PreTrainedModel:
    """Random backbone of ``architecture`` in float32, evaluation mode."""
    config = tiny_config(architecture, trained_tokenizer(), tie=tie)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        factory = AutoModelForCausalLM if config.model_type == "qwen3" else AutoModelForImageTextToText
        backbone: PreTrainedModel = factory.from_config(config).eval()
        for name, parameter in backbone.named_parameters():
            # Fresh norms are ones and fresh biases zeros: a loader that dropped them would go unnoticed.
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
            elif "embed_tokens" in name:
                parameter.data *= 2
    return backbone


def build_tiny_checkpoint(folder: Path, architecture: str, *, seed: int = 0, tie: bool = False) -> Path:
    """Write a tiny plain checkpoint of ``architecture`` with tokenizer and processor files to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_backbone(architecture, seed=seed, tie=tie).save_pretrained(folder)
    trained_tokenizer().save_pretrained(folder)
    if architecture in PROCESSOR_CLASSES:
        image_processor = Qwen2VLImageProcessorPil(
            patch_size=PATCH,
            merge_size=MERGE,
            temporal_patch_size=2,
            size={"shortest_edge": (PATCH * MERGE) ** 2, "longest_edge": 16 * (PATCH * MERGE) ** 2},
        )
        image_processor.save_pretrained(folder)
        path = folder / "preprocessor_config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        settings["processor_class"] = PROCESSOR_CLASSES[architecture]
        path.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return folder


@cache
def trained_tokenizer() -> Qwen2Tokenizer:
    """The tokenizer of all tiny checkpoints, trained once per process."""
    return train_tokenizer()


@cache
def tiny_checkpoint(architecture: str, *, seed: int = 0, tie: bool = False) -> Path:
    """Folder of a tiny checkpoint, built once per process and read only."""
    return build_tiny_checkpoint(shared_folder(f"tiny-{architecture}-"), architecture, seed=seed, tie=tie)
