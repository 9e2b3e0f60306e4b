"""How sure a mean is: bootstrap intervals over queries, paired randomisation tests, Holm's correction.

Queries are the sampling unit. Every function is deterministic in its ``seed``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIGNIFICANT = 0.05
"""What a p-value, corrected where there are several tests, must be below for a difference to be called one."""
# Random numbers drawn at once: bounds memory to some tens of megabytes however many queries there are. Fixed,
# because the stream of a generator may depend on how it is cut.
DRAWS_AT_ONCE = 2_000_000
# Numbers computed with at once, which changes none of them: blocks that stay in the processor's cache take a third
# of the time.
BLOCK = 50_000


@dataclass(frozen=True)
class Interval:
    """A mean and the limits of its confidence interval; prints as ``0.612 [0.580, 0.641]``."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: ArrayLike, *, confidence: float = 0.95, num_resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Mean of ``values`` with its percentile bootstrap interval.

    Args:
        values: ``(queries,)`` per-query values.
        confidence: Share of intervals that should hold the true mean.
        num_resamples: Resamples of the queries with replacement.
        seed: Of the generator.

    Raises:
        ValueError: There are no values, one is not finite, or an option is out of range.

    Source: Efron 1979; percentile method.
    """
    return stratified_interval([values], confidence=confidence, num_resamples=num_resamples, seed=seed)


def stratified_interval(
    strata: Sequence[ArrayLike], *, confidence: float = 0.95, num_resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Mean of the means of ``strata``, with the queries resampled inside each.

    Every stratum (a task) weighs the same however many queries it has. The interval is for these tasks: it
    does not speak of tasks that were not run.

    Args:
        strata: For each task its ``(queries,)`` per-query values.
        confidence: Share of intervals that should hold the true mean.
        num_resamples: Resamples of the queries with replacement.
        seed: Of the generator.

    Raises:
        ValueError: There are no strata, one is empty or has a value that is not finite, or an option is out
            of range.
    """
    arrays = [_finite_values(values) for values in strata]
    if not arrays:
        raise ValueError("an interval needs at least one stratum of values")
    if not 0 < confidence < 1 or num_resamples < 1:
        raise ValueError(
            f"confidence {confidence} is not between 0 and 1, or num_resamples {num_resamples} < 1"
        )
    generator = np.random.default_rng(seed)
    means = np.mean([_resampled_means(values, num_resamples, generator) for values in arrays], axis=0)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        mean=float(np.mean([values.mean() for values in arrays])), low=float(low), high=float(high)
    )


def paired_randomisation(
    a: ArrayLike, b: ArrayLike, *, num_permutations: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of the sign-flip test of equal means on paired values.

    Under the null hypothesis each query's difference is as likely with either sign. Where there are at most
    ``num_permutations`` sign patterns the p-value is exact; else it is ``(1 + extreme) / (1 + drawn)``, which
    is never zero and keeps the level.

    Args:
        a: ``(queries,)`` values of one system.
        b: ``(queries,)`` values of the other, of the same queries in the same order.
        num_permutations: Sign patterns to draw, and the most to enumerate.
        seed: Of the generator.

    Raises:
        ValueError: The shapes differ, there are no values, or one is not finite.

    Source: Fisher 1935; Smucker, Allan and Carterette, CIKM 2007; the +1 of Phipson and Smyth 2010.
    """
    return stratified_randomisation([a], [b], num_permutations=num_permutations, seed=seed)


def stratified_randomisation(
    a: Sequence[ArrayLike], b: Sequence[ArrayLike], *, num_permutations: int = 10_000, seed: int = 0
) -> float:
    """The sign-flip test of equal means of stratum means: a query weighs one over the size of its task.

    Args:
        a: For each task the ``(queries,)`` values of one system.
        b: The same of the other system.
        num_permutations: Sign patterns to draw, and the most to enumerate.
        seed: Of the generator.

    Raises:
        ValueError: The shapes differ, there are no values, or one is not finite.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"a paired test needs the same tasks on both sides, not {len(a)} and {len(b)}")
    differences = np.concatenate(
        [_weighted_differences(left, right) for left, right in zip(a, b, strict=True)]
    )
    differences = differences[differences != 0]  # a zero has no sign to flip: leaving it out changes nothing
    observed = abs(float(differences.sum()))
    # sums that differ only by rounding are equal: 0.1 + 0.2 - 0.3 is no evidence
    threshold = observed - 1e-12 * float(np.abs(differences).sum())
    if num_permutations < 1:
        raise ValueError(f"num_permutations {num_permutations} < 1")
    num = len(differences)
    generator = np.random.default_rng(seed)
    exact = num < 60 and 2**num <= num_permutations
    total = 2**num if exact else num_permutations
    rows = max(1, DRAWS_AT_ONCE // max(num, 1))
    extreme = 0
    for start in range(0, total, rows):
        stop = min(start + rows, total)
        if exact:
            bits = (np.arange(start, stop)[:, None] >> np.arange(num)) & 1  # the binary digits of start..stop
        else:
            bits = generator.integers(0, 2, size=(stop - start, num), dtype=np.int8)
        step = max(1, BLOCK // max(num, 1))
        for first in range(0, len(bits), step):
            sums = (2.0 * bits[first : first + step] - 1.0) @ differences
            extreme += int((np.abs(sums) >= threshold).sum())
    return extreme / total if exact else (1 + extreme) / (1 + total)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in the given order: reject those at most the level.

    Raises:
        ValueError: A p-value is not between 0 and 1.

    Source: Holm 1979.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values must lie between 0 and 1: {list(p_values)}")
    ascending = np.argsort(values, kind="stable")
    scaled = values[ascending] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(values) else scaled
    return [float(value) for value in adjusted]


def _finite_values(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"per-query values must be one non-empty row, not an array of shape {array.shape}")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"the per-query value at position {position} is {array[position]}")
    return array


def _resampled_means(
    values: NDArray[np.float64], num: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    # Integers of this width are drawn one by one: how the draws are cut changes none of them.
    rows = max(1, BLOCK // len(values))
    means = [
        values[generator.integers(0, len(values), size=(min(rows, num - start), len(values)))].mean(axis=1)
        for start in range(0, num, rows)
    ]
    return np.concatenate(means)


def _weighted_differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    left, right = _finite_values(a), _finite_values(b)
    if left.shape != right.shape:
        raise ValueError(f"paired values must be of the same queries, not of {len(left)} and {len(right)}")
    return (left - right) / len(left)
