import itertools

import numpy as np
import pytest

from gmr.core.errors import DataError
from gmr.evaluation import (
    compare,
    compare_systems,
    comparison_table,
    evaluate_run,
    summarise,
    summary_table,
)
from gmr.metrics.statistics import holm, paired_randomisation, stratified_interval, stratified_randomisation
from tests.evaluation.tasks import text_task

TASKS = [
    text_task("names", "t2i", num_queries=30),
    text_task("pages", "t2vd", num_queries=8),
    text_task("looks", "i2i", num_queries=12),
    text_task("captions", "t2i", num_queries=20),
]


def noisy_results(seed, skill, tasks=TASKS):
    """A system that adds ``skill`` to the relevant document of each query, and noise to all."""
    generator = np.random.default_rng(seed)
    return [
        evaluate_run(
            {
                q: {d: skill * (d in task.qrels[q]) + float(generator.normal()) for d in scores}
                for q, scores in task.first_stage.items()
            },
            task,
            measures=["ndcg@10", "rr"],
        )
        for task in tasks
    ]


RESULTS = {"base": noisy_results(1, 0.0), "sft": noisy_results(2, 2.0), "cl": noisy_results(3, 1.8)}


def values(system, *names):
    return [list(r.per_query["ndcg@10"].values()) for r in RESULTS[system] if r.task_name in names]


def test_comparing_two_results_is_the_paired_test_of_their_queries():
    a, b = RESULTS["sft"][0], RESULTS["cl"][0]
    comparison = compare(a, b)
    [va], [vb] = values("sft", "names"), values("cl", "names")
    assert comparison.delta.mean == pytest.approx(a.mean() - b.mean())
    assert comparison.p_value == comparison.adjusted_p_value == paired_randomisation(va, vb)
    assert comparison.wins == sum(x > y for x, y in zip(va, vb, strict=True)) > 0
    assert comparison.losses == sum(x < y for x, y in zip(va, vb, strict=True)) > 0
    assert comparison.wins + comparison.ties + comparison.losses == 30
    assert comparison.label == "names"


def test_a_result_against_itself_differs_by_nothing():
    comparison = compare(RESULTS["cl"][0], RESULTS["cl"][0])
    assert (comparison.delta.mean, comparison.p_value, comparison.ties) == (0.0, 1.0, 30)


def test_the_order_of_queries_in_a_result_does_not_matter():
    a, b = RESULTS["sft"][0], RESULTS["base"][0]
    turned = evaluate_run(dict(reversed(b.run.items())), TASKS[0], measures=["ndcg@10"])
    reversed_qrels = dict(reversed(turned.per_query["ndcg@10"].items()))
    turned = type(turned)(**{**vars(turned), "per_query": {"ndcg@10": reversed_qrels}})
    assert list(turned.per_query["ndcg@10"]) != list(b.per_query["ndcg@10"])
    assert compare(a, turned) == compare(a, b)


def test_rows_come_by_type_then_group_then_mean_in_the_order_of_tables():
    rows = summarise(RESULTS)
    assert [(row.level, row.label, row.num_tasks, row.num_queries) for row in rows] == [
        ("type", "i2i", 1, 12),
        ("type", "t2i", 2, 50),
        ("type", "t2vd", 1, 8),
        ("group", "single", 1, 12),
        ("group", "cross", 3, 58),
        ("mean", "mean", 4, 70),
    ]
    assert [list(row.values) for row in rows] == [["base", "sft", "cl"]] * 6


def test_every_task_weighs_the_same_in_a_mean():
    rows = {(row.level, row.label): row for row in summarise(RESULTS)}
    for system, results in RESULTS.items():
        means = {result.task_name: result.mean() for result in results}
        of_type = (means["names"] + means["captions"]) / 2
        assert rows["type", "t2i"].values[system].mean == pytest.approx(of_type)
        assert rows["mean", "mean"].values[system].mean == pytest.approx(np.mean(list(means.values())))
        expected = stratified_interval(values(system, "names", "captions"))
        assert rows["type", "t2i"].values[system] == expected


