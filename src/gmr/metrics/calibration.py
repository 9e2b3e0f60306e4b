"""How far a score can be read as a probability: ECE, Brier score, reliability curve, best temperature.

A score is a log-odds, so its probability is ``sigmoid(score)``. Everything here is invariant to the order of the
pairs: pairs with equal scores never fall into different bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Bins = list[NDArray[np.intp]]

NUM_BINS = 15
# The range in which a temperature is looked for; a limit as the answer says that there is no best one.
COLDEST, HOTTEST = 1e-3, 1e3
# 97.5 % quantile of the normal distribution: a two-sided interval of 95 %.
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class ReliabilityBin:
    """Pairs whose probabilities lie together.

    Attributes:
        mean_probability: What the scores promise.
        share_relevant: What came true.
        low: Lower limit of the 95 % Wilson interval of that share.
        high: Upper limit.
        count: Pairs in the bin, at least one.
    """

    mean_probability: float
    share_relevant: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """What the probabilities of a system are worth.

    Attributes:
        num_pairs: Scored pairs of queries and documents.
        num_relevant: Those of them that are judged relevant.
        ece: Expected calibration error over bins of equal width.
        ece_equal_mass: The same over bins of equal numbers of pairs.
        brier: Mean squared difference between probability and relevance.
        log_loss: Mean negative log-likelihood, in nats.
        temperature: The divisor of the scores with the lowest log loss on these very pairs; above 1 the scores are
            too sure. Applied to nothing but ``ece_at_temperature``.
        ece_at_temperature: ``ece`` of the scores divided by ``temperature``; it need not be lower, since the
            temperature is the best for the log loss.
        bins: The reliability curve over bins of equal width, ascending, empty bins left out.
    """

    num_pairs: int
    num_relevant: int
    ece: float
    ece_equal_mass: float
    brier: float
    log_loss: float
    temperature: float
    ece_at_temperature: float
    bins: tuple[ReliabilityBin, ...]


def calibrate(scores: ArrayLike, relevant: ArrayLike, *, num_bins: int = NUM_BINS) -> Calibration:
    """Every number of this file for the same pairs.

    Args:
        scores: ``(pairs,)`` log-odds.
        relevant: ``(pairs,)`` 0 or 1, or bool.
        num_bins: Of the curve and of both errors.

    Raises:
        ValueError: The shapes differ, there are no pairs, a score is not finite, or a label is neither 0 nor 1.
    """
    values, labels = _checked(scores, relevant)
    temperature = best_temperature(values, labels)
    return Calibration(
        num_pairs=len(values),
        num_relevant=int(labels.sum()),
        ece=expected_calibration_error(values, labels, num_bins=num_bins),
        ece_equal_mass=expected_calibration_error(values, labels, num_bins=num_bins, equal_mass=True),
        brier=brier_score(values, labels),
        log_loss=log_loss(values, labels),
        temperature=temperature,
        ece_at_temperature=expected_calibration_error(values / temperature, labels, num_bins=num_bins),
        bins=tuple(reliability_curve(values, labels, num_bins=num_bins)),
    )


def probabilities(scores: ArrayLike) -> Values:
    """``sigmoid(scores)`` in float64, without overflow."""
    values = np.asarray(scores, dtype=np.float64)
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def brier_score(scores: ArrayLike, relevant: ArrayLike) -> float:
    """Mean squared difference between probability and relevance; 0.25 for a constant one half.

    Source: Brier 1950.
    """
    values, labels = _checked(scores, relevant)
    return float(np.mean((probabilities(values) - labels) ** 2))


def log_loss(scores: ArrayLike, relevant: ArrayLike) -> float:
    """Mean of ``-log`` of the probability of what is the case, in nats."""
    values, labels = _checked(scores, relevant)
    # -log sigmoid(s) is log(1 + exp(-s)); the sign of s turns with the label
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -values, values))))


def expected_calibration_error(
    scores: ArrayLike, relevant: ArrayLike, *, num_bins: int = NUM_BINS, equal_mass: bool = False
) -> float:
    """Mean over pairs of the distance between mean probability and share of relevant pairs of their bin.

    Args:
        scores: ``(pairs,)`` log-odds.
        relevant: ``(pairs,)`` 0 or 1.
        num_bins: How many bins.
        equal_mass: Bins of equal numbers of pairs instead of equal width; pairs with equal scores stay together.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015; equal mass: Nixon et al. 2019.
    """
    values, labels = _checked(scores, relevant)
    chances = probabilities(values)
    bins = _mass_bins(values, num_bins) if equal_mass else _width_bins(chances, num_bins)
    gaps = (abs(float(chances[members].sum() - labels[members].sum())) for members in bins)
    return sum(gaps) / len(values)


def reliability_curve(
    scores: ArrayLike, relevant: ArrayLike, *, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """The bins of equal width that hold a pair, ascending."""
    values, labels = _checked(scores, relevant)
    chances = probabilities(values)
    curve = []
    for members in _width_bins(chances, num_bins):
        hits, count = int(labels[members].sum()), len(members)
        low, high = wilson_interval(hits, count)
        curve.append(ReliabilityBin(float(chances[members].mean()), hits / count, low, high, count))
    return curve


def wilson_interval(hits: int, count: int, *, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a share: never outside 0 to 1, never of zero width.

    Raises:
        ValueError: ``count`` is less than 1, or ``hits`` is not between 0 and it.

    Source: Wilson 1927.
    """
    if count < 1 or not 0 <= hits <= count:
        raise ValueError(f"{hits} of {count} is no share")
    share, weight = hits / count, z * z / count
    centre = (share + weight / 2) / (1 + weight)
    half = z * np.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    # at the ends the limits are 0 and 1; rounding must not put them beyond
    return (
        float(max(0.0, centre - half)) if hits else 0.0,
        float(min(1.0, centre + half)) if hits < count else 1.0,
    )


