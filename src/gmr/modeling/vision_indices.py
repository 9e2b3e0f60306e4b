"""Where the patches of many pictures lie, worked out once per size of picture.

The towers build positions and attention windows in a Python loop over pictures, which takes a quarter of the time
of a small tower. Pictures of one size have the same ones, up to an offset. The numbers are transformers' own.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

Grid = tuple[int, int, int]


def tower_indices(vision_config: Any, grids: Sequence[Grid]) -> dict[str, Tensor]:
    """Options for a model's `get_image_features`, in place of which it would compute the same by itself.

    Args:
        vision_config: of Qwen2-VL, Qwen2.5-VL or Qwen3-VL; only the second has windows.
        grids: frames, height and width in patches of each picture; at least one.

    Returns:
        On the CPU: ``image_position_ids`` ``(patches, 2)`` row and column, ``image_cu_seqlens`` ``(frames + 1,)``
        int32 bounds of the pictures, and for windows ``image_window_index`` ``(tokens,)`` and
        ``image_cu_window_seqlens`` ``(windows + 1,)`` int32.
    """
    merge = int(vision_config.spatial_merge_size)
    options = {
        "image_position_ids": torch.cat([_positions(grid, merge) for grid in grids]),
        "image_cu_seqlens": _bounds(
            [length for frames, *sides in grids for length in [sides[0] * sides[1]] * frames]
        ),
    }
    window = getattr(vision_config, "window_size", None)
    if window is None:
        return options
    parts, lengths, offset = [], [], 0
    for grid in grids:
        index, picture_lengths = _windows(grid, merge, int(window), int(vision_config.patch_size))
        parts.append(index + offset)
        lengths += picture_lengths
        offset += len(index)
    return options | {"image_window_index": torch.cat(parts), "image_cu_window_seqlens": _bounds(lengths)}


@lru_cache(maxsize=1024)
def _positions(grid: Grid, merge: int) -> Tensor:
    return get_vision_position_ids(torch.tensor([grid]), merge)


@lru_cache(maxsize=1024)
def _windows(grid: Grid, merge: int, window: int, patch: int) -> tuple[Tensor, list[int]]:
    """Order of a picture's tokens by windows, and the number of patches in each window."""
    index, bounds = get_vision_window_index(
        torch.tensor([grid]), spatial_merge_size=merge, window_size=window, patch_size=patch
    )
    return index, bounds.diff().tolist()


def _bounds(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
