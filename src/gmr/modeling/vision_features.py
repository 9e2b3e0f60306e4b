"""What the vision tower makes of pictures, kept flat: gathering thousands of pictures is one operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures


@dataclass(frozen=True)
class PictureFeatures:
    """Token embeddings of pictures, one picture after the other.

    Attributes:
        embeddings: ``(tokens, width)``.
        deepstack: for Qwen3-VL the features added inside the language model, ``(tokens, width)`` per layer.
        lengths: number of tokens of each picture.
        split_levels: whether the model keeps a level of ``deepstack`` split by picture (transformers 5.23) or as
            one tensor (5.17).
    """

    embeddings: Tensor
    deepstack: tuple[Tensor, ...]
    lengths: tuple[int, ...]
    split_levels: bool = True

    @classmethod
    def of_output(cls, output: Any) -> "PictureFeatures":
        """From what a model's `get_image_features` returns: tensors split by picture."""
        pictures = output.pooler_output
        deepstack = getattr(output, "deepstack_features", None) or ()
        return cls(
            torch.cat(list(pictures)),
            tuple(level if isinstance(level, Tensor) else torch.cat(list(level)) for level in deepstack),
            tuple(len(picture) for picture in pictures),
            split_levels=not any(isinstance(level, Tensor) for level in deepstack),
        )

    @classmethod
    def concat(cls, parts: Sequence["PictureFeatures"]) -> "PictureFeatures":
        """The pictures of all ``parts`` in order; there is at least one part."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            torch.cat([part.embeddings for part in parts]),
            tuple(torch.cat(levels) for levels in zip(*(part.deepstack for part in parts), strict=True)),
            tuple(length for part in parts for length in part.lengths),
            parts[0].split_levels,
        )

    def split(self) -> list["PictureFeatures"]:
        """One value per picture, as views."""
        embeddings = self.embeddings.split(self.lengths)
        levels = zip(*(level.split(self.lengths) for level in self.deepstack), strict=True)
        deepstack = list(levels) if self.deepstack else [()] * len(self.lengths)
        return [
            PictureFeatures(part, tuple(level), (length,), self.split_levels)
            for part, level, length in zip(embeddings, deepstack, self.lengths, strict=True)
        ]

    def clone(self) -> "PictureFeatures":
        """The same numbers in memory of their own."""
        return PictureFeatures(
            self.embeddings.clone(),
            tuple(level.clone() for level in self.deepstack),
            self.lengths,
            self.split_levels,
        )

    def gather(self, index: Sequence[int]) -> "PictureFeatures":
        """The pictures ``index`` in that order, repetitions included; gradients add up over repetitions."""
        if list(index) == list(range(len(self.lengths))):
            return self
        starts = [0, *accumulate(self.lengths)]
        tokens = torch.cat([torch.arange(starts[i], starts[i + 1]) for i in index]).to(self.embeddings.device)
        return PictureFeatures(
            self.embeddings.index_select(0, tokens),
            tuple(level.index_select(0, tokens) for level in self.deepstack),
            tuple(self.lengths[i] for i in index),
            self.split_levels,
        )

    def as_output(self) -> BaseModelOutputWithPooling:
        """In the form in which the model gave them, as one picture: the model only concatenates them."""
        # The declared types say one tensor; the models hand out and concatenate sequences of tensors.
        pictures: Any = (self.embeddings,)
        if not self.deepstack:
            return BaseModelOutputWithPooling(pooler_output=pictures)
        levels: Any = [(level,) if self.split_levels else level for level in self.deepstack]
        return BaseModelOutputWithDeepstackFeatures(pooler_output=pictures, deepstack_features=levels)

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.embeddings, *self.deepstack))
