"""The real Qwen tokenizers, image processors and chat templates, and a small tokenizer like nano's."""

import functools
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import TEMPLATES
from tests.conftest import shared_fixture

QWEN2_5_VL, QWEN3_VL = "qwen2.5-vl-7b-instruct", "qwen3-vl-embedding-8b"
NANO_CONTROLS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|query|>",
    "<|document|>",
    "<|answer|>",
)


@functools.cache
def qwen_tokenizer(family: str = QWEN2_5_VL) -> Qwen2Tokenizer:
    """The family's real fast tokenizer with its real chat template; do not change it."""
    folder = shared_fixture(f"{QWEN2_5_VL}/vocab.json").parent
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    config = _read_json(f"{family}/tokenizer_config.json")
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=[tuple(line.split(" ")) for line in merges if line and not line.startswith("#version")],
        added_tokens_decoder={
            int(id_): AddedToken(**facts) for id_, facts in config["added_tokens_decoder"].items()
        },
        eos_token=config["eos_token"],
        pad_token=config["pad_token"],
        unk_token=None,
    )
    tokenizer.chat_template = qwen_chat_template(family)
    return tokenizer


def qwen_chat_template(family: str) -> str:
    """The family's chat template as published."""
    if family == QWEN2_5_VL:
        template: str = _read_json(f"{family}/chat_template.json")["chat_template"]
        return template
    return shared_fixture(f"{family}/chat_template.jinja").read_text(encoding="utf-8")


def qwen_image_processor(family: str = QWEN2_5_VL) -> Qwen2VLImageProcessorPil:
    """The family's image processor from its published settings."""
    folder = shared_fixture(f"{family}/preprocessor_config.json").parent
    return Qwen2VLImageProcessorPil.from_pretrained(str(folder))


@functools.cache
def qwen_processor(
    template: str = "gmr", family: str = QWEN2_5_VL, max_tokens: int | None = None
) -> PromptProcessor:
    """A prompt processor on the family's real tokenizer; do not change it."""
    image_processor = None if template == "qwen3-reranker" else qwen_image_processor(family)
    return PromptProcessor(
        qwen_tokenizer(family), image_processor, TEMPLATES[template], max_tokens=max_tokens
    )


@functools.cache
def nano_tokenizer(texts: tuple[str, ...] = ("latin small letter a with acute", "black chess queen")) -> Any:
    """A byte-level BPE of a few hundred tokens with the nano template's control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*texts, *["yes", "no"] * 50], trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in NANO_CONTROLS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|endoftext|>", padding_side="left"
    )


def nano_processor(max_tokens: int | None = None) -> PromptProcessor:
    """A prompt processor like the nano model's: 32x32 pictures of four tokens."""
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, temporal_patch_size=1, size={"shortest_edge": 1024, "longest_edge": 1024}
    )
    return PromptProcessor(nano_tokenizer(), image_processor, TEMPLATES["nano"], max_tokens=max_tokens)


def _read_json(name: str) -> Any:
    path: Path = shared_fixture(name)
    return json.loads(path.read_text(encoding="utf-8"))
