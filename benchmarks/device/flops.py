"""Floating-point operations of a forward pass by configuration: two per weight, causal halves of attention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

WINDOW_KEYS = 64  # patches of an attention window of Qwen2.5-VL


@dataclass(frozen=True)
class Sizes:
    """What the count needs of a vision-language configuration.

    Attributes:
        linear: operations per token in the linear layers of the language model.
        pair: operations per (query, key) pair, over all its layers and heads.
        width: of the hidden states.
        vocabulary: rows of the head.
        vision_patch: operations per patch in the linear layers of the tower.
        vision_token: operations per token where patches are merged, DeepStack included.
        vision_pair: operations per pair of patches in one layer.
        full_layers: layers of the tower in which a patch sees its whole picture.
        window_layers: layers in which it sees its window.
        merged: patches that make one token.
    """

    linear: int
    pair: int
    width: int
    vocabulary: int
    vision_patch: int
    vision_token: int
    vision_pair: int
    full_layers: int
    window_layers: int
    merged: int

    @classmethod
    def of(cls, config: Any) -> "Sizes":
        """From a configuration of Qwen2.5-VL or Qwen3-VL."""
        text, vision = config.text_config, config.vision_config
        head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        heads = text.num_attention_heads * head_dim
        weights = 2 * text.hidden_size * heads
        weights += 2 * text.hidden_size * text.num_key_value_heads * head_dim
        weights += 3 * text.hidden_size * text.intermediate_size
        gated = config.model_type == "qwen2_5_vl"
        layer = (
            4 * vision.hidden_size**2 + (3 if gated else 2) * vision.hidden_size * vision.intermediate_size
        )
        values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        merged = vision.spatial_merge_size**2
        inside = merged * vision.hidden_size
        mergers = 1 + len(getattr(vision, "deepstack_visual_indexes", ()))
        full = len(vision.fullatt_block_indexes) if gated else vision.depth
        return cls(
            linear=2 * text.num_hidden_layers * weights,
            pair=4 * text.num_hidden_layers * heads,
            width=text.hidden_size,
            vocabulary=text.vocab_size,
            vision_patch=2 * (values * vision.hidden_size + vision.depth * layer),
            vision_token=2 * mergers * (inside**2 + inside * text.hidden_size),
            vision_pair=4 * vision.hidden_size,
            full_layers=full,
            window_layers=vision.depth - full,
            merged=merged,
        )

    def picture(self, tokens: int) -> int:
        """Operations of the tower for a picture of so many tokens."""
        patches = self.merged * tokens
        keys = self.full_layers * patches + self.window_layers * min(WINDOW_KEYS, patches)
        return patches * self.vision_patch + tokens * self.vision_token + self.vision_pair * patches * keys

    def tokens(self, new: int, *, before: int = 0) -> int:
        """Operations of the language model for ``new`` tokens that come after ``before`` others."""
        return new * self.linear + (new * before + new * (new + 1) // 2) * self.pair

    def group(self, prefix: int, suffixes: Iterable[int], *, is_known: bool = False) -> int:
        """Operations for prompts that share a prefix, with a head of two rows; a known prefix costs nothing."""
        own = sum(self.tokens(each, before=prefix) + 4 * self.width for each in suffixes)
        return own + (0 if is_known else self.tokens(prefix))

    def pairwise(self, lengths: Sequence[int], pictures: Iterable[int]) -> int:
        """Operations for whole prompts, each with all logits of its last token, and pictures as often as they occur."""
        whole = sum(self.tokens(each) + 2 * self.width * self.vocabulary for each in lengths)
        return whole + sum(map(self.picture, pictures))
