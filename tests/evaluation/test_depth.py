import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run
from gmr.evaluation.depth import choose_depths, depth_curve, depth_curves, depth_values
from gmr.metrics.statistics import bootstrap_interval, stratified_interval
from tests.evaluation.tasks import text_task
from tests.metrics.naive import naive_measure


def made_task(grades, first_stage, name="made", measure="ndcg@10"):
    """One query for each row; document ``j`` of query ``i`` is ``qi/j``."""
    queries = {f"q{i}": Query(f"q{i}", (Text("q"),)) for i in range(len(grades))}
    corpus = {
        f"q{i}/{j}": Document(f"q{i}/{j}", (Text("d"),))
        for i, row in enumerate(grades)
        for j in range(len(row))
    }
    table = lambda rows: {f"q{i}": {f"q{i}/{j}": v for j, v in enumerate(r)} for i, r in enumerate(rows)}  # noqa: E731
    return RerankTask(name, "t2t", queries, corpus, table(grades), table(first_stage), measure)


def run_of(rows):
    return {f"q{i}": {f"q{i}/{j}": v for j, v in enumerate(row)} for i, row in enumerate(rows)}


def naive_value(task, run, query_id, depth):
    """Reorder the list by hand and measure it by the definition."""
    stage = task.first_stage[query_id]
    order = sorted(stage, key=lambda d: (stage[d], d), reverse=True)
    head = sorted(order[:depth], key=lambda d: (run[query_id][d], d), reverse=True)
    judged = task.qrels[query_id]
    name, _, cutoff = task.measure.partition("@")
    ranked = [judged.get(d, 0) for d in head + order[depth:]]
    return naive_measure(name, int(cutoff) if cutoff else None, ranked, list(judged.values()))


scores = st.integers(-3, 3).map(float)


@given(st.data(), st.sampled_from(["ndcg@10", "ndcg", "rr@10", "recall@5", "ap", "p@3", "hit@1"]))
def test_the_curve_is_that_of_a_list_reordered_by_hand(data, measure):
    num = data.draw(st.integers(1, 12))
    row = lambda values: st.lists(values, min_size=num, max_size=num)  # noqa: E731
    grades = data.draw(st.lists(row(st.integers(0, 2)).filter(any), min_size=1, max_size=4))
    rows = st.lists(row(scores), min_size=len(grades), max_size=len(grades))
    task = made_task(grades, data.draw(rows), measure=measure)
    run = run_of(data.draw(rows))
    depths = (1, 2, 3, 7, num)
    found = depth_values(task, {"a": run}, depths=depths)
    for place, depth in enumerate(depths):
        for column, query_id in enumerate(task.qrels):
            expected = naive_value(task, run, query_id, depth)
            assert found.systems["a"][place, column] == pytest.approx(expected, abs=1e-12)
    best = np.maximum(found.systems["a"], found.first_stage)
    assert (best <= found.oracle + 1e-12).all()


@given(st.data())
def test_depth_one_is_the_first_stage_and_the_largest_depth_is_the_result(data):
    num, num_queries = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 3))
    rows = st.lists(st.lists(scores, min_size=num, max_size=num), min_size=num_queries, max_size=num_queries)
    grades = [[1] + [0] * (num - 1)] * num_queries
    task, run = made_task(grades, data.draw(rows)), run_of(data.draw(rows))
    expected = data.draw(st.booleans())
    found = depth_values(task, {"a": run}, depths=(1, num), expected_under_ties=["a"] if expected else [])
    assert found.systems["a"][0] == pytest.approx(found.first_stage[0])
    result = evaluate_run(run, task, expected_under_ties=expected)
    assert found.systems["a"][-1] == pytest.approx(list(result.values().values()))


