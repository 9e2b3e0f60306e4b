"""Whether two numbers of the same things go together, by their order."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank of each value from 1, ascending; equal values share the mean of their ranks, ``(things,)``."""
    array = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def spearman_rho(a: ArrayLike, b: ArrayLike) -> float | None:
    """Pearson's correlation of the ranks of two rows of numbers; None where a side has no order.

    Args:
        a: ``(things,)`` finite numbers.
        b: ``(things,)`` others of the same things in the same order.

    Raises:
        ValueError: the lengths differ.

    Source: Spearman 1904, with mean ranks for ties.
    """
    left, right = average_ranks(a), average_ranks(b)
    if len(left) != len(right):
        raise ValueError(f"two rows of equal length are needed, not of {len(left)} and {len(right)}")
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    left, right = left - left.mean(), right - right.mean()
    return float(left @ right / np.sqrt((left @ left) * (right @ right)))
