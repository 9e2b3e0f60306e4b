import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.metrics.calibration import (
    COLDEST,
    HOTTEST,
    best_temperature,
    brier_score,
    calibrate,
    expected_calibration_error,
    log_loss,
    probabilities,
    reliability_curve,
    wilson_interval,
)

pairs = st.lists(
    st.tuples(st.floats(-40, 40).map(lambda score: round(score, 1)), st.booleans()), min_size=1, max_size=60
)


def logit(probability):
    return math.log(probability / (1 - probability))


def naive_ece(scores, relevant, num_bins):
    bins = {}
    for score, label in zip(scores, relevant, strict=True):
        probability = 1 / (1 + math.exp(-score))
        bins.setdefault(min(int(probability * num_bins), num_bins - 1), []).append((probability, label))
    return math.fsum(
        len(held)
        / len(scores)
        * abs(
            math.fsum(probability for probability, _ in held) / len(held)
            - sum(label for _, label in held) / len(held)
        )
        for held in bins.values()
    )


def test_probabilities_are_the_sigmoid_and_never_overflow():
    assert probabilities([0.0, logit(0.9), -1000.0, 1000.0]) == pytest.approx([0.5, 0.9, 0.0, 1.0])


def test_the_brier_score_of_a_constant_half_is_a_quarter():
    assert brier_score([0.0] * 4, [1, 0, 0, 1]) == 0.25


def test_the_brier_score_and_the_log_loss_are_their_definitions():
    scores, relevant = [logit(0.8), logit(0.3)], [1, 1]
    assert brier_score(scores, relevant) == pytest.approx((0.2**2 + 0.7**2) / 2)
    assert log_loss(scores, relevant) == pytest.approx(-(math.log(0.8) + math.log(0.3)) / 2)


def test_scores_that_come_true_as_promised_have_no_calibration_error():
    scores = [logit(0.25)] * 4 + [logit(0.75)] * 4
    relevant = [1, 0, 0, 0, 1, 1, 1, 0]
    assert expected_calibration_error(scores, relevant) == pytest.approx(0)
    assert expected_calibration_error(scores, relevant, equal_mass=True) == pytest.approx(0)


def test_a_constant_score_is_off_by_its_distance_to_the_share_of_relevant_pairs():
    scores, relevant = [logit(0.9)] * 10, [1] * 3 + [0] * 7
    for equal_mass in (False, True):
        assert expected_calibration_error(scores, relevant, equal_mass=equal_mass) == pytest.approx(0.6)


@given(pairs, st.integers(1, 20))
def test_the_calibration_error_is_that_of_a_loop_over_bins(drawn, num_bins):
    scores, relevant = zip(*drawn, strict=True)
    found = expected_calibration_error(scores, relevant, num_bins=num_bins)
    assert found == pytest.approx(naive_ece(scores, relevant, num_bins), abs=1e-9)


