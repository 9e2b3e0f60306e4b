"""Prepared pictures in an eighth of their memory, exactly: a patch's numbers are 256 values for each colour.

An image processor resizes to bytes and then maps each byte of a channel to a float; a still picture's patch holds it
twice, for two frames. Here the byte is kept, and the map, taken from the processor itself, gives the same float back.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.modeling.images import image_factor

CHANNELS, LEVELS = 3, 256


@dataclass(frozen=True)
class CompactPixels:
    """Patches of pictures, as bytes where that loses nothing.

    Attributes:
        values: ``(patches, 3, area)`` uint8 of one frame; or ``(patches, 3 · frames · area)`` float32 as they are.
        table: ``(3, 256)`` float32, a channel's number for each byte; None where values are floats.
        num_frames: How often a patch repeats its frame.
    """

    values: Tensor
    table: Tensor | None
    num_frames: int

    def __len__(self) -> int:
        return len(self.values)

    def expand(self, device: torch.device | None = None) -> Tensor:
        """Pixel values ``(patches, 3 · frames · area)`` float32, bit for bit those of the processor.

        Args:
            device: Where they are wanted; the bytes travel, not the floats.
        """
        values = self.values if device is None else self.values.to(device)
        if self.table is None:
            return values
        table = self.table.to(values.device)
        channels = [table[channel][values[:, channel].long()] for channel in range(CHANNELS)]
        return torch.stack(channels, dim=1)[:, :, None].expand(-1, -1, self.num_frames, -1).flatten(1)


class PixelCode:
    """From the numbers of an image processor to bytes and back.

    Args:
        processor: Of the Qwen-VL family; None where no picture is read.
    """

    def __init__(self, processor: Qwen2VLImageProcessorPil | None) -> None:
        self._processor = processor

    @cached_property
    def _table(self) -> Tensor | None:
        return None if self._processor is None else _table(self._processor)

    def compact(self, pixel_values: Tensor) -> CompactPixels:
        """The patches in as few bytes as give the very same numbers back: floats where bytes do not.

        Args:
            pixel_values: ``(patches, 3 · frames · area)`` float32 from the processor.
        """
        as_they_are = CompactPixels(pixel_values, None, 1)
        if self._processor is None or self._table is None:
            return as_they_are
        num_frames = int(self._processor.temporal_patch_size)
        frames = pixel_values.view(len(pixel_values), CHANNELS, num_frames, -1)
        values = torch.empty(frames[:, :, 0].shape, dtype=torch.uint8)
        for channel in range(CHANNELS):
            # Half a step below each value, so that the byte found is the one whose value is nearest.
            row = self._table[channel]
            found = torch.bucketize(frames[:, channel, 0].contiguous(), (row[1:] + row[:-1]) / 2)
            values[:, channel] = found.to(torch.uint8)
        compact = CompactPixels(values, self._table, num_frames)
        return compact if torch.equal(compact.expand(), pixel_values) else as_they_are


def _table(processor: Qwen2VLImageProcessorPil) -> Tensor | None:
    """What the processor makes of each byte in each channel ``(3, 256)``; None where that is no rising map."""
    side = image_factor(processor)
    levels = [PIL.Image.fromarray(np.full((side, side, 3), level, dtype=np.uint8)) for level in range(LEVELS)]
    features = processor(images=levels, return_tensors="pt", do_resize=False)
    pixels: Tensor = (
        features["pixel_values"].to(torch.float32).view(LEVELS, -1, CHANNELS, pixels_of(processor))
    )
    table = pixels[:, 0, :, 0].T.contiguous()
    is_constant = torch.equal(pixels, table.T[:, None, :, None].expand_as(pixels))
    is_rising = bool((table[:, 1:] > table[:, :-1]).all())
    return table if is_constant and is_rising else None


def pixels_of(processor: Qwen2VLImageProcessorPil) -> int:
    """Numbers of one channel in a patch, all frames."""
    return int(processor.temporal_patch_size * processor.patch_size**2)
