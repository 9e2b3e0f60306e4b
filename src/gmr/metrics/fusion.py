"""One run of several: reciprocal-rank fusion and weighted sums of scores, pure functions of runs."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from gmr.core.nouns import Run
from gmr.metrics.order import canonical_order

RANK_CONSTANT = 60
Scores = Mapping[str, float]


def reciprocal_rank(
    runs: Sequence[Run], *, weights: Sequence[float] | None = None, rank_constant: float = RANK_CONSTANT
) -> dict[str, dict[str, float]]:
    """The sum over the runs of ``weight / (rank_constant + rank)``; a document that a run lacks gets nothing from it.

    Ranks count from 1 in the canonical order. Source: Cormack, Clarke and Büttcher, SIGIR 2009 (constant 60).

    Args:
        runs: Query id to document id to score; a query counts where any run has it.
        weights: One for each run, all 1 by default.
        rank_constant: Not negative; the larger it is, the less the first ranks stand out.

    Raises:
        ValueError: Another number of weights than of runs, no run, or a constant below 0.
        DataError: A score is not finite.
    """
    if rank_constant < 0:
        raise ValueError(f"rank_constant is {rank_constant}; it must be at least 0")

    def points(scores: Scores, query_id: str) -> dict[str, float]:
        order = canonical_order(scores, where=f"query {query_id!r}")
        return {doc_id: 1 / (rank_constant + rank) for rank, doc_id in enumerate(order, start=1)}

    return _fuse(runs, weights, points)


def weighted_sum(
    runs: Sequence[Run], *, weights: Sequence[float] | None = None, scale: str = "minmax"
) -> dict[str, dict[str, float]]:
    """The weighted sum of the runs' scores, made comparable by ``scale`` within each query.

    A document that a run lacks gets the least of what the run gives to the query's documents: its retriever
    found it no better than these.

    Args:
        runs: Query id to document id to score; a query counts where any run has it.
        weights: One for each run, all 1 by default.
        scale: A key of ``SCALES``: ``minmax`` to between 0 and 1, ``zscore`` to mean 0 and deviation 1, ``none``.

    Raises:
        ValueError: Another number of weights than of runs, no run, or an unknown scale.
        DataError: A score is not finite.
    """
    if scale not in SCALES:
        raise ValueError(f"scale {scale!r} is unknown; there are {', '.join(SCALES)}")

    def points(scores: Scores, query_id: str) -> dict[str, float]:
        order = canonical_order(scores, where=f"query {query_id!r}")
        scaled = SCALES[scale]([float(scores[doc_id]) for doc_id in order])
        return dict(zip(order, scaled, strict=True))

    return _fuse(runs, weights, points, missing_is_least=True)


def _fuse(
    runs: Sequence[Run],
    weights: Sequence[float] | None,
    points: Callable[[Scores, str], dict[str, float]],
    *,
    missing_is_least: bool = False,
) -> dict[str, dict[str, float]]:
    weights = [1.0] * len(runs) if weights is None else list(weights)
    if not runs or len(weights) != len(runs):
        raise ValueError(f"{len(runs)} runs with {len(weights)} weights cannot be fused")
    fused: dict[str, dict[str, float]] = {}
    for query_id in _union(runs):
        rows = [points(run.get(query_id, {}), query_id) for run in runs]
        least = [min(row.values(), default=0.0) if missing_is_least else 0.0 for row in rows]
        fused[query_id] = {
            # fsum: the order of the runs changes no bit.
            doc_id: math.fsum(
                w * row.get(doc_id, low) for w, row, low in zip(weights, rows, least, strict=True)
            )
            for doc_id in _union(rows)
        }
    return fused


def _union(tables: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(key for table in tables for key in table))


def _minmax(scores: Sequence[float]) -> list[float]:
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    # Scores that are all alike say nothing: all of them stand in the middle.
    return [(score - low) / (high - low) if high > low else 0.5 for score in scores]


def _zscore(scores: Sequence[float]) -> list[float]:
    if not scores:
        return []
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    return [(score - mean) / deviation if deviation > 0 else 0.0 for score in scores]


SCALES: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "minmax": _minmax,
    "zscore": _zscore,
    "none": list,
}
