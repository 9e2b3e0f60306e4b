"""From the rows of the store to a run: complete, or it says what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from gmr.bench.blocks import blocks_of
from gmr.bench.identity import PairKeys
from gmr.bench.media import BadMedia, pair_is_bad
from gmr.bench.store import ScoreStore
from gmr.bench.system import System, digest_of
from gmr.core.errors import DataError
from gmr.core.nouns import Run
from gmr.core.tasks import RerankTask

# How far below a query's worst candidate stands what has no score of its own.
FLOOR_GAP = 1.0


@dataclass(frozen=True)
class Assembled:
    """A system's run on a task.

    Attributes:
        run: every candidate of every query; without those that are missing yet.
        num_missing: pairs that nobody has scored yet.
        bad_media: pairs with a picture that cannot be used; they stand at the floor.
        non_finite: pairs to which the model gave no finite number; they stand at the floor.
    """

    run: Run
    num_missing: int
    bad_media: tuple[tuple[str, str], ...]
    non_finite: tuple[tuple[str, str], ...]


def assemble(
    system: System, task: RerankTask, store: ScoreStore, *, bad: BadMedia | None = None
) -> Assembled:
    """The run that the store holds.

    What has no score stands one below the lowest score of its query, all such documents alike: a model never gains by
    what it could not score.
    """
    bad = bad or BadMedia()
    keys = PairKeys(digest_of(system))
    scored: dict[str, dict[str, float]] = {query_id: {} for query_id in task.first_stage}
    floored: dict[str, list[str]] = {}
    bad_pairs: list[tuple[str, str]] = []
    non_finite: list[tuple[str, str]] = []
    num_missing = 0
    for block in blocks_of(task):
        of_pair = {
            (query.query_id, document.doc_id): keys.key(query, document.item)
            for query, document in block.pairs
            if not pair_is_bad(query, document, bad)
        }
        found = store.get(of_pair.values())
        for query, document in block.pairs:
            pair = (query.query_id, document.doc_id)
            if pair not in of_pair:
                bad_pairs.append(pair)
            elif of_pair[pair] not in found:
                num_missing += 1
                continue
            elif (score := found[of_pair[pair]]) is None:
                non_finite.append(pair)
            else:
                scored[query.query_id][document.doc_id] = score
                continue
            floored.setdefault(query.query_id, []).append(document.doc_id)
    return Assembled(_floor(scored, floored), num_missing, tuple(bad_pairs), tuple(non_finite))


def refuse_incomplete(assembled: Assembled, *, system: str, task: str, floors_non_finite: bool) -> None:
    """Stop where a result would not be one.

    Raises:
        DataError: scores are missing, or not finite and nobody said what to do with them.
    """
    if assembled.num_missing:
        raise DataError(
            f"{system} on {task}: {assembled.num_missing} pairs are not scored yet; run the other shards, or run the "
            "same command without --shards to score what is left"
        )
    if assembled.non_finite and not floors_non_finite:
        query_id, doc_id = assembled.non_finite[0]
        raise DataError(
            f"{system} on {task}: {len(assembled.non_finite)} scores are not finite (first: query {query_id!r} with "
            f"document {doc_id!r}); load the model with --dtype float32, or let each take the last place "
            "(--allow-non-finite)"
        )


def _floor(scored: Mapping[str, dict[str, float]], floored: Mapping[str, list[str]]) -> Run:
    run = {}
    for query_id, scores in scored.items():
        low = min(scores.values(), default=FLOOR_GAP) - FLOOR_GAP
        run[query_id] = scores | dict.fromkeys(floored.get(query_id, ()), low)
    return run
