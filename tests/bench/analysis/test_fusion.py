"""Sums of scores are sums; a weight is chosen on other queries than it is measured on."""

import math

import numpy as np
import pytest

from gmr.bench.analysis.fusion import (
    FIRST_ONLY,
    RERANK_ONLY,
    RRF,
    SCALES,
    VERSUS,
    cross_validated,
    fused_scores,
    fusion,
    why_not,
)
from gmr.bench.analysis.options import Options
from gmr.core.tasks import RerankTask
from tests.bench.analysis.fakes import Biased, make_task

OPTIONS = Options(limit=None)


def oracle_first(task):
    """The task with a first stage that is always right."""
    scores = {q: {d: float(d.endswith(".d1")) for d in row} for q, row in task.first_stage.items()}
    return RerankTask(**{**vars(task), "first_stage": scores})


def test_a_right_first_stage_helps_a_random_model_and_is_chosen():
    task = oracle_first(make_task(num_queries=20))
    table = fusion(Biased(), [task], OPTIONS).table("fused scores")
    assert table.find(FIRST_ONLY, "nDCG@10").mean == 1.0
    alone = table.find(RERANK_ONLY, "nDCG@10").mean
    chosen = table.find("score, w by cross-validation", VERSUS)
    assert chosen.mean == pytest.approx(1.0 - alone)
    assert chosen.is_shown


def test_a_wrong_first_stage_is_left_out_and_costs_nothing():
    table = fusion(Biased(relevance=10.0), [make_task(num_queries=20)], OPTIONS).table("fused scores")
    for scale in ("score", "sigmoid", "z-scores", "min-max"):
        estimate = table.find(f"{scale}, w by cross-validation", VERSUS)
        assert estimate.mean == 0.0
        assert not estimate.is_shown


def test_of_equally_good_weights_the_model_alone_is_taken():
    result = fusion(Biased(relevance=100.0), [oracle_first(make_task(num_queries=10))], OPTIONS)
    assert result.facts["chosen_weights"]["task"]["score"] == ["inf"] * 5


def test_the_weight_of_a_query_never_saw_it():
    # Each query alone prefers a weight of its own: whoever peeked would get 1.0 for all.
    by_weight = {float(w): [1.0 if w == q else 0.0 for q in range(4)] for w in range(4)}
    values, _ = cross_validated(by_weight, [[0], [1], [2], [3]])
    assert values == [0.0] * 4


def test_cross_validation_takes_the_best_of_the_others():
    by_weight = {0.0: [1.0, 0.0, 0.0, 0.0], 1.0: [0.0, 0.5, 0.5, 0.5]}
    values, weights = cross_validated(by_weight, [[0, 1], [2, 3]])
    assert values == [0.0, 0.5, 0.0, 0.0]
    assert weights == [1.0, 0.0]


def test_sums_and_scales_are_closed_forms():
    first, second = {"a": 0.0, "b": 1.0, "c": 5.0}, {"a": 4.0, "b": 2.0, "c": 0.0}
    assert fused_scores(first, second, weight=0.5) == {"a": 2.0, "b": 2.0, "c": 5.0}
    assert fused_scores(first, second, weight=math.inf) == second
    assert SCALES["min-max"][1](second) == {"a": 1.0, "b": 0.5, "c": 0.0}
    values = np.array(list(SCALES["z-scores"][0](first).values()))
    assert (values.mean(), values.std()) == (pytest.approx(0), pytest.approx(1))
    for scale in ("min-max", "z-scores"):  # equal scores stay equal, and say nothing
        assert len(set(SCALES[scale][0]({"a": 3.0, "b": 3.0}).values())) == 1


def test_reciprocal_ranks_are_summed_over_both_rankings():
    task, model = make_task(num_queries=9), Biased(relevance=0.5)
    expected = []
    for query_id, row in task.first_stage.items():
        second = {d: float(model.one(task.queries[query_id], task.corpus[d])) for d in row}
        order = [sorted(scores, key=scores.__getitem__, reverse=True) for scores in (row, second)]
        total = {d: 1 / (61 + order[0].index(d)) + 1 / (61 + order[1].index(d)) for d in row}
        mine = total[f"{query_id}.d1"]
        above = sum(value > mine + 1e-12 for value in total.values())
        equal = sum(abs(value - mine) <= 1e-12 for value in total.values())
        expected.append(np.mean([1 / math.log2(above + place + 2) for place in range(equal)]))
    found = fusion(model, [task], OPTIONS).table("fused scores").find(RRF, "nDCG@10").mean
    assert found == pytest.approx(np.mean(expected), abs=1e-12)


def test_every_row_is_there_and_the_curve_has_finite_weights_alone():
    result = fusion(Biased(), [make_task()], OPTIONS)
    labels = {row.change.label for row in result.table("fused scores").rows}
    assert {RRF, "score, w = 1", "sigmoid, w = 0.5", "score, w = 0.1"} <= labels
    assert all(math.isfinite(row.change.x) for row in result.table("every weight").rows)


def test_a_first_stage_without_an_opinion_has_nothing_to_add():
    task = make_task()
    flat = RerankTask(
        **{**vars(task), "first_stage": {q: dict.fromkeys(row, 1.0) for q, row in task.first_stage.items()}}
    )
    assert why_not(flat, [flat]) == "the first stage has no scores that differ"
