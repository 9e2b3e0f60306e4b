"""Several suites as one: ``glyphs+emoji`` names the tasks of both, and trains on the examples of both."""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from gmr.core.errors import DataError
from gmr.core.files import digest
from gmr.core.nouns import Document
from gmr.core.tasks import TrainingExample, TrainingSet

SEPARATOR = "+"


def parts_of(name: str) -> list[str]:
    """The names of the suites that are joined in ``name``."""
    return name.split(SEPARATOR)


class JoinedExamples(Sequence[TrainingExample]):
    """Examples of several sequences, one after another; each is made when it is indexed."""

    def __init__(self, parts: Sequence[Sequence[TrainingExample]]) -> None:
        self._parts = parts
        self._starts = [0, *itertools.accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrainingExample]: ...
    def __getitem__(self, index: int | slice) -> "TrainingExample | list[TrainingExample]":
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]  # from the end, and out of range, as a list has it
        part = bisect_right(self._starts, place) - 1
        return self._parts[part][place - self._starts[part]]


@dataclass(frozen=True)
class JoinedTrainingSet(TrainingSet):
    """Training sets one after another; it is described by theirs, not by making all examples."""

    parts: tuple[TrainingSet, ...] = ()

    def __post_init__(self) -> None:
        """Nothing to check: every part has checked its own, and ids carry the names of their tasks."""

    def fingerprint(self) -> str:
        """SHA-256 of the parts' fingerprints, in order."""
        return digest(*(part.fingerprint().encode() for part in self.parts))


def join(sets: Sequence[TrainingSet]) -> TrainingSet:
    """All examples and pools of the sets.

    Raises:
        DataError: two of them have a pool of the same name.
    """
    pools: dict[str, Sequence[Document]] = {}
    for each in sets:
        twice = sorted(set(pools) & set(each.pools))
        if twice:
            raise DataError(f"two training sets have a pool {twice[0]!r}")
        pools |= each.pools
    return JoinedTrainingSet(JoinedExamples([each.examples for each in sets]), pools, tuple(sets))


def shares(limit: int | None, num_parts: int) -> list[int | None]:
    """A limit cut into parts that differ by one at most, the first ones larger; no limit is none for each."""
    if limit is None:
        return [None] * num_parts
    return [(limit + num_parts - 1 - part) // num_parts for part in range(num_parts)]
