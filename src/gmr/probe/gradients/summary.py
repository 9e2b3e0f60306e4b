"""From the arrays of a batch to numbers about it: shares, means, counts. Pure functions of numpy arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gmr.metrics.statistics import Interval

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NUM_QUARTERS = 4
NEGLIGIBLE = 0.01
_NUM_RESAMPLES = 2000


def ratio_interval(numerators: Floats, denominators: Floats, *, seed: int = 0) -> Interval:
    """Ratio of two sums over queries with its 95 % percentile bootstrap interval.

    Resamples whose denominator is zero say nothing of the ratio and are left out.

    Args:
        numerators: ``(queries,)``.
        denominators: ``(queries,)``, none below 0; a sum of 0 gives the ratio 0.0.
        seed: of the resamples.

    Source: Efron 1979; percentile method.
    """
    total = float(denominators.sum())
    if total == 0.0:
        return Interval(0.0, 0.0, 0.0)
    picks = np.random.default_rng(seed).integers(0, len(numerators), size=(_NUM_RESAMPLES, len(numerators)))
    below = denominators[picks].sum(axis=1)
    ratios = numerators[picks].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(numerators.sum() / total), float(low), float(high))


def effective_number(sizes: Floats) -> float:
    """``exp`` of the entropy of ``sizes`` as shares: n for n equal ones, 1.0 for one alone, 0.0 for none.

    Source: Hill 1973, its diversity of order 1.
    """
    total = float(sizes.sum())
    if total == 0.0:
        return 0.0
    shares = sizes[sizes > 0] / total
    shares = shares[shares > 0]  # a share below the smallest float counts nothing
    return float(np.exp(-(shares * np.log(shares)).sum()))


def quarters(scores: Floats) -> npt.NDArray[np.int64]:
    """In which quarter each score is, 1 the lowest; equal scores in their order, sizes differ by at most 1."""
    places = np.empty(len(scores), dtype=np.int64)
    places[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return 1 + places * NUM_QUARTERS // max(len(scores), 1)


def shares_of(sizes: Floats, groups: npt.NDArray[np.int64], names: Sequence[int]) -> tuple[float, ...]:
    """What part of the sum of ``sizes`` each group has; zeros where the sum is zero."""
    total = float(sizes.sum())
    return tuple(float(sizes[groups == name].sum()) / total if total else 0.0 for name in names)


def negligible_share(sizes: Floats) -> float:
    """Share of the sizes below ``NEGLIGIBLE`` of the largest; 1.0 where all are zero."""
    largest = float(sizes.max(initial=0.0))
    return float((sizes < NEGLIGIBLE * largest).mean()) if largest > 0 else 1.0