@given(pairs, st.integers(1, 20), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_changes_nothing(drawn, num_bins, random):
    shuffled = random.sample(drawn, len(drawn))
    first, second = (
        calibrate([s for s, _ in given_], [y for _, y in given_], num_bins=num_bins)
        for given_ in (drawn, shuffled)
    )
    assert first.num_relevant == second.num_relevant
    for name in ("ece", "ece_equal_mass", "brier", "log_loss", "ece_at_temperature"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-9)


@given(pairs, st.integers(1, 20))
def test_errors_lie_between_their_limits_and_bins_hold_every_pair(drawn, num_bins):
    scores, relevant = zip(*drawn, strict=True)
    found = calibrate(scores, relevant, num_bins=num_bins)
    assert 0 <= found.ece <= 1
    assert 0 <= found.ece_equal_mass <= 1
    assert 0 <= found.brier <= 1
    assert sum(row.count for row in found.bins) == len(drawn)
    assert sum(row.share_relevant * row.count for row in found.bins) == pytest.approx(sum(relevant))
    means = [row.mean_probability for row in found.bins]
    assert means == sorted(means)


@given(pairs)
def test_one_bin_gives_the_distance_of_the_two_means(drawn):
    scores, relevant = zip(*drawn, strict=True)
    expected = abs(float(np.mean(probabilities(scores))) - sum(relevant) / len(relevant))
    for equal_mass in (False, True):
        found = expected_calibration_error(scores, relevant, num_bins=1, equal_mass=equal_mass)
        assert found == pytest.approx(expected, abs=1e-12)


def test_bins_of_equal_mass_hold_the_same_number_of_distinct_scores():
    generator = np.random.default_rng(0)
    scores = generator.permutation(np.linspace(-3, 3, 60))
    relevant = generator.random(60) < probabilities(scores)
    order = np.argsort(scores)
    gaps = [abs(probabilities(scores[block]).sum() - relevant[block].sum()) for block in np.split(order, 6)]
    found = expected_calibration_error(scores, relevant, num_bins=6, equal_mass=True)
    assert found == pytest.approx(sum(gaps) / 60)


def test_a_bin_of_the_curve_says_what_was_promised_and_what_came_true():
    scores = [logit(0.11)] * 4 + [logit(0.95)] * 2
    low, high = reliability_curve(scores, [1, 0, 0, 0, 1, 1], num_bins=10)
    assert (low.count, low.share_relevant) == (4, 0.25)
    assert low.mean_probability == pytest.approx(0.11)
    assert (low.low, low.high) == wilson_interval(1, 4)
    assert (high.count, high.share_relevant, high.high) == (2, 1.0, 1.0)


def test_the_wilson_interval_solves_its_equation():
    # its limits are the shares p at which the observed share is z standard errors away
    for hits, count in ((1, 4), (7, 9), (50, 1000)):
        for limit in wilson_interval(hits, count):
            distance = abs(hits / count - limit)
            assert distance == pytest.approx(1.959963984540054 * math.sqrt(limit * (1 - limit) / count))
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


@given(st.integers(1, 500), st.data())
def test_the_wilson_interval_holds_the_share(count, data):
    hits = data.draw(st.integers(0, count))
    low, high = wilson_interval(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    assert low < high


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.5])
def test_the_best_temperature_of_two_groups_has_a_closed_form(temperature):
    # groups at +s and -s that come true as 0.8 and 0.2: the best divisor makes sigmoid(s / T) = 0.8
    score = temperature * logit(0.8)
    scores = [score] * 10 + [-score] * 10
    relevant = [1] * 8 + [0] * 2 + [1] * 2 + [0] * 8
    assert best_temperature(scores, relevant) == pytest.approx(temperature, rel=1e-6)


def test_no_temperature_near_the_best_has_a_lower_log_loss():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=400) * 4
    relevant = generator.random(400) < probabilities(scores / 2.5)
    best = best_temperature(scores, relevant)
    losses = [log_loss(scores / (best * factor), relevant) for factor in (0.97, 1.0, 1.03)]
    assert losses[1] == min(losses)
    assert best == pytest.approx(2.5, rel=0.4)


def test_the_temperature_of_scores_without_an_optimum_is_a_limit():
    assert best_temperature([2.0, -2.0], [1, 0]) == COLDEST
    assert best_temperature([2.0, -2.0], [0, 1]) == HOTTEST
    assert best_temperature([0.0, 0.0], [0, 1]) == 1.0


def test_the_temperature_is_applied_to_no_other_number():
    scores, relevant = [8.0] * 10, [1] * 6 + [0] * 4
    found = calibrate(scores, relevant)
    assert found.temperature > 1
    assert found.ece == expected_calibration_error(scores, relevant)
    assert found.ece_at_temperature == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "relevant", "message"),
    [
        ([], [], "at least one"),
        ([1.0], [1, 0], "one label for each score"),
        ([1.0, math.nan], [1, 0], "position 1"),
        ([1.0], [2], "0 for not relevant"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, relevant, message):
    with pytest.raises(ValueError, match=message):
        calibrate(scores, relevant)


@pytest.mark.parametrize(
    "call", [lambda: wilson_interval(1, 0), lambda: reliability_curve([1.0], [1], num_bins=0)]
)
def test_impossible_numbers_are_refused(call):
    with pytest.raises(ValueError, match=r"no share|num_bins"):
        call()
