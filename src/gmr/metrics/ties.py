"""Exact expected measures when the documents of a block of equal scores stand in uniformly random order.

Each function takes ``gains`` in any order that keeps the blocks in place and ``sizes``, ``(blocks,)``, the
sizes of the blocks along it; a block of size one is a document without a tie, so with all sizes one these are
the measures themselves.

Source: McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence
of tied scores", ECIR 2008.
"""

import numpy as np
from numpy.typing import NDArray

from gmr.metrics.formulas import Gains

Sizes = NDArray[np.int64]


def block_means(gains: Gains, sizes: Sizes) -> Gains:
    """Expected gain at each rank: the mean gain of its block.

    A measure that is linear in the gains (nDCG, precision, recall) has its expectation at these means.
    """
    if len(gains) == 0:
        return gains
    starts = np.cumsum(sizes) - sizes
    return np.repeat(np.add.reduceat(gains, starts) / sizes, sizes)


def expected_reciprocal_rank(gains: Gains, relevant: Gains, sizes: Sizes, *, k: int | None = None) -> float:  # noqa: ARG001
    """Expected reciprocal rank: only the first block with a relevant document can hold the first one."""
    if not gains.any():
        return 0.0
    start, size, hits = _first_block_with_a_hit(gains, sizes)
    offsets = np.arange(size - hits + 1)
    # no hit at the offsets before, then one: the hazard at offset j is hits / (size - j)
    none_before = np.cumprod(np.concatenate([[1.0], 1.0 - hits / (size - offsets[:-1])]))
    probability = none_before * hits / (size - offsets)
    ranks = start + offsets + 1
    within = slice(None) if k is None else ranks <= k
    return float((probability / ranks)[within].sum())


def expected_hit(gains: Gains, relevant: Gains, sizes: Sizes, *, k: int | None = None) -> float:  # noqa: ARG001
    """Probability that any relevant document is among the first ``k``."""
    if not gains.any():
        return 0.0
    start, size, hits = _first_block_with_a_hit(gains, sizes)
    places = size if k is None else min(max(k - start, 0), size)
    if places > size - hits:
        return 1.0
    # `places` documents drawn without replacement from the block, none of them relevant
    return float(1.0 - np.prod(1.0 - hits / (size - np.arange(places))))


def expected_average_precision(gains: Gains, relevant: Gains, sizes: Sizes, *, k: int | None = None) -> float:
    """Expected average precision over the first ``k``.

    At offset j of a block of n documents with r relevant, after b relevant ones, a relevant document stands
    with probability r / n, and then expects (r - 1) / (n - 1) relevant ones at each of the j places before.
    """
    if len(gains) == 0 or len(relevant) == 0:
        return 0.0
    starts = np.cumsum(sizes) - sizes
    hits = np.add.reduceat(gains, starts)
    before = np.repeat(np.cumsum(hits) - hits, sizes)
    ranks = np.arange(1, len(gains) + 1)
    offsets = ranks - 1 - np.repeat(starts, sizes)
    others = np.repeat((hits - 1) / np.maximum(sizes - 1, 1), sizes)
    terms = np.repeat(hits / sizes, sizes) * (before + 1 + offsets * others) / ranks
    return float(terms[:k].sum()) / len(relevant)


def _first_block_with_a_hit(gains: Gains, sizes: Sizes) -> tuple[int, int, int]:
    """Start, size and number of relevant documents of the first block that has one."""
    ends = np.cumsum(sizes)
    block = int(np.searchsorted(ends, int(np.flatnonzero(gains)[0]), side="right"))
    start = int(ends[block] - sizes[block])
    return start, int(sizes[block]), int(np.count_nonzero(gains[start : ends[block]]))
