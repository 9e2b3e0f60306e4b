"""How far two ways of scoring the same things put them in the same order."""

import math

import numpy as np
from numpy.typing import ArrayLike


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
    left, right = (np.asarray(values, dtype=np.float64) for values in (a, b))
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"two rows of equal length are needed, not {left.shape} and {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("scores must be finite to be in an order")
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
