"""Long loops in blocks, with a progress bar when they take more than two seconds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Each = TypeVar("Each")

DELAY_S = 2


def watched(values: Iterable[Each], what: str, unit: str) -> Iterator[Each]:
    """The values, and a bar on stderr that says ``what`` is done with so many of them."""
    yield from tqdm(values, desc=what, unit=unit, delay=DELAY_S)


def blocks(values: Sequence[Each], size: int, what: str, unit: str) -> Iterator[Sequence[Each]]:
    """The values in blocks of ``size``, and a bar that counts values."""
    with tqdm(total=len(values), desc=what, unit=unit, delay=DELAY_S) as bar:
        for start in range(0, len(values), size):
            block = values[start : start + size]
            yield block
            bar.update(len(block))