def test_a_row_for_each_task_and_another_measure_on_request():
    rows = summarise(RESULTS, levels=("task",), measure="rr")
    assert [row.label for row in rows] == ["names", "pages", "looks", "captions"]
    assert rows[1].values["sft"].mean == pytest.approx(RESULTS["sft"][1].mean("rr"))


def test_comparisons_are_corrected_within_their_level():
    pairs = [("sft", "base"), ("sft", "cl")]
    comparisons = compare_systems(RESULTS, pairs)
    assert [(c.level, c.label, c.a, c.b) for c in comparisons] == [
        *(("type", label, a, b) for label, (a, b) in itertools.product(["i2i", "t2i", "t2vd"], pairs)),
        *(("mean", "mean", a, b) for a, b in pairs),
    ]
    for level in ("type", "mean"):
        rows = [c for c in comparisons if c.level == level]
        assert [c.adjusted_p_value for c in rows] == holm([c.p_value for c in rows])
    t2i = comparisons[2]
    expected = stratified_randomisation(
        values("sft", "names", "captions"), values("base", "names", "captions")
    )
    assert t2i.p_value == expected < 0.01


def test_tables_show_types_as_papers_write_them():
    text = summary_table(summarise(RESULTS))
    assert [line.split()[0] for line in text.splitlines()[2:]] == [
        "I→I",
        "T→I",
        "T→VD",
        "single",
        "cross",
        "mean",
    ]
    assert str(RESULTS["sft"][2].interval()) in text
    latex = summary_table(summarise(RESULTS), style="latex")
    assert r"T$\to$VD" in latex
    assert len({line.index("&") for line in latex.splitlines() if "&" in line}) == 1


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv"])
def test_comparisons_print_difference_interval_and_both_p_values(style):
    comparisons = compare_systems(RESULTS, [("sft", "base")], levels=("mean",))
    table = comparison_table(comparisons, style=style)
    assert str(comparisons[0].delta) in table
    assert f"{comparisons[0].p_value:.4f}" in table
    assert f"{comparisons[0].wins}/{comparisons[0].ties}/{comparisons[0].losses}" in table


def test_systems_on_different_tasks_are_refused_by_system_and_task():
    with pytest.raises(DataError, match="cl: no result of task 'captions'"):
        summarise({"sft": RESULTS["sft"], "cl": RESULTS["cl"][:-1]})
    with pytest.raises(DataError, match="sft: no result of task 'captions'"):
        summarise({"sft": RESULTS["sft"][:-1], "cl": RESULTS["cl"]})


def test_systems_on_different_queries_are_refused():
    fewer = noisy_results(4, 1.0, [text_task("names", "t2i", num_queries=29)])
    message = "fewer: task 'names' has ndcg@10 of 29 queries; to compare, it takes the 30 of sft and ndcg@10"
    with pytest.raises(DataError, match=message):
        summarise({"sft": RESULTS["sft"][:1], "fewer": fewer})


def test_results_with_different_main_measures_are_refused_unless_one_is_named():
    other = [evaluate_run(r.run, task, measures=["rr"]) for r, task in zip(RESULTS["cl"], TASKS, strict=True)]
    with pytest.raises(DataError, match="cl: task 'captions' has rr of 20 queries; to compare, it takes"):
        summarise({"sft": RESULTS["sft"], "cl": other})
    assert summarise({"sft": RESULTS["sft"], "cl": other}, measure="rr")


def test_a_task_given_twice_is_refused():
    with pytest.raises(DataError, match="sft: two results of task 'names'"):
        summarise({"sft": [*RESULTS["sft"], RESULTS["sft"][0]]})


def test_no_results_unknown_systems_and_unknown_levels_are_refused():
    for empty in ({}, {"sft": []}):
        with pytest.raises(DataError, match="no results to summarise"):
            summarise(empty)
    with pytest.raises(DataError, match="no results of dpo; there are base, sft, cl"):
        compare_systems(RESULTS, [("sft", "dpo")])
    with pytest.raises(ValueError, match="unknown level 'suite'; there are task, type, group, mean"):
        summarise(RESULTS, levels=("suite",))
