"""The one order of a ranking: score descending, equal scores by document id descending, as trec_eval does.

Everything that ranks or measures goes through here, because the libraries of the field disagree about ties:
the same run with one tie gets nDCG@10 of 0.63 or 1.0 depending on which of them reads it.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gmr.core.errors import DataError


def canonical_order(scores: Mapping[str, float], *, where: str = "ranking") -> list[str]:
    """Document ids by score descending; equal scores (compared in float64) by document id descending.

    Args:
        scores: Document id to score, in any order.
        where: What is being ranked, for the error message.

    Raises:
        DataError: A score is not a finite number, or a document id is not a string.
    """
    keys = {}
    for doc_id, score in scores.items():
        if not isinstance(doc_id, str):
            # 7 and "7" would be two documents, and judgments are read from files as strings
            raise DataError(f"{where}: document id {doc_id!r} is not a string")
        keys[doc_id] = (_finite(score, doc_id=doc_id, where=where), doc_id)
    # Code points order as UTF-8 bytes do, so this is trec_eval's strcmp.
    return sorted(keys, key=keys.__getitem__, reverse=True)


def tie_sizes(scores: Mapping[str, float], order: Sequence[str]) -> NDArray[np.int64]:
    """Sizes of the blocks of equal scores along ``order``, which is the canonical order of ``scores``.

    Returns:
        ``(blocks,)`` int64, summing to ``len(order)``.
    """
    values = np.array([scores[doc_id] for doc_id in order], dtype=np.float64)
    if len(values) == 0:
        return np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], 1 + np.flatnonzero(values[1:] != values[:-1])])
    return np.diff(starts, append=len(values))


def _finite(score: float, *, doc_id: str, where: str) -> float:
    try:
        value = float(score)
    except (TypeError, ValueError):
        raise DataError(f"{where}: the score of document {doc_id!r} is {score!r}, not a number") from None
    if not math.isfinite(value):
        raise DataError(
            f"{where}: the score of document {doc_id!r} is {value}; only finite ones can be ranked"
        )
    return value
