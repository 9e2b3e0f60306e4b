"""Measures as functions of the gains in ranked order and the gains of everything relevant.

All take ``gains``, ``(documents,)`` float64 in ranked order, 0.0 for what is not relevant; ``relevant``, the
gains of all judged relevant documents in descending order, retrieved or not; and the cutoff ``k``, ``None``
for the whole ranking. For all but nDCG the gains are 0.0 or 1.0. An empty ranking is worth 0.0.
"""

import numpy as np
from numpy.typing import NDArray

Gains = NDArray[np.float64]


def linear_gain(grades: Gains) -> Gains:
    """The grade itself; negative grades (spam in some TREC judgments) gain nothing."""
    return np.maximum(grades, 0.0)


def exponential_gain(grades: Gains) -> Gains:
    """``2 ** grade - 1``, which stresses the highest grades; the same as linear when grades are 0 and 1."""
    return np.exp2(linear_gain(grades)) - 1.0


def binary_gain(grades: Gains) -> Gains:
    """1.0 from grade 1 upwards, else 0.0."""
    return (grades >= 1).astype(np.float64)


def dcg(gains: Gains, *, k: int | None = None) -> float:
    """Sum of ``gain / log2(rank + 1)`` over the first ``k`` ranks.

    Source: Järvelin and Kekäläinen 2002, with the discount of Burges et al. 2005 that trec_eval uses.
    """
    first = gains[:k]
    return float(first @ (1.0 / np.log2(np.arange(2, len(first) + 2))))


def ndcg(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:
    """DCG as a share of the DCG of the best possible ranking of everything judged."""
    best = dcg(relevant, k=k)
    return dcg(gains, k=k) / best if best > 0 else 0.0


def recall(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:
    """Share of all relevant documents that are among the first ``k``."""
    return float(gains[:k].sum()) / len(relevant) if len(relevant) else 0.0


def precision(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:  # noqa: ARG001
    """Relevant documents among the first ``k``, divided by ``k`` even when fewer were retrieved."""
    divisor = len(gains) if k is None else k
    return float(gains[:k].sum()) / divisor if divisor else 0.0


def reciprocal_rank(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:  # noqa: ARG001
    """One over the rank of the first relevant document; 0.0 if none is among the first ``k``."""
    hits = np.flatnonzero(gains[:k])
    return 1.0 / float(hits[0] + 1) if len(hits) else 0.0


def average_precision(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:
    """Sum of the precision at each relevant document among the first ``k``, over the number of all relevant.

    The divisor is the number of relevant documents even when it exceeds ``k``, as in trec_eval's ``map_cut``.
    """
    hits = np.flatnonzero(gains[:k])
    found = np.arange(1, len(hits) + 1)
    return float((found / (hits + 1)).sum()) / len(relevant) if len(relevant) else 0.0


def hit(gains: Gains, relevant: Gains, *, k: int | None = None) -> float:  # noqa: ARG001
    """1.0 if any relevant document is among the first ``k`` (trec_eval's ``success``), else 0.0."""
    return float(gains[:k].any())
