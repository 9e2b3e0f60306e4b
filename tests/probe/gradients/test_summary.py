"""Numbers about a batch: shares, effective numbers, quarters, intervals of ratios."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gmr.metrics.statistics import bootstrap_interval
from gmr.probe.gradients.summary import (
    effective_number,
    negligible_share,
    quarters,
    ratio_interval,
    shares_of,
)

sizes = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1e3, allow_subnormal=False))


@pytest.mark.parametrize("number", [1, 2, 17])
def test_so_many_equal_sizes_are_so_many(number: int) -> None:
    assert effective_number(np.full(number, 0.3)) == pytest.approx(number)
    assert effective_number(np.concatenate([np.full(number, 0.3), np.zeros(5)])) == pytest.approx(number)


def test_the_effective_number_is_the_exponential_of_the_entropy() -> None:
    found = effective_number(np.array([1.0, 2.0, 5.0]))
    assert found == pytest.approx(math.exp(-sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))))
    assert effective_number(np.zeros(4)) == 0.0


@given(sizes, st.floats(1e-3, 1e3))
def test_the_effective_number_is_between_one_and_all_and_has_no_unit(
    values: np.ndarray, factor: float
) -> None:
    found = effective_number(values)
    if values.sum() == 0:
        assert found == 0.0
    else:
        assert 1 - 1e-9 <= found <= (values > 0).sum() + 1e-9
        assert effective_number(values * factor) == pytest.approx(found)


@given(arrays(np.float64, st.integers(0, 50), elements=st.floats(-10, 10)))
def test_quarters_follow_the_scores_and_are_of_equal_size(scores: np.ndarray) -> None:
    found = quarters(scores)
    assert set(found.tolist()) <= {1, 2, 3, 4}
    counts = [int((found == quarter).sum()) for quarter in (1, 2, 3, 4)]
    assert max(counts) - min(counts) <= 1
    for lower in (1, 2, 3):
        below, above = scores[found <= lower], scores[found > lower]
        assert not len(below) or not len(above) or below.max() <= above.min()


@given(sizes)
def test_shares_sum_to_one_unless_there_is_nothing_to_share(values: np.ndarray) -> None:
    shares = shares_of(values, quarters(values), (1, 2, 3, 4))
    assert sum(shares) == pytest.approx(1.0 if values.sum() else 0.0)


def test_negligible_is_under_a_hundredth_of_the_largest() -> None:
    assert negligible_share(np.array([1.0, 0.5, 0.0101, 0.0099])) == 0.25
    assert negligible_share(np.zeros(3)) == 1.0


def test_a_ratio_over_equal_counts_is_a_mean_and_has_its_interval() -> None:
    values = np.random.default_rng(0).normal(size=60)
    found = ratio_interval(7 * values, np.full(60, 7.0), seed=5)
    mean = bootstrap_interval(values, num_resamples=2000, seed=5)
    assert (found.mean, found.low, found.high) == pytest.approx((mean.mean, mean.low, mean.high))


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_ratio_lies_in_its_interval(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = ratio_interval(random.random(12), random.integers(0, 4, 12).astype(float) + 0.1, seed=seed)
    assert found.low <= found.mean <= found.high


def test_a_ratio_to_nothing_is_zero_and_queries_without_a_count_do_not_spoil_it() -> None:
    assert ratio_interval(np.zeros(3), np.zeros(3)).high == 0.0
    found = ratio_interval(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