def test_a_constant_scorer_is_worth_its_expectation_among_the_first_candidates():
    task = made_task([[0, 0, 0, 1]], [[4.0, 3.0, 2.0, 1.0]], measure="rr")
    run = run_of([[7.0] * 4])
    found = depth_values(task, {"chance": run}, depths=(1, 3, 4), expected_under_ties=["chance"])
    assert found.systems["chance"][:, 0] == pytest.approx([1 / 4, 1 / 4, (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4])
    assert found.oracle[:, 0] == pytest.approx([1 / 4, 1 / 4, 1.0])


def test_what_a_run_does_not_score_is_not_found_at_any_depth():
    task = text_task(num_queries=2, num_candidates=3)
    run = {"q0": {"q0.d0": 1.0, "q0.d2": 0.0}}
    found = depth_values(task, {"a": run}, depths=(1, 3))
    assert found.systems["a"] == pytest.approx(np.zeros((2, 2)))
    assert found.first_stage == pytest.approx(np.full((2, 2), 1 / math.log2(3)))


def test_a_document_that_is_no_candidate_has_no_depth():
    task = text_task(num_queries=1, num_candidates=3)
    run = {"q0": {"q0.d0": 0.0, "q0.d1": 1.0, "q0.d2": 0.0, "elsewhere": 9.0}}
    assert depth_values(task, {"a": run}, depths=(3,)).systems["a"][0, 0] == 1.0


def test_a_query_without_candidates_is_worth_nothing():
    task = text_task(num_queries=2)
    cut = RerankTask("cut", "t2t", task.queries, task.corpus, task.qrels, {"q0": task.first_stage["q0"]})
    found = depth_values(cut, {"a": cut.first_stage}, depths=(5,))
    assert found.oracle[0].tolist() == [1.0, 0.0]


def test_depths_are_the_usual_ones_and_the_most_candidates():
    assert choose_depths([text_task(num_candidates=30)]) == (1, 2, 3, 5, 10, 20, 30)
    assert choose_depths([text_task(num_candidates=3), text_task(num_candidates=100)])[-2:] == (50, 100)
    assert choose_depths([made_task([[1]], [[0.0]])]) == (1,)


def noisy_run(task, seed):
    generator = np.random.default_rng(seed)
    return {
        q: {d: float(generator.normal() + 2 * (d in task.qrels[q])) for d in row}
        for q, row in task.first_stage.items()
    }


def test_the_interval_is_the_bootstrap_interval_but_for_the_draws():
    task = text_task(num_queries=150, num_candidates=20)
    result = evaluate_run(noisy_run(task, 0), task)
    curves = depth_curve(result, task)
    last = curves.systems["system"][-1]
    exact = bootstrap_interval(list(result.values().values()))
    assert last.mean == pytest.approx(exact.mean)
    width = exact.high - exact.low
    assert (last.low, last.high) == pytest.approx((exact.low, exact.high), abs=0.1 * width)
    assert curves.oracle[-1].mean == curves.oracle[-1].low == 1.0
    assert curves.first_stage.mean == pytest.approx(1 / math.log2(3))


def test_every_task_weighs_the_same_in_the_mean_and_is_resampled_alone():
    tasks = [
        text_task("a", num_queries=40, num_candidates=20),
        text_task("b", num_queries=40, num_candidates=20),
    ]
    runs = [noisy_run(task, seed) for seed, task in enumerate(tasks)]
    tables = [depth_values(task, {"m": run}, depths=(1, 20)) for task, run in zip(tasks, runs, strict=True)]
    values = [table.systems["m"][-1] for table in tables]
    pooled = depth_curves(tables).systems["m"][-1]
    exact = stratified_interval(values)
    assert pooled.mean == pytest.approx(exact.mean)
    width = exact.high - exact.low
    assert (pooled.low, pooled.high) == pytest.approx((exact.low, exact.high), abs=0.1 * width)


def test_the_same_seed_gives_the_same_curve():
    task = text_task(num_queries=30, num_candidates=8)
    result = evaluate_run(noisy_run(task, 5), task)
    assert depth_curve(result, task, seed=3) == depth_curve(result, task, seed=3)
    assert depth_curve(result, task, seed=3) != depth_curve(result, task, seed=4)


def test_what_has_no_curve_is_refused_by_name():
    task = text_task("bare")
    bare = RerankTask("bare", "t2t", task.queries, task.corpus, task.qrels, {})
    result = evaluate_run(task.first_stage, task)
    with pytest.raises(DataError, match="bare: there are no candidates"):
        depth_values(bare, {}, depths=(1,))
    with pytest.raises(DataError, match="bare: there are no candidates"):
        choose_depths([bare])
    with pytest.raises(DataError, match="'bare', not of 'other'"):
        depth_curve(result, text_task("other"))
    with pytest.raises(ValueError, match="at least 1"):
        depth_values(task, {}, depths=(0, 1))
    with pytest.raises(ValueError, match="same depths"):
        depth_curves([])
