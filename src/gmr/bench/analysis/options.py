"""How much of each task is looked at, and by which lot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gmr.core.files import digest
from gmr.core.nouns import Run

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What all analyses share.

    Attributes:
        limit: most queries of each task, drawn by lot; None for all.
        depth: most candidates of a query, the first stage's best.
        num_documents: most irrelevant candidates of a query that are changed one by one, drawn by lot.
        top_k: ranks that count as the top.
        seed: of every lot and every resampling.
        runs: further first stages: name -> task name -> run.

    Raises:
        ValueError: a number is below 1.
    """

    limit: int | None = 20
    depth: int = 20
    num_documents: int = 5
    top_k: int = 5
    seed: int = 0
    runs: Mapping[str, Mapping[str, Run]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = {"depth": self.depth, "num_documents": self.num_documents, "top_k": self.top_k}
        for name, value in {**numbers, "limit": 1 if self.limit is None else self.limit}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def lot(seed: int, *words: str) -> str:
    """A number as hex digits that depends on the seed and the words alone, not on any order or machine."""
    return digest(str(seed).encode(), *(word.encode() for word in words))


def draw(values: Mapping[str, T], *words: str, num: int | None, seed: int) -> list[T]:
    """At most ``num`` of the values, drawn by their ids: the same ones in whatever order they are given.

    Returns:
        The drawn values, sorted by id.
    """
    drawn = sorted(values, key=lambda name: lot(seed, *words, name))[:num]
    return [values[name] for name in sorted(drawn)]


def shuffled(names: Sequence[str], *words: str, seed: int) -> list[str]:
    """The names in an order drawn by lot, the same in whatever order they are given."""
    return sorted(names, key=lambda name: lot(seed, *words, name))
