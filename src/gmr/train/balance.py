"""Queries dealt to the processes of a run so that each has about as many tokens to compute.

The gradient is a mean over all queries of a step: who computes which changes nothing but the time that the others wait.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gmr.core.errors import DataError
from gmr.core.items import Image, Item
from gmr.modeling.images import image_grid
from gmr.modeling.processor import PromptProcessor
from gmr.train.sampling import EpochSampler, Group, GroupDataset

Key = tuple[int, int]
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class StepShape:
    """How the queries of an optimizer step lie: in batches, which the processes take in turn.

    Attributes:
        num_processes: Of the run.
        batch_size: Queries per process and forward pass.
        batches_per_step: Accumulated batches of a process.
    """

    num_processes: int
    batch_size: int
    batches_per_step: int

    @property
    def turn_size(self) -> int:
        """Queries of one batch of every process."""
        return self.num_processes * self.batch_size

    @property
    def step_size(self) -> int:
        """Queries of a whole step."""
        return self.turn_size * self.batches_per_step


def deal(costs: Sequence[float], num_hands: int) -> list[list[int]]:
    """Places of the costs in hands of equal size, the sums of which are about even; the same for the same costs.

    The largest is dealt first, each to the hand with the least that has room.

    Args:
        costs: A multiple of ``num_hands``.
        num_hands: At least 1.

    Returns:
        ``num_hands`` lists of places, each in rising order.

    Raises:
        ValueError: The costs cannot be dealt evenly.
    """
    if num_hands < 1 or len(costs) % num_hands:
        raise ValueError(f"{len(costs)} cannot be dealt to {num_hands} in equal numbers")
    size = len(costs) // num_hands
    hands: list[list[int]] = [[] for _ in range(num_hands)]
    sums = [0.0] * num_hands
    for place in sorted(range(len(costs)), key=lambda place: -costs[place]):
        hand = min((n for n in range(num_hands) if len(hands[n]) < size), key=sums.__getitem__)
        hands[hand].append(place)
        sums[hand] += costs[place]
    return [sorted(hand) for hand in hands]


def heaviest(costs: Sequence[float], hands: Sequence[Sequence[int]]) -> float:
    """The largest sum of any hand."""
    return max(sum(costs[place] for place in hand) for hand in hands)


def estimate_tokens(
    group: Group, *, packed: bool, picture_tokens: Callable[[tuple[int, int]], int], max_tokens: int
) -> float:
    """About how many tokens a group takes; no text is tokenised, no picture opened further than its header.

    Args:
        group: A query with its documents.
        packed: Whether the query is computed once, or in every pair, padded to the longest.
        picture_tokens: From ``(width, height)`` in pixels to the tokens of a picture.
        max_tokens: Longest prompt.
    """

    def size(item: Item) -> float:
        return sum(
            picture_tokens(part.size) if isinstance(part, Image) else len(part.text) / CHARACTERS_PER_TOKEN
            for part in item
        )

    query = min(size(group.query.item), max_tokens)
    documents = [min(size(document.item), max_tokens - query) for document in group.documents]
    return query + sum(documents) if packed else len(documents) * (query + max(documents))


class BalancedSampler(EpochSampler):
    """An epoch's keys in an order that evens out the processes of each optimizer step.

    Every step has the queries that ``EpochSampler`` would give it, dealt otherwise. The order depends on seed, epoch
    and data alone. accelerate gives whole batches to the processes in turn, and fills up the last round with queries
    from the start of the epoch; here it is full already, with the same ones.

    Args:
        num_examples: Of the data set.
        seed: Of the order.
        cost: Of a key, in any unit.
        shape: Of a step.
        drop_last: Leave out a last round that is not full, as the dataloader would.
    """

    def __init__(
        self,
        num_examples: int,
        *,
        seed: int,
        cost: Callable[[Key], float],
        shape: StepShape,
        drop_last: bool = False,
    ) -> None:
        super().__init__(num_examples, seed=seed)
        self.cost = cost
        self.shape = shape
        self.drop_last = drop_last

    def __len__(self) -> int:
        size = self.shape.turn_size
        rounds = self.num_examples // size if self.drop_last else -(-self.num_examples // size)
        return rounds * size

    def __iter__(self) -> Iterator[Key]:
        keys = list(super().__iter__())
        length = len(self)
        keys = [keys[place % len(keys)] for place in range(length)]
        size = self.shape.step_size
        for start in range(0, length, size):
            yield from self._balanced(keys[start : start + size])

    def _balanced(self, keys: Sequence[Key]) -> Iterator[Key]:
        """The keys of one step, batch by batch; as they are where that is no worse."""
        num_processes, size = self.shape.num_processes, self.shape.batch_size
        batches = [range(start, start + size) for start in range(0, len(keys), size)]
        present = [
            [place for batch in batches[process::num_processes] for place in batch]
            for process in range(num_processes)
        ]
        costs = [self.cost(key) for key in keys]
        hands = deal(costs, num_processes)
        if heaviest(costs, hands) >= heaviest(costs, present):
            hands = present
        for number in range(len(batches)):
            turn, process = divmod(number, num_processes)
            for place in hands[process][turn * size : (turn + 1) * size]:
                yield keys[place]


def cost_of(dataset: GroupDataset, processor: PromptProcessor, *, packed: bool) -> Callable[[Key], float]:
    """The estimated tokens of a key's group."""

    def cost(key: Key) -> float:
        try:
            return estimate_tokens(
                dataset[key],
                packed=packed,
                picture_tokens=partial(_picture_tokens, processor),
                max_tokens=processor.max_tokens,
            )
        except DataError:  # whoever loads the example says so, with all that it is about
            return 0.0

    return cost


def _picture_tokens(processor: PromptProcessor, size: tuple[int, int]) -> int:
    if processor.image_processor is None:
        return 0
    return processor.num_image_tokens(image_grid(processor.image_processor, size))
