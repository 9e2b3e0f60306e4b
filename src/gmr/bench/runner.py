"""Scoring a suite so that it can be killed at any moment: block after block into a store, only what is not there."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from gmr.bench.blocks import WHOLE, Block, Shard, numbered
from gmr.bench.identity import PairKeys
from gmr.bench.media import BadMedia, find_undecodable, pair_is_bad, refuse_bad_media, usable
from gmr.bench.store import ScoreStore
from gmr.bench.system import System, digest_of
from gmr.core.errors import DataError, ModelError
from gmr.core.nouns import Pair
from gmr.core.tasks import RerankTask
from gmr.evaluation.cost import Cost

Bad = dict[str, BadMedia]
"""Name of the task to what of it cannot be shown to a model."""


@dataclass(frozen=True)
class Progress:
    """How far a system is.

    Attributes:
        num_pairs: pairs to score, each content once in a task, those of other shards left out.
        num_stored: of these, found in the store.
    """

    num_pairs: int
    num_stored: int


def score_tasks(
    system: System,
    tasks: Sequence[RerankTask],
    store: ScoreStore,
    *,
    shard: Shard = WHOLE,
    bad: Bad | None = None,
    floors_bad_media: bool = False,
    progress: bool = False,
) -> Progress:
    """Score what the store lacks, one block in one transaction.

    Args:
        system: what scores.
        tasks: with candidates.
        store: is read first and written after each block.
        shard: which blocks are one's own.
        bad: pictures that are known to be of no use; their pairs are left out. What is found while scoring is added.
        floors_bad_media: whether a picture that cannot be decoded is added to ``bad``; else it ends the run.
        progress: whether to show a bar with the time left on stderr.

    Raises:
        DataError: a picture that cannot be decoded, a store that cannot be written.
        ModelError: the system did not give one score for each pair.
    """
    bad = {} if bad is None else bad
    plan = Plan(tasks, PairKeys(digest_of(system)), shard, bad)
    planned = count(plan, store, name=system.name, progress=progress)
    with scoring_bar(system.name, planned, progress=progress) as bar:
        for task, block, own in plan.blocks():
            stored = store.get(own)
            # What was not stored when the bar began may be by now: another process has gone on since.
            wanted = {key: pair for key, pair in own.items() if key not in stored}
            if wanted:
                scored = score_wanted(system, task.name, wanted, floors_bad_media=floors_bad_media)
                store.put(scored.rows, cost=scored.cost, of=(digest_of(system), task.name, block.number))
                if scored.bad:
                    bad[task.name] = bad.get(task.name, BadMedia()) | scored.bad
            bar.update(len(wanted))
    return planned


def scoring_bar(name: str, planned: Progress, *, progress: bool) -> "tqdm[None]":
    """A bar whose estimate is of this run's own pace: what was stored before took no time."""
    return tqdm(
        total=planned.num_pairs, initial=planned.num_stored, desc=name, unit="pair", disable=not progress
    )


def total_cost(system: System, task: RerankTask, store: ScoreStore) -> Cost:
    """What the system has spent on the task, over all runs that wrote to the store."""
    return store.cost(digest_of(system), task.name)


@dataclass(frozen=True)
class Plan:
    """Which pairs are to be scored, in which blocks."""

    tasks: Sequence[RerankTask]
    keys: PairKeys
    shard: Shard
    bad: Bad

    def blocks(self) -> Iterator[tuple[RerankTask, Block, dict[bytes, Pair]]]:
        """The shard's blocks, with those of their pairs that no earlier block of the task has the like of."""
        seen: set[bytes] = set()
        current: RerankTask | None = None
        for number, task, block in numbered(self.tasks):
            if task is not current:
                current, seen = task, set()
                self.keys.forget()
            own: dict[bytes, Pair] = {}
            for pair in usable(block.pairs, self.bad.get(task.name, BadMedia())):
                key = self.keys.key(pair[0], pair[1].item)
                if key not in seen:
                    seen.add(key)
                    own[key] = pair
            if self.shard.has(number):
                yield task, block, own


def count(plan: Plan, store: ScoreStore, *, name: str, progress: bool) -> Progress:
    """How many pairs the plan has, and how many of them are stored."""
    num_pairs = num_stored = 0
    with tqdm(desc=f"{name}: looking up", unit="pair", disable=not progress, leave=False, delay=2) as bar:
        for _, _, own in plan.blocks():
            num_pairs += len(own)
            num_stored += len(store.get(own))
            bar.update(len(own))
    return Progress(num_pairs, num_stored)


@dataclass(frozen=True)
class Scored:
    """What came of pairs.

    Attributes:
        rows: key to score; None for one that is not finite.
        cost: of scoring them.
        bad: what could not be decoded; the pairs of it have no row.
    """

    rows: Mapping[bytes, float | None]
    cost: Cost
    bad: BadMedia


def score_wanted(
    system: System, task_name: str, wanted: Mapping[bytes, Pair], *, floors_bad_media: bool
) -> Scored:
    """Scores of pairs in one call, or in another without those that turn out to have pictures of no use.

    Raises:
        DataError: a picture that cannot be decoded, when such are not to be left out.
        ModelError: the system did not give one score for each pair.
    """
    if not wanted:
        return Scored({}, Cost(), BadMedia())
    try:
        scores, cost = system.score(list(wanted.values()))
    except DataError:
        found = find_undecodable(owner for pair in wanted.values() for owner in pair)
        if not found:
            raise
        if not floors_bad_media:
            refuse_bad_media({task_name: found})
        left = {key: pair for key, pair in wanted.items() if not pair_is_bad(*pair, found)}
        scored = score_wanted(system, task_name, left, floors_bad_media=True)
        return Scored(scored.rows, scored.cost, scored.bad | found)
    if scores.shape != (len(wanted),):
        raise ModelError(
            f"{system.name} on {task_name}: {len(wanted)} pairs were scored with {scores.shape} numbers"
        )
    rows = {
        key: score if math.isfinite(score) else None
        for key, score in zip(wanted, scores.tolist(), strict=True)
    }
    return Scored(rows, cost, BadMedia())
