"""A part of the stored scores is computed again: a store that lies is found out."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from gmr.bench.identity import PairKeys
from gmr.bench.media import BadMedia, usable
from gmr.bench.store import ScoreStore
from gmr.bench.system import System, digest_of
from gmr.core.errors import DataError
from gmr.core.nouns import Pair, pair_name
from gmr.core.tasks import RerankTask

logger = logging.getLogger(__name__)

SHARE = 0.01


@dataclass(frozen=True)
class Recheck:
    """What was computed again.

    Attributes:
        num_stored: scores in the store before.
        num_checked: of these, computed again.
        largest_difference: between the stored score and the new one.
    """

    num_stored: int
    num_checked: int
    largest_difference: float


def recheck(
    system: System,
    tasks: Sequence[RerankTask],
    store: ScoreStore,
    *,
    share: float = SHARE,
    bad: Mapping[str, BadMedia] | None = None,
    progress: bool = False,
) -> Recheck:
    """Score whole queries again until ``share`` of the stored scores is, one query at least, spread over all tasks.

    Which ones follows from the keys, so that each scorer has others, and the same ones each time.

    Raises:
        DataError: a stored score lies further from the new one than the system's tolerance.
    """
    keys = PairKeys(digest_of(system))
    bad = bad or {}
    candidates: list[tuple[bytes, RerankTask, str, int]] = []
    num_stored = 0
    for task in tasks:
        keys.forget()
        for query_id in task.first_stage:
            own = _keyed(task, query_id, keys, bad)
            found = store.get(own)
            num_stored += len(found)
            if found:
                place = hashlib.sha256(min(found)).digest()
                candidates.append((place, task, query_id, len(found)))
    target = math.ceil(share * num_stored)
    num_checked, largest = 0, 0.0
    with tqdm(
        total=target, desc=f"{system.name}: checking the store", unit="pair", disable=not progress
    ) as bar:
        for _, task, query_id, num in sorted(candidates, key=lambda each: each[0]):
            if num_checked >= target:
                break
            own = _keyed(task, query_id, keys, bad)
            found = store.get(own)
            scores, _ = system.score([own[key] for key in found])
            for (key, stored), new in zip(found.items(), scores.tolist(), strict=True):
                largest = max(
                    largest, _difference(system, stored, new, store=store, task=task, pair=own[key])
                )
            num_checked += num
            bar.update(num)
    return Recheck(num_stored, num_checked, largest)


def _keyed(task: RerankTask, query_id: str, keys: PairKeys, bad: Mapping[str, BadMedia]) -> dict[bytes, Pair]:
    pairs = [(task.queries[query_id], document) for document in task.candidates(query_id)]
    return {keys.key(pair[0], pair[1].item): pair for pair in usable(pairs, bad.get(task.name, BadMedia()))}


def _difference(
    system: System, stored: float | None, new: float, *, store: ScoreStore, task: RerankTask, pair: Pair
) -> float:
    if stored is None and not math.isfinite(new):
        return 0.0
    difference = math.inf if stored is None or not math.isfinite(new) else abs(stored - new)
    if difference > system.tolerance * max(1.0, abs(new)):
        raise DataError(
            f"{store.path}: {task.name}, {pair_name(*pair)}: "
            f"the store says {stored} and {system.name} says {new}; "
            "these scores are of something else: use a new store"
        )
    return difference
