"""Batches of similar length that leave steps and processes even: hierarchical balance packing.

A window of some optimizer steps is dealt anew. Queries that are about as long share a batch, which pads little; batches
that are about as long are computed by the processes at the same turn, which wait little; and the turns are dealt so
that every step has about as much to compute. A window of one step keeps every step's queries, and so its gradient;
a longer one keeps the queries of the window, and which of them meet in a step is chosen by length.

Source: the name and the levels are those of hierarchical balance packing for long-context training (arXiv 2503.07680);
the rules here are ours: queries are not cut into token budgets of equal size, because a step is a mean over queries.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gmr.train.balance import BalancedSampler, Key, StepShape, deal
from gmr.train.sampling import EpochSampler, shuffled

Batch = list[int]


def pack_window(costs: Sequence[float], *, shape: StepShape, rng: random.Random) -> list[list[list[Batch]]]:
    """The places of the costs as ``[step][turn][process]`` batches; a last step may have fewer turns.

    Args:
        costs: of each query; as many as fill whole turns.
        shape: of a step.
        rng: orders the steps, so that lengths do not rise through training.

    Raises:
        ValueError: the costs do not fill whole turns.
    """
    size = shape.turn_size
    if len(costs) % size:
        raise ValueError(f"{len(costs)} queries do not fill turns of {size}")
    order = sorted(range(len(costs)), key=lambda place: (-costs[place], place))
    turns = [order[start : start + size] for start in range(0, len(order), size)]
    num_whole = len(turns) // shape.batches_per_step
    # The shortest turns are those of a step that is not whole: it is the last of the epoch.
    last = num_whole * shape.batches_per_step
    whole, rest = turns[:last], turns[last:]
    steps = []
    if whole:
        hands = deal([sum(costs[place] for place in turn) for turn in whole], num_whole)
        steps = [[whole[number] for number in hand] for hand in hands]
        steps = [steps[number] for number in shuffled(num_whole, rng)]
    if rest:
        steps.append(rest)
    return [_deal_turns(step, costs, shape) for step in steps]


def _deal_turns(
    turns: Sequence[Sequence[int]], costs: Sequence[float], shape: StepShape
) -> list[list[Batch]]:
    """Each turn cut into a batch for every process, the heaviest for the one that has the least so far."""
    loads = [0.0] * shape.num_processes
    size = shape.batch_size
    dealt = []
    for turn in turns:
        batches = [list(turn[start : start + size]) for start in range(0, len(turn), size)]
        lightest_first = sorted(range(shape.num_processes), key=loads.__getitem__)
        batches.sort(key=lambda batch: -sum(costs[place] for place in batch))
        row: list[Batch] = [[] for _ in range(shape.num_processes)]
        for process, batch in zip(lightest_first, batches, strict=True):
            row[process] = batch
            loads[process] += sum(costs[place] for place in batch)
        dealt.append(row)
    return dealt


class PackedSampler(BalancedSampler):
    """An epoch's keys in batches of similar length, even over processes and steps.

    The keys are those that `BalancedSampler` gives, in windows of some steps; with one process those of `EpochSampler`,
    each once, and a batch that is not full comes last. The order depends on seed, epoch and data alone.

    Args:
        num_examples: of the data set.
        seed: of the order.
        cost: of a key, in any unit.
        shape: of a step.
        window: steps that are packed together.
        drop_last: leave out a last round that is not full, as the dataloader would.
    """

    def __init__(
        self,
        num_examples: int,
        *,
        seed: int,
        cost: Callable[[Key], float],
        shape: StepShape,
        window: int = 1,
        drop_last: bool = False,
    ) -> None:
        super().__init__(num_examples, seed=seed, cost=cost, shape=shape, drop_last=drop_last)
        self.window = window

    def __len__(self) -> int:
        return self.num_examples if self.shape.num_processes == 1 else super().__len__()

    def __iter__(self) -> Iterator[Key]:
        keys = list(EpochSampler.__iter__(self))
        length = len(self)
        keys = [keys[place % len(keys)] for place in range(length)]
        num_whole = length - length % self.shape.turn_size
        size = self.shape.step_size * self.window
        for start in range(0, num_whole, size):
            part = keys[start : min(start + size, num_whole)]
            steps = pack_window(
                [self.cost(key) for key in part],
                shape=self.shape,
                rng=random.Random(f"{self.seed}/{self.epoch}/{start}/packing"),
            )
            for places in (batch for step in steps for row in step for batch in row):
                yield from (part[place] for place in places)
        yield from keys[num_whole:]


@dataclass(frozen=True)
class Load:
    """What an order of the queries costs, in tokens of whole pairs.

    Attributes:
        num_tokens: real ones.
        padding: share of what is computed that is padding to the longest pair of a batch.
        critical: tokens, padding included, that the heaviest process of each step computes: what the others wait for.
        waiting: share of the processes' time that they wait for the heaviest of their step.
        spread: heaviest step over the mean step.
    """

    num_tokens: int
    padding: float
    critical: int
    waiting: float
    spread: float


def measure_load(lengths: Sequence[Sequence[int]], *, shape: StepShape) -> Load:
    """The load of whole steps of an order; a last step that is not whole is left out.

    Args:
        lengths: tokens of each pair of each query, in the order in which the sampler gives the queries.
        shape: of a step.
    """
    rows = iter(lengths)
    real, computed, heaviest, totals = 0, 0, 0, []
    size = shape.step_size
    for _ in range(len(lengths) // size):
        loads = [0] * shape.num_processes
        for _turn in range(shape.batches_per_step):
            for process in range(shape.num_processes):
                pairs = [length for query in islice(rows, shape.batch_size) for length in query]
                real += sum(pairs)
                loads[process] += len(pairs) * max(pairs)
        totals.append(sum(loads))
        computed += sum(loads)
        heaviest += shape.num_processes * max(loads)
    if not totals:
        raise ValueError(f"{len(lengths)} queries are less than a step of {size}")
    return Load(
        num_tokens=real,
        padding=1 - real / computed,
        critical=heaviest // shape.num_processes,
        waiting=1 - computed / heaviest,
        spread=max(totals) * len(totals) / computed,
    )
