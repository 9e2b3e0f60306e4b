"""The embedded small model: a Qwen2.5-VL of under two million parameters with a tokenizer of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import TEMPLATES

CONTROL_TOKENS = (
    "<|endoftext|>",
    "<|query|>",
    "<|document|>",
    "<|answer|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


@dataclass(frozen=True)
class NanoConfig:
    """Sizes of the small model. Widths in channels, pictures in pixels.

    Attributes:
        vocab_size: tokens of the byte-level BPE, control tokens included.
        width: channels of the language model and of the vision tower.
        num_layers: layers of the language model.
        num_vision_layers: layers of the vision tower.
        num_heads: attention heads of both.
        patch_px: side of a patch; two by two patches make one token.
        max_side_px: larger pictures are shrunk to this area (side squared).
    """

    vocab_size: int = 1400
    width: int = 128
    num_layers: int = 4
    num_vision_layers: int = 2
    num_heads: int = 4
    patch_px: int = 8
    max_side_px: int = 64


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """A lower-casing byte-level BPE tokenizer in which "yes" and "no" are one token each.

    Args:
        texts: what it is trained on.
        vocab_size: number of tokens, control tokens included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    # A space before every text, so that a word is one token wherever it stands.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The answers are repeated so that they become words of their own.
    tokenizer.train_from_iterator([*texts, *["yes", "no"] * 1000], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=CONTROL_TOKENS[0],
        eos_token=CONTROL_TOKENS[0],
        padding_side="left",
        additional_special_tokens=list(CONTROL_TOKENS[1:]),
    )


def image_processor(config: NanoConfig) -> Qwen2VLImageProcessorPil:
    """Pictures of at least two by two tokens, at most ``max_side_px`` squared pixels."""
    return Qwen2VLImageProcessorPil(
        patch_size=config.patch_px,
        temporal_patch_size=1,
        merge_size=2,
        size={"shortest_edge": (4 * config.patch_px) ** 2, "longest_edge": config.max_side_px**2},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def build_nano(config: NanoConfig, texts: Iterable[str], *, seed: int = 0) -> RerankModel:
    """The small model with random weights and a tokenizer trained on ``texts``."""
    tokenizer = train_tokenizer(texts, vocab_size=config.vocab_size)
    processor = PromptProcessor(tokenizer, image_processor(config), TEMPLATES["nano"])
    token_id = processor.plain_tokenizer.control_id
    half = config.width // config.num_heads // 2
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": config.width,
        "intermediate_size": 3 * config.width,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_heads,
        "max_position_embeddings": 1024,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [half - 2 * (half // 3), half // 3, half // 3],
        },
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": token_id("<|endoftext|>"),
        "pad_token_id": token_id("<|endoftext|>"),
    }
    vision: dict[str, Any] = {
        "depth": config.num_vision_layers,
        "hidden_size": config.width,
        "intermediate_size": 3 * config.width,
        "num_heads": config.num_heads,
        "patch_size": config.patch_px,
        "spatial_merge_size": 2,
        "temporal_patch_size": 1,
        "in_channels": 3,
        "out_hidden_size": config.width,
        # Every layer sees the whole picture: windows would cut 32 pixels into nothing.
        "window_size": 4 * config.patch_px,
        "fullatt_block_indexes": list(range(config.num_vision_layers)),
    }
    model_config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Qwen2_5_VLForConditionalGeneration(model_config)
    return RerankModel(backbone, processor)
