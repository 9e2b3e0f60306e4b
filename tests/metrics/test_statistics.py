import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.metrics.statistics import (
    Interval,
    bootstrap_interval,
    holm,
    paired_randomisation,
    stratified_interval,
    stratified_randomisation,
)


def test_an_interval_prints_three_digits():
    assert str(Interval(0.6123, 0.58, 0.6411)) == "0.612 [0.580, 0.641]"


def test_the_bootstrap_has_the_width_of_the_normal_interval():
    values = np.random.default_rng(1).normal(0.6, 0.25, size=400)
    interval = bootstrap_interval(values, num_resamples=20_000)
    half = 1.96 * values.std() / math.sqrt(400)
    assert interval.mean == pytest.approx(values.mean(), abs=1e-15)
    assert interval.high - values.mean() == pytest.approx(half, rel=0.05)
    assert values.mean() - interval.low == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_hold_the_true_mean_about_as_often_as_they_say(confidence):
    generator = np.random.default_rng(2)
    samples = generator.normal(0.5, 0.2, size=(400, 60))
    intervals = [bootstrap_interval(sample, confidence=confidence, num_resamples=500) for sample in samples]
    held = np.mean([interval.low <= 0.5 <= interval.high for interval in intervals])
    # the share has a standard error of at most 0.02; the percentile bootstrap falls 0.01 short at n = 60
    assert abs(held - confidence) < 0.05


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    values = np.random.default_rng(3).random(50)
    assert bootstrap_interval(values, seed=7) == bootstrap_interval(values, seed=7)
    assert bootstrap_interval(values, seed=7) != bootstrap_interval(values, seed=8)


def test_equal_values_have_no_width():
    interval = bootstrap_interval([0.25] * 20)
    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_tasks_weigh_the_same_however_many_queries_they_have():
    interval = stratified_interval([[1.0] * 100, [0.0]])
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_resampling_inside_tasks_has_the_closed_form_width():
    generator = np.random.default_rng(4)
    strata = [generator.normal(0.2, 0.1, size=300), generator.normal(0.9, 0.3, size=500)]
    interval = stratified_interval(strata, num_resamples=20_000)
    half = 1.96 * math.sqrt(sum(stratum.var() / len(stratum) for stratum in strata)) / 2
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf], [[0.5, 0.5]]])
def test_values_that_have_no_mean_are_refused(values):
    with pytest.raises(ValueError, match="per-query value"):
        bootstrap_interval(values)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"confidence": 0.0}, {"num_resamples": 0}])
def test_bootstrap_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_interval([0.5], **options)


def test_no_strata_are_refused():
    with pytest.raises(ValueError, match="at least one stratum"):
        stratified_interval([])


def enumerated_p_value(differences):
    observed = abs(math.fsum(differences))
    sums = [
        abs(math.fsum(sign * difference for sign, difference in zip(signs, differences, strict=True)))
        for signs in itertools.product([-1, 1], repeat=len(differences))
    ]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=9))
def test_small_paired_tests_equal_enumeration(pairs):
    a, b = [x / 10 for x, _ in pairs], [y / 10 for _, y in pairs]
    expected = enumerated_p_value([x - y for x, y in zip(a, b, strict=True)])
    assert paired_randomisation(a, b) == pytest.approx(expected, abs=1e-12)
    assert paired_randomisation(b, a) == pytest.approx(expected, abs=1e-12)


def test_five_wins_of_five_have_the_p_value_of_the_sign_test():
    assert paired_randomisation([0.9] * 5, [0.1] * 5) == 2 / 2**5


def test_queries_without_a_difference_change_nothing():
    a, b = [0.9, 0.7, 0.2, 0.8], [0.1, 0.6, 0.3, 0.1]
    assert paired_randomisation(a + [0.5] * 1000, b + [0.5] * 1000) == paired_randomisation(a, b)


def test_equal_systems_have_p_value_one():
    assert paired_randomisation([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) == 1.0


def test_drawn_sign_patterns_approach_the_exact_p_value():
    generator = np.random.default_rng(6)
    a, b = generator.random(16), generator.random(16) - 0.12
    exact = paired_randomisation(a, b, num_permutations=2**16)
    assert exact == enumerated_p_value(a - b)
    drawn = paired_randomisation(a, b, num_permutations=20_000)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_the_drawn_p_value_is_seeded_and_never_zero():
    a, b = np.ones(200), np.zeros(200)
    assert paired_randomisation(a, b, num_permutations=999) == 1 / 1000
    noisy = np.random.default_rng(7).normal(0.01, 0.2, size=200)
    assert paired_randomisation(noisy, b, seed=1) == paired_randomisation(noisy, b, seed=1)
    assert paired_randomisation(noisy, b, seed=1) != paired_randomisation(noisy, b, seed=2)


def test_a_large_sample_has_the_p_value_of_the_normal_test():
    differences = np.random.default_rng(8).normal(0.02, 0.3, size=900)
    z = abs(differences.sum()) / math.sqrt((differences**2).sum())
    normal = math.erfc(z / math.sqrt(2))
    assert paired_randomisation(differences, np.zeros(900)) == pytest.approx(normal, abs=0.02)


def test_under_the_null_hypothesis_p_values_keep_the_level():
    samples = np.random.default_rng(9).normal(0, 1, size=(600, 30))
    p_values = [paired_randomisation(sample, np.zeros(30), num_permutations=400) for sample in samples]
    rejected = np.mean(np.array(p_values) <= 0.1)
    assert 0.05 < rejected < 0.15


def test_the_statistic_of_several_tasks_is_the_mean_of_their_means():
    # all 4 queries of one task win, the only query of the other loses: as tasks nearly even, as queries not
    a, b = [[0.9] * 4, [0.1]], [[0.4] * 4, [0.7]]
    weighted = enumerated_p_value([0.5 / 4] * 4 + [-0.6])
    assert stratified_randomisation(a, b) == weighted == 1.0
    assert paired_randomisation([0.9] * 4 + [0.1], [0.4] * 4 + [0.7]) == 12 / 2**5


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="not of 2 and 3"):
        paired_randomisation([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="same tasks"):
        stratified_randomisation([[0.1]], [])
    with pytest.raises(ValueError, match="num_permutations 0"):
        paired_randomisation([0.1], [0.2], num_permutations=0)


def test_holm_adjusts_the_published_example():
    # Holm 1979 by hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, kept rising
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[i] * (len(p_values) - step) > level:
                break
            rejected.add(i)
        assert {i for i, p_value in enumerate(adjusted) if p_value <= level} == rejected


def test_holm_refuses_what_is_no_p_value():
    for p_value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm([0.5, p_value])
