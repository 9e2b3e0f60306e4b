"""The pictures of a batch: each distinct one prepared once, and encoded once for all passes that show it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gmr.core.items import Image
from gmr.modeling.compact_pixels import CompactPixels
from gmr.modeling.images import Grid
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import Prompt, PromptProcessor
from gmr.modeling.vision_features import PictureFeatures
from gmr.train.randomness import random_state, set_random_state
from gmr.train.trainable import trains_tower


@dataclass(frozen=True)
class PictureChunk:
    """Pictures that go through the tower together.

    Attributes:
        pixels: Their patches.
        image_grid_thw: ``(pictures, 3)`` int64.
    """

    pixels: CompactPixels
    image_grid_thw: Tensor


# Not a mapping: dataloaders would send all pixels to the GPU, where one chunk at a time is enough.
@dataclass(frozen=True)
class BatchPictures:
    """The distinct pictures of a batch that is cut into passes.

    Attributes:
        chunks: All of them, in order.
        shown: For each pass the numbers of its pictures, in the order of its ``image_grid_thw``.
    """

    chunks: tuple[PictureChunk, ...]
    shown: tuple[tuple[int, ...], ...]


def share_pictures(
    processor: PromptProcessor, passes: Sequence[Sequence[Prompt]]
) -> tuple[BatchPictures | None, list[dict[str, Tensor]]]:
    """The pictures that the passes have between them, and what each pass says of those it shows.

    A chunk of pictures has no more tokens than the pictures of some pass: what fits there fits here.

    Args:
        processor: Of the model.
        passes: The prompts of each pass, or the segments of its packed sequence.

    Returns:
        None when there is no picture; and for each pass ``image_grid_thw`` ``(distinct, 3)`` and ``image_index``
        ``(occurrences,)`` as ``PromptProcessor.collate_pictures`` gives them, empty when it shows none.
    """
    grids: list[dict[str, Grid]] = []
    images: dict[str, Image] = {}
    sizes: dict[str, int] = {}
    inputs: list[dict[str, Tensor]] = []
    for prompts in passes:
        found = [pair for prompt in prompts for pair in zip(prompt.images, prompt.grids, strict=True)]
        grids.append({image.key: grid for image, grid in found})
        images |= {image.key: image for image, _ in found}
        sizes |= {key: processor.num_image_tokens(grid) for key, grid in grids[-1].items()}
        places = {key: place for place, key in enumerate(grids[-1])}
        index = {
            "image_grid_thw": torch.tensor(list(grids[-1].values())),
            "image_index": torch.tensor([places[image.key] for image, _ in found]),
        }
        inputs.append(index if found else {})
    if not images:
        return None, inputs
    most = max(sum(sizes[key] for key in shown) for shown in grids)
    chunks: list[list[Image]] = []
    room = 0
    for key, image in images.items():
        if not chunks or sizes[key] > room:
            chunks.append([])
            room = most
        chunks[-1].append(image)
        room -= sizes[key]
    numbers = {key: number for number, key in enumerate(images)}
    prepared = tuple(PictureChunk(*processor.preprocess_compact(chunk)) for chunk in chunks)
    return BatchPictures(prepared, tuple(tuple(numbers[key] for key in shown) for shown in grids)), inputs


class EncodedPictures:
    """Features of a batch's pictures for its passes, and the way back into the tower.

    Args:
        model: Encodes the pictures, here and now.
        pictures: The batch's; they may be on another device than the model.
        in_graph: Leave the features in the tower's graph, for passes that are sent back together. Otherwise the graph
            of each pass ends at the features, and ``send_back`` goes on from there.
        autocast: The context of a forward pass.
    """

    def __init__(
        self,
        model: RerankModel,
        pictures: BatchPictures,
        *,
        in_graph: bool = False,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._model = model
        self._pictures = pictures
        self._autocast = autocast
        self._has_leaves = not in_graph and trains_tower(model)
        self._states = []
        self._features: list[PictureFeatures] = []
        with nullcontext() if in_graph else torch.no_grad():
            for chunk in pictures.chunks:
                self._states.append(random_state(model.device))
                found = self._encode(chunk).split()
                self._features += [_leaf(picture) for picture in found] if self._has_leaves else found

    def inputs(self, number: int) -> Mapping[str, PictureFeatures]:
        """What the pass of that number takes in place of pixels; nothing when it shows no picture."""
        shown = self._pictures.shown[number]
        if not shown:
            return {}
        return {"picture_features": PictureFeatures.concat([self._features[place] for place in shown])}

    def send_back(self) -> None:
        """Send what the passes left as gradients of the features through the tower, a chunk at a time."""
        if not self._has_leaves:
            return
        first = 0
        for chunk, state in zip(self._pictures.chunks, self._states, strict=True):
            last = first + len(chunk.image_grid_thw)
            leaves = [_tensors(picture) for picture in self._features[first:last]]
            set_random_state(state, self._model.device)
            features = _tensors(self._encode(chunk))
            pairs = [
                (tensor, torch.cat([_gradient(leaf) for leaf in parts]).to(tensor.dtype))
                for tensor, parts in zip(features, zip(*leaves, strict=True), strict=True)
                if tensor.requires_grad
            ]
            torch.autograd.backward([tensor for tensor, _ in pairs], [gradient for _, gradient in pairs])
            first = last

    def _encode(self, chunk: PictureChunk) -> PictureFeatures:
        with self._autocast():
            return self._model.encode_pictures(chunk.pixels.expand(self._model.device), chunk.image_grid_thw)


def _tensors(features: PictureFeatures) -> tuple[Tensor, ...]:
    return (features.embeddings, *features.deepstack)


def _leaf(features: PictureFeatures) -> PictureFeatures:
    """The same numbers as leaves of a graph; in float32, because the gradients of many passes add up there."""
    embeddings, *deepstack = (tensor.detach().float().requires_grad_() for tensor in _tensors(features))
    return PictureFeatures(embeddings, tuple(deepstack), features.lengths, features.split_levels)


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
