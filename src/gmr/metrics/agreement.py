"""How far two ways of scoring the same things put them in the same order."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Row = NDArray[np.float64]


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float | None:
    """Kendall's tau-b of two rows of scores: 1 for the same order, -1 for the opposite one, ties corrected for.

    Args:
        a: ``(things,)`` finite scores.
        b: ``(things,)`` others of the same things in the same order.

    Returns:
        None where a side has no order: fewer than two things, or all of them equal.

    Raises:
        ValueError: The shapes differ, or a score is not finite.

    Source: Kendall 1945, "The treatment of ties in ranking problems".
    """
    left, right = _rows(a, b)
    agreeing = untied_left = untied_right = 0
    for place in range(len(left) - 1):
        first = np.sign(left[place + 1 :] - left[place])
        second = np.sign(right[place + 1 :] - right[place])
        agreeing += int((first * second).sum())
        untied_left += int(np.count_nonzero(first))
        untied_right += int(np.count_nonzero(second))
    if not untied_left or not untied_right:
        return None
    return agreeing / math.sqrt(untied_left * untied_right)


def spearman_rho(a: ArrayLike, b: ArrayLike) -> float | None:
    """Spearman's rho: Pearson's correlation of the ranks of two rows of numbers, equal ones at the mean of theirs.

    Args:
        a: ``(things,)`` finite numbers.
        b: ``(things,)`` others of the same things in the same order.

    Returns:
        None where a side has no order: fewer than two things, or all of them equal.

    Raises:
        ValueError: The shapes differ, or a number is not finite.

    Source: Spearman 1904.
    """
    left, right = map(average_ranks, _rows(a, b))
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    left, right = left - left.mean(), right - right.mean()
    return float(left @ right / np.sqrt((left @ left) * (right @ right)))


def average_ranks(values: ArrayLike) -> Row:
    """Rank of each value from 1, ascending; equal values share the mean of their ranks, ``(things,)``."""
    array = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def _rows(a: ArrayLike, b: ArrayLike) -> tuple[Row, Row]:
    left, right = (np.asarray(values, dtype=np.float64) for values in (a, b))
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"two rows of equal length are needed, not {left.shape} and {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("scores must be finite to be in an order")
    return left, right
