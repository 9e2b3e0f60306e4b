"""Intervals over seeds and queries hold the truth as often as they say, whatever varies most."""

import numpy as np
import pytest

from gmr.metrics.seeds import crossed_effect
from gmr.metrics.statistics import stratified_interval

NUM_TRIALS = 400
NUM_QUERIES = (40, 25, 60)


def simulated(
    generator: np.random.Generator, *, num_seeds: int, of_seed: float, of_query: float, of_both: float
) -> list[np.ndarray]:
    """Differences of two systems that are equal: all that is in them is luck of known size."""
    seeds = generator.normal(0, of_seed, size=(num_seeds, 1))
    return [
        seeds + generator.normal(0, of_query, size=num) + generator.normal(0, of_both, size=(num_seeds, num))
        for num in NUM_QUERIES
    ]


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize(
    ("of_seed", "of_query", "of_both"),
    [(0.05, 0.02, 0.02), (0.0, 0.2, 0.05), (0.0, 0.0, 0.25), (0.01, 0.15, 0.25)],
    ids=["seeds", "queries", "both together", "all three"],
)
def test_an_interval_of_95_percent_holds_the_truth_in_about_95_percent_of_experiments(
    num_seeds: int, of_seed: float, of_query: float, of_both: float
) -> None:
    generator = np.random.default_rng(5)
    held = rejected = 0
    for _ in range(NUM_TRIALS):
        tables = simulated(
            generator, num_seeds=num_seeds, of_seed=of_seed, of_query=of_query, of_both=of_both
        )
        effect = crossed_effect(tables, num_resamples=1000)
        held += effect.interval.low <= 0 <= effect.interval.high
        rejected += effect.p_value < 0.05
    assert 0.92 <= held / NUM_TRIALS <= 0.995
    assert rejected / NUM_TRIALS <= 0.08


def test_bootstrapping_three_seeds_would_not_do() -> None:
    """The reason for Student's t: with the seeds' luck alone, drawing seeds again holds the truth far too rarely."""
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(NUM_TRIALS):
        means = generator.normal(0, 1, size=3)
        drawn = means[generator.integers(0, 3, size=(1000, 3))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        held += low <= 0 <= high
    assert held / NUM_TRIALS < 0.8


def test_one_seed_is_the_bootstrap_over_queries() -> None:
    generator = np.random.default_rng(1)
    tables = [generator.normal(0.1, 0.3, size=(1, num)) for num in NUM_QUERIES]
    effect = crossed_effect(tables)
    expected = stratified_interval([table[0] for table in tables])
    assert effect.interval.mean == pytest.approx(expected.mean)
    assert effect.interval.low == pytest.approx(expected.low, abs=0.004)
    assert effect.interval.high == pytest.approx(expected.high, abs=0.004)
    assert (effect.num_seeds, effect.seed_deviation) == (1, 0.0)


def test_every_task_weighs_the_same_and_the_seeds_spread_is_that_of_their_means() -> None:
    tables = [np.array([[1.0], [3.0]]), np.array([[0.0] * 4, [2.0] * 4])]
    effect = crossed_effect(tables)
    assert effect.interval.mean == 1.5
    assert effect.seed_deviation == pytest.approx(np.std([0.5, 2.5], ddof=1))


def test_no_difference_at_all_is_no_effect() -> None:
    effect = crossed_effect([np.zeros((3, 10))])
    assert (effect.interval.low, effect.interval.high, effect.p_value) == (0.0, 0.0, 1.0)


def test_a_difference_on_every_query_and_seed_is_sure() -> None:
    effect = crossed_effect([np.full((3, 10), 0.25)])
    assert (effect.interval.low, effect.interval.high) == (0.25, 0.25)
    assert effect.p_value < 0.001


def test_the_same_seed_draws_the_same_interval() -> None:
    tables = simulated(np.random.default_rng(2), num_seeds=3, of_seed=0.1, of_query=0.1, of_both=0.1)
    assert crossed_effect(tables) == crossed_effect(tables)


@pytest.mark.parametrize(
    "tables",
    [[], [np.zeros(3)], [np.zeros((2, 0))], [np.zeros((2, 3)), np.zeros((3, 3))], [np.full((2, 2), np.nan)]],
    ids=["nothing", "no table", "no queries", "other seeds", "not a number"],
)
def test_what_is_no_table_of_seeds_and_queries_is_refused(tables: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"."):
        crossed_effect(tables)
