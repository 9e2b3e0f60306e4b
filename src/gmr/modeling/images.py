"""Pictures for the Qwen-VL family: the patch grid from the size alone, the pixels when a batch needs them."""

import json
from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from gmr.core.errors import DataError, ModelError
from gmr.core.files import digest
from gmr.core.items import Image

Grid = tuple[int, int, int]
# Pixel values (patches, dim) float32 and grid (3,) int64 of one picture.
Patches = tuple[Tensor, Tensor]


def load_image_processor(
    folder: str, *, image_tokens: tuple[int, int] | None = None
) -> Qwen2VLImageProcessorPil:
    """The image processor of a checkpoint, on the PIL backend: the same with and without torchvision.

    Args:
        folder: Local folder or hub id with ``preprocessor_config.json`` or ``processor_config.json``.
        image_tokens: Least and most tokens of one picture; ``None`` keeps the checkpoint's own limits.

    Raises:
        ModelError: The file is absent or is not that of a Qwen-VL image processor.
    """
    try:
        # Never AutoProcessor: it wants torchvision for videos that no reranker here reads.
        processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder}: no usable preprocessor_config.json or processor_config.json: {error}"
        ) from error
    return limit_image_tokens(processor, image_tokens) if image_tokens else processor


def limit_image_tokens(
    processor: Qwen2VLImageProcessorPil, image_tokens: tuple[int, int]
) -> Qwen2VLImageProcessorPil:
    """A copy of ``processor`` that resizes every picture to between the two numbers of tokens."""
    least, most = image_tokens
    pixels = image_factor(processor) ** 2
    settings = {
        **processor.to_dict(),
        "size": {"shortest_edge": least * pixels, "longest_edge": most * pixels},
    }
    return Qwen2VLImageProcessorPil(
        **{name: settings[name] for name in settings if name != "image_processor_type"}
    )


def image_factor(processor: Qwen2VLImageProcessorPil) -> int:
    """Side in pixels of the square that becomes one token."""
    return int(processor.patch_size * processor.merge_size)


def image_grid(processor: Qwen2VLImageProcessorPil, size: tuple[int, int]) -> Grid:
    """Patches in time, height and width of a picture of ``(width, height)`` pixels, without opening it.

    Raises:
        DataError: One side is more than 200 times the other.
    """
    width, height = size
    try:
        rows, columns = smart_resize(
            height,
            width,
            factor=image_factor(processor),
            min_pixels=processor.size["shortest_edge"],
            max_pixels=processor.size["longest_edge"],
        )
    except ValueError as error:
        raise DataError(
            f"a picture of {width}x{height} pixels cannot be resized for the model: {error}"
        ) from error
    return 1, rows // processor.patch_size, columns // processor.patch_size


def settings_digest(image_processor: Qwen2VLImageProcessorPil | None) -> str:
    """Eight hex digits of all settings by which pictures are read, as they are now."""
    settings = {} if image_processor is None else image_processor.to_dict()
    return digest(json.dumps(settings, sort_keys=True, default=str).encode())[:8]


class PixelCache:
    """Patches of small pictures met again and again, such as glyphs over the epochs of a training; safe with threads.

    Args:
        max_bytes: Most memory of all together; the oldest go first.
        max_picture_bytes: A picture with larger patches is not kept.
    """

    def __init__(self, *, max_bytes: int = 32 * 2**20, max_picture_bytes: int = 2**16) -> None:
        self.max_bytes = max_bytes
        self.max_picture_bytes = max_picture_bytes
        self._patches: dict[str, Patches] = {}
        self._num_bytes = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        # Empty and with a lock of its own: neither patches nor locks are worth sending to another process.
        return partial(PixelCache, max_bytes=self.max_bytes, max_picture_bytes=self.max_picture_bytes), ()

    def __len__(self) -> int:
        return len(self._patches)

    def get(self, image: Image) -> Patches | None:
        """Patches of a picture of the same content, if they were kept."""
        return self._patches.get(image.key)

    def put(self, image: Image, patches: Patches) -> None:
        """Keeps a copy of the patches if they are small."""
        pixels, grid = patches
        num_bytes = pixels.numel() * pixels.element_size()
        if num_bytes > self.max_picture_bytes:
            return
        with self._lock:
            if image.key in self._patches:
                return
            while self._patches and self._num_bytes + num_bytes > self.max_bytes:
                oldest, _ = self._patches.pop(next(iter(self._patches)))
                self._num_bytes -= oldest.numel() * oldest.element_size()
            # A slice would keep the whole batch it was cut from.
            self._patches[image.key] = pixels.clone(), grid
            self._num_bytes += num_bytes


def preprocess_images(
    processor: Qwen2VLImageProcessorPil, images: Sequence[Image], cache: PixelCache
) -> tuple[Tensor, Tensor]:
    """Patches and grids of pictures, each opened, turned upright, put on white and resized.

    Returns:
        Pixel values ``(patches, dim)`` float32, one picture after the other, and grids ``(images, 3)`` int64.
    """
    known = [cache.get(image) for image in images]
    new = [image for image, patches in zip(images, known, strict=True) if patches is None]
    fresh: list[Patches] = []
    if new:
        features: Any = processor(images=[image.open() for image in new], return_tensors="pt")
        grids = features["image_grid_thw"]
        pixels = features["pixel_values"].to(torch.float32).split(grids.prod(dim=1).tolist())
        fresh = list(zip(pixels, grids, strict=True))
        for image, patches in zip(new, fresh, strict=True):
            cache.put(image, patches)
    left = iter(fresh)
    found = [patches if patches is not None else next(left) for patches in known]
    return torch.cat([pixels for pixels, _ in found]), torch.stack([grid for _, grid in found])
