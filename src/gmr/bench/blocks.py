"""A task in blocks: whole queries with their candidates, scored in one call, always the same ones together.

What meets in a call decides the last bits of its scores. Blocks follow from the task alone, so a run that was killed
and goes on, and runs that share the blocks between them, make the same calls as one run from end to end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gmr.core.errors import UsageError
from gmr.core.nouns import Pair
from gmr.core.tasks import RerankTask

# Enough to batch by length and to share pictures; few enough that a kill costs seconds.
PAIRS_PER_BLOCK = 512


@dataclass(frozen=True)
class Block:
    """Pairs of whole queries.

    Attributes:
        number: from 0, over the blocks of the task.
        pairs: in the order of the first stage.
    """

    number: int
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Shard:
    """Which part of the blocks is one's own; prints as it is given, ``2/4``.

    Attributes:
        index: from 1.
        count: of all shards.
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that ``"i/n"`` means.

        Raises:
            UsageError: it is not spelled so, or ``i`` is not between 1 and ``n``.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise UsageError(f"shard {text!r}: give which of how many, such as 1/4, 2/4, 3/4 and 4/4")
        return cls(int(index), int(count))

    def has(self, number: int) -> bool:
        """Whether the block of that number, over all tasks, is one's own."""
        return number % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard()


def blocks_of(task: RerankTask, *, num_pairs: int = PAIRS_PER_BLOCK) -> Iterator[Block]:
    """The blocks of a task, each but the last of at least ``num_pairs`` pairs."""
    number = 0
    pairs: list[Pair] = []
    for query_id in task.first_stage:
        pairs += [(task.queries[query_id], document) for document in task.candidates(query_id)]
        if len(pairs) >= num_pairs:
            yield Block(number, tuple(pairs))
            number, pairs = number + 1, []
    if pairs:
        yield Block(number, tuple(pairs))


def numbered(tasks: Sequence[RerankTask]) -> Iterator[tuple[int, RerankTask, Block]]:
    """All blocks of the tasks, counted through from 0."""
    number = 0
    for task in tasks:
        for block in blocks_of(task):
            yield number, task, block
            number += 1
