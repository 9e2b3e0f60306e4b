"""First stages are what is said of them, no document is added, and the gain is the one of a closed form."""

import numpy as np
import pytest

from gmr.bench.analysis.cases import cases_of
from gmr.bench.analysis.first_stage import (
    DEPTH,
    GAIN,
    STRENGTH,
    _orders,
    first_stage_strength,
    reranked,
)
from gmr.bench.analysis.options import Options
from gmr.core.errors import DataError
from gmr.metrics.measures import evaluate
from tests.bench.analysis.fakes import Biased, make_task

OPTIONS = Options(limit=None)


def test_an_oracle_gains_what_the_first_stage_lacks_once_it_reaches_the_relevant():
    result = first_stage_strength(Biased(relevance=10.0), [make_task()], OPTIONS)
    # The relevant document is the second of the first stage.
    lacking = 1 - 1 / np.log2(3)
    table = result.table(DEPTH)
    for depth, gain in ((1, 0.0), (2, lacking), (5, lacking), (8, lacking)):
        assert table.find(f"as given, depth {depth}", GAIN).mean == pytest.approx(gain)
    assert result.table(STRENGTH).find("as given", GAIN).is_shown
    assert table.find("as given, depth 2", "by more depth").mean == pytest.approx(lacking)
    assert table.find("as given, depth 2", "helped").mean == 1.0
    assert table.find("as given, depth 1", "in reach").mean == 0.0
    assert table.find("as given, depth 2", "in reach").mean == 1.0


def test_a_scorer_that_puts_the_relevant_last_hurts_more_with_depth():
    result = first_stage_strength(Biased(relevance=-10.0), [make_task()], OPTIONS)
    values = [
        result.table(DEPTH).find(f"as given, depth {depth}", "reranked").mean for depth in (1, 2, 3, 5, 8)
    ]
    assert values == pytest.approx([1 / np.log2(1 + rank) for rank in (2, 2, 3, 5, 8)])
    assert "is lower than at the depth before at" in result.sentences[-1]
    assert result.table(STRENGTH).find("as given", "hurt").mean == 1.0


def test_the_oracle_does_not_depend_on_the_first_stage_once_all_is_reranked():
    table = first_stage_strength(Biased(relevance=10.0), [make_task()], OPTIONS).table(STRENGTH)
    assert {row.estimates["reranked"].mean for row in table.summary()} == {1.0}
    stages = {row.change.label: row.estimates["first stage"].mean for row in table.summary()}
    assert stages["weaker"] < stages["as given"] < stages["stronger"]


def test_weaker_and_stronger_are_the_same_documents_in_another_order():
    for case in cases_of(make_task(num_queries=20, relevant=(1, 4)), OPTIONS):
        orders = _orders(case, OPTIONS)
        given = orders["as given"]
        assert all(sorted(order) == sorted(given) for order in orders.values())
        for name, is_moved in (("weaker", slice(-2, None)), ("stronger", slice(0, 2))):
            moved = [d for d in orders[name][is_moved] if case.is_relevant(d)]
            rest = [d for d in orders[name] if d not in moved]
            assert rest == [d for d in given if d not in moved]


def test_what_was_moved_is_counted():
    result = first_stage_strength(Biased(), [make_task(num_queries=40)], OPTIONS)
    count, _, total = result.facts["relevant_moved_in_weaker"].partition(" of ")
    assert total == "40"
    assert 10 < int(count) < 30
    assert result.facts["relevant_moved_in_stronger"] == result.facts["relevant_moved_in_weaker"]


def test_the_rest_follows_the_reranked_in_its_order():
    ranking = reranked(["a", "b", "c", "d"], {"a": -9.0, "b": -7.0}, depth=2)
    assert sorted(ranking, key=ranking.get, reverse=True) == ["b", "a", "c", "d"]
    assert evaluate({"q": ranking}, {"q": {"c": 1}}, ["rr"])["rr"]["q"] == pytest.approx(1 / 3)


def test_further_runs_stand_beside():
    task = make_task()
    best = {q: {f"{q}.d1": 2.0, f"{q}.d0": 1.0} for q in task.queries}
    table = first_stage_strength(Biased(), [task], Options(None, runs={"best": {"task": best}})).table(
        STRENGTH
    )
    assert table.find("best", "first stage").mean == 1.0


def test_a_run_of_no_task_is_an_error():
    with pytest.raises(DataError, match="run 'x': no task is called 'other'; there are task"):
        first_stage_strength(Biased(), [make_task()], Options(None, runs={"x": {"other": {}}}))
    runs = {"x": {"task": {"q0": {"nowhere": 1.0}}}}
    with pytest.raises(DataError, match="not in the corpus"):
        first_stage_strength(Biased(), [make_task()], Options(None, runs=runs))
