"""What a picture looks like as whole numbers: colours by place, colours at all, edges by place and direction.

No float decides anything: divisions and roots are rounded down to integers, and the products are sums of integers
below 2**53, exact in any order. So the same files give the same likeness on every machine.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmr.core.items import Image

SIDE_PX = 72
COLOUR_CELLS, COLOUR_LEVELS, EDGE_CELLS = 12, 5, 6
BLOCKS = (COLOUR_CELLS**2 * 3, COLOUR_LEVELS**3, EDGE_CELLS**2 * 4)
LIKENESS = 10_000
"""The likeness of a picture with itself."""

Integers = NDArray[np.int64]


def features(image: Image) -> Integers:
    """What a picture looks like, ``(sum(BLOCKS),)``: three blocks of integers from 0 up."""
    pixels = _square(np.asarray(image.open(), dtype=np.int64))
    return np.concatenate([_colours_by_place(pixels), _colours(pixels), _edges(pixels)])


class Looks:
    """Likeness of pictures of one album: features minus the mean of example pictures, by their spread.

    What all pictures of a vendor share (outlines, shading, palette) says nothing about what one shows.
    """

    def __init__(self, examples: Integers) -> None:
        count = max(len(examples), 1)
        self._mean = examples.sum(axis=0) // count
        variance = ((examples - self._mean) ** 2).sum(axis=0) // count
        self._spread = np.concatenate(
            [_root(block) + _root(block.sum() // len(block)) // 2 + 1 for block in _blocks(variance)]
        )

    def vectors(self, rows: Integers) -> NDArray[np.float64]:
        """``(pictures, sum(BLOCKS))`` whole numbers up to 1000 in size, each block of length 1000."""
        centred = (rows - self._mean) * 100 // self._spread
        parts = [
            block * 1000 // np.maximum(_root((block**2).sum(axis=-1, keepdims=True)), 1)
            for block in _blocks(centred)
        ]
        return np.concatenate(parts, axis=-1).astype(np.float64)


def likeness(first: NDArray[np.float64], second: NDArray[np.float64]) -> Integers:
    """``(first, second)`` mean cosine of the three blocks, in ``LIKENESS`` parts."""
    products = (first @ second.T).astype(np.int64)
    return np.asarray(products * LIKENESS // (len(BLOCKS) * 1_000_000))


def stack(images: Sequence[Image]) -> Integers:
    """``(pictures, sum(BLOCKS))`` features."""
    return np.stack([features(image) for image in images]) if images else np.zeros((0, sum(BLOCKS)), np.int64)


def _square(pixels: Integers) -> Integers:
    """72 x 72 pixels: on a white square, then every so many-th pixel of it."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    if height != width:
        canvas = np.full((side, side, 3), 255, dtype=np.int64)
        top, left = (side - height) // 2, (side - width) // 2
        canvas[top : top + height, left : left + width] = pixels
        pixels = canvas
    if side == SIDE_PX:
        return pixels
    places = np.arange(SIDE_PX) * side // SIDE_PX
    return pixels[np.ix_(places, places)]


def _cells(values: Integers, cells: int) -> Integers:
    size = SIDE_PX // cells
    return np.asarray(values.reshape(cells, size, cells, size, -1).sum(axis=(1, 3)))


def _colours_by_place(pixels: Integers) -> Integers:
    return _cells(255 - pixels, COLOUR_CELLS).ravel() // (SIDE_PX // COLOUR_CELLS) ** 2


def _colours(pixels: Integers) -> Integers:
    level = (pixels * COLOUR_LEVELS // 256).reshape(-1, 3)
    number = (level[:, 0] * COLOUR_LEVELS + level[:, 1]) * COLOUR_LEVELS + level[:, 2]
    counts = np.bincount(number, minlength=COLOUR_LEVELS**3)
    counts[-1] = 0  # white is paper
    return _root(counts * 64)


def _edges(pixels: Integers) -> Integers:
    grey = pixels.sum(axis=2)
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    down[1:-1] = grey[2:] - grey[:-2]
    wide, high = np.abs(across), np.abs(down)
    falling = np.where(across * down > 0, 2, 3)
    direction = np.where(wide > 2 * high, 0, np.where(high > 2 * wide, 1, falling))
    strength = wide + high
    by_direction = np.stack([np.where(direction == number, strength, 0) for number in range(4)], axis=-1)
    return _root(_cells(by_direction, EDGE_CELLS).ravel())


def _root(values: Integers) -> Integers:
    # IEEE square roots are exact to the last bit, so their floors are the same everywhere.
    return np.sqrt(np.asarray(values, dtype=np.float64)).astype(np.int64)


def _blocks(values: Integers) -> list[Integers]:
    return np.split(values, np.cumsum(BLOCKS)[:-1], axis=-1)