def best_temperature(scores: ArrayLike, relevant: ArrayLike) -> float:
    """The divisor of the scores with the lowest log loss, between 0.001 and 1000.

    The loss is convex in ``1 / temperature``, so its slope has one zero, found by bisection to 1e-9 of the
    value. Scores that separate the labels without error have none: the answer is then the coldest of the range;
    scores that are no better than a constant give the hottest.

    Source: Guo et al., ICML 2017.
    """
    values, labels = _checked(scores, relevant)
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)  # of log(1 / temperature)

    def is_rising(place: float) -> bool:
        return float(np.mean((probabilities(values * np.exp(place)) - labels) * values)) > 0

    if is_rising(low):
        return HOTTEST
    if not is_rising(high):
        # all scores 0: every temperature is the same
        return COLDEST if values.any() else 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if is_rising(middle) else (middle, high)
    return float(np.exp(-(low + high) / 2))


def _checked(scores: ArrayLike, relevant: ArrayLike) -> tuple[Values, Values]:
    values = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(relevant, dtype=np.float64)
    if values.shape != labels.shape or values.ndim != 1:
        raise ValueError(f"one label for each score is needed, not {labels.shape} for {values.shape}")
    if len(values) == 0:
        raise ValueError("calibration needs at least one scored pair")
    if not np.isfinite(values).all():
        raise ValueError(
            f"the score at position {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("labels are 0 for not relevant and 1 for relevant")
    return values, labels


def _width_bins(chances: Values, num_bins: int) -> Bins:
    """Positions by bin of ``[0, 1/n), [1/n, 2/n), ..., [1 - 1/n, 1]``, empty ones left out."""
    _check_number(num_bins)
    numbers = np.minimum((chances * num_bins).astype(np.int64), num_bins - 1)
    return [members for number in range(num_bins) if len(members := np.flatnonzero(numbers == number))]


def _mass_bins(values: Values, num_bins: int) -> Bins:
    """Positions by bin of about ``len(values) / num_bins`` neighbours in score."""
    _check_number(num_bins)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    ends = np.linspace(0, len(values), num_bins + 1)[1:].round().astype(np.int64)
    # an end inside a block of equal scores moves to the end of the block
    ends = np.unique(np.searchsorted(ordered, ordered[np.maximum(ends, 1) - 1], side="right"))
    return [members for members in np.split(order, ends[:-1]) if len(members)]


def _check_number(num_bins: int) -> None:
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}")
