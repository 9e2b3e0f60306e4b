"""Means, intervals and tests of a table: right on average, corrected, and the same in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.bench.analysis.cases import Case, chance_in_top, expected_rank
from gmr.bench.analysis.results import Collector, Column
from gmr.bench.analysis.words import amount, cell, effect_sentence, number, percent
from gmr.metrics.statistics import bootstrap_interval, holm, paired_randomisation
from tests.bench.analysis.fakes import make_task

COLUMNS = {"x": Column("a number")}


def table_of(*samples, names=("task",), columns=COLUMNS):
    """Rows ``row 0``, ``row 1``, ... with the values of each task's queries."""
    collector = Collector()
    for place, by_task in enumerate(samples):
        for name, values in zip(names, by_task, strict=True):
            task = make_task(name, num_queries=len(values))
            for query, value in zip(task.queries.values(), values, strict=True):
                collector.add(f"row {place}", Case(task, query, ()), {"x": value})
    return collector.table("t", columns, drawn="x")


def test_an_estimate_is_the_mean_with_the_interval_and_test_of_the_library():
    values = np.random.default_rng(0).normal(0.4, 1, 9)
    estimate = table_of([values]).find("row 0", "x")
    assert estimate.value == bootstrap_interval(values)
    assert estimate.p_value == paired_randomisation(values, np.zeros(9))


def test_tests_are_corrected_over_the_rows():
    generator = np.random.default_rng(1)
    table = table_of(*([generator.normal(mean, 1, 12)] for mean in (0.2, 1.0, 2.0)))
    estimates = [table.find(f"row {place}", "x") for place in range(3)]
    expected = holm([estimate.p_value for estimate in estimates])
    assert [estimate.adjusted_p_value for estimate in estimates] == expected


def test_tasks_weigh_the_same_and_stand_below_their_mean():
    table = table_of([[1.0, 3.0], [10.0] * 6], names=("a", "b"))
    assert table.find("row 0", "x").mean == 6.0
    assert table.find("row 0", "x").num_tasks == 2
    assert table.find("row 0", "x", task="b").mean == 10.0
    assert [row.task for row in table.rows] == ["all tasks", "a", "b"]
    assert [row.is_summary for row in table.rows] == [True, False, False]
    assert table.find("row 0", "x", task="a").p_value is None


def test_intervals_hold_the_truth_and_no_effect_is_rarely_claimed():
    generator = np.random.default_rng(2)
    held = claimed = 0
    for _ in range(200):
        estimate = table_of([generator.normal(0.0, 1.0, 20)]).find("row 0", "x")
        held += estimate.value.low <= 0.0 <= estimate.value.high
        claimed += estimate.is_shown
    assert held >= 176  # 92 of 100 are expected of the percentile interval with 20 queries
    assert claimed <= 20


def test_rounding_is_no_effect_however_sure_its_sign():
    estimate = table_of([[1e-5] * 20]).find("row 0", "x")
    assert estimate.adjusted_p_value < 0.001
    assert not estimate.is_shown
    assert table_of([[1e-12] * 20]).find("row 0", "x").p_value == 1.0


def test_levels_and_what_is_not_asked_are_not_tested():
    for column in (Column("level", is_effect=False), Column("effect", is_tested=False)):
        assert table_of([[1.0] * 9], columns={"x": column}).find("row 0", "x").p_value is None


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 9))
def test_the_chances_of_the_top_sum_to_its_size(scores, k):
    others = [[*scores[:i], *scores[i + 1 :]] for i in range(len(scores))]
    chances = [chance_in_top(score, rest, k=k) for score, rest in zip(scores, others, strict=True)]
    assert sum(chances) == pytest.approx(min(k, len(scores)))
    ranks = [expected_rank(score, rest) for score, rest in zip(scores, others, strict=True)]
    assert sum(ranks) == pytest.approx(len(scores) * (len(scores) + 1) / 2)


def test_numbers_are_read_as_written():
    assert [number(x) for x in (0.0, -0.0, 1.5, -1.5, 4e-6, -1e-4)] == [
        "0.000",
        "0.000",
        "+1.500",
        "−1.500",
        "+4e-06",
        "−1e-04",
    ]
    assert number(0.25, is_signed=False, digits=1) == "0.2"
    assert [percent(x) for x in (0.0, 0.016, 0.5)] == ["0 %", "1.6 %", "50 %"]


def test_a_sentence_claims_what_is_shown_and_no_more():
    def sentence(values):
        estimate = table_of([values]).find("row 0", "x")
        return effect_sentence(estimate, raises="up", lowers="down", nothing="none"), estimate

    text, estimate = sentence([1.0] * 12)
    assert text == f"up: {amount(estimate)}."
    assert cell(estimate, COLUMNS["x"]).endswith(" *")
    assert sentence([-1.0] * 12)[0].startswith("down: −1.000")
    assert sentence([1.0, -1.0] * 6)[0].startswith("none: 0.000")
    assert sentence([1.0] * 5)[0].startswith("none, and 5 queries are too few to show one")
