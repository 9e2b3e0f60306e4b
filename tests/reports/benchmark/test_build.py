"""Every number of the report, computed a second time."""

import json
import math

import numpy as np
import pytest
import pytrec_eval

from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run
from gmr.evaluation.cost import Cost
from gmr.metrics.statistics import holm, stratified_interval, stratified_randomisation
from gmr.reports.benchmark import build_benchmark_report
from gmr.reports.benchmark.records import to_dict
from tests.reports.benchmark.samples import BASELINES, made_report, made_results, made_task, made_tasks

TASKS = made_tasks()
RESULTS = made_results(TASKS)
REPORT = made_report()
RECORD = json.loads(json.dumps(to_dict(REPORT), allow_nan=False))
MODELS = ("good", "fair")


def trec_values(system):
    """Task to query to nDCG@10, of the library of trec_eval."""
    values = {}
    for task, result in zip(TASKS, RESULTS[system], strict=True):
        judge = pytrec_eval.RelevanceEvaluator(
            {q: dict(row) for q, row in task.qrels.items()}, {"ndcg_cut.10"}
        )
        found = judge.evaluate({q: dict(row) for q, row in result.run.items()})
        values[task.name] = {q: found[q]["ndcg_cut_10"] for q in task.qrels}
    return values


TREC = {system: trec_values(system) for system in ("first stage", *MODELS)}
MEMBERS = {
    ("task", "names"): ["names"],
    ("task", "sounds"): ["sounds"],
    ("task", "looks"): ["looks"],
    ("type", "t2t"): ["names", "sounds"],
    ("type", "t2i"): ["looks"],
    ("group", "single"): ["names", "sounds"],
    ("group", "cross"): ["looks"],
    ("mean", "mean"): ["names", "sounds", "looks"],
}


def test_every_mean_is_that_of_trec_eval_with_every_task_of_the_same_weight():
    assert {(row["level"], row["label"]) for row in RECORD["summary"]} == set(MEMBERS)
    for row in RECORD["summary"]:
        names = MEMBERS[row["level"], row["label"]]
        assert row["num_tasks"] == len(names)
        assert row["num_queries"] == sum(len(TREC["good"][name]) for name in names)
        for system, values in TREC.items():
            expected = np.mean([np.mean(list(values[name].values())) for name in names])
            assert row["values"][system]["mean"] == pytest.approx(expected, abs=1e-9)


def test_every_interval_is_a_bootstrap_interval_over_queries():
    for row in RECORD["summary"]:
        for system in TREC:
            strata = [list(TREC[system][name].values()) for name in MEMBERS[row["level"], row["label"]]]
            exact = stratified_interval(strata)
            assert row["values"][system]["low"] == pytest.approx(exact.low, abs=1e-9)
            assert row["values"][system]["high"] == pytest.approx(exact.high, abs=1e-9)


def test_chance_is_the_expectation_of_a_random_order():
    # a query with grades 2 and 1 among its 12 candidates: every rank expects a twelfth of 3
    row = next(row for row in RECORD["summary"] if row["label"] == "sounds")
    expected = 3 / 12 * sum(1 / math.log2(rank + 1) for rank in range(1, 11)) / (2 + 1 / math.log2(3))
    assert row["values"]["chance"]["mean"] == pytest.approx(expected * 4 / 5)  # the fifth is unreachable


def test_every_comparison_is_the_paired_test_of_the_same_queries():
    levels = {row["level"] for row in RECORD["comparisons"]}
    assert levels == {"task", "type", "group", "mean"}
    for level in levels:
        rows = [row for row in RECORD["comparisons"] if row["level"] == level]
        for row in rows:
            names = MEMBERS[level, row["label"]]
            a, b = ([list(TREC[row[s]][name].values()) for name in names] for s in ("a", "b"))
            assert row["p_value"] == pytest.approx(stratified_randomisation(a, b), abs=2e-3)
            differences = np.concatenate(a) - np.concatenate(b)
            assert row["wins"] == (differences > 1e-12).sum()
            assert row["losses"] == (differences < -1e-12).sum()
            expected = np.mean([np.mean(x) - np.mean(y) for x, y in zip(a, b, strict=True)])
            assert row["delta"]["mean"] == pytest.approx(expected, abs=1e-9)
        adjusted = holm([row["p_value"] for row in rows])
        assert [row["adjusted_p_value"] for row in rows] == pytest.approx(adjusted)


def test_models_are_tested_against_the_first_stage_and_each_other_and_baselines_are_not():
    pairs = {(row.a, row.b) for row in REPORT.tests("mean")}
    assert pairs == {("good", "first stage"), ("fair", "first stage"), ("fair", "good")}
    assert {(row.a, row.b) for row in REPORT.tests("task")} == {
        ("good", "first stage"),
        ("fair", "first stage"),
    }


def test_depth_curves_end_at_the_result_and_start_at_the_first_stage():
    assert {(row["level"], row["label"]) for row in RECORD["depth"]} == {
        k for k in MEMBERS if k[0] != "group"
    }
    for row in RECORD["depth"]:
        names = MEMBERS[row["level"], row["label"]]
        stage = np.mean([np.mean(list(TREC["first stage"][name].values())) for name in names])
        assert row["curves"]["first_stage"]["mean"] == pytest.approx(stage)
        assert row["curves"]["depths"] == [1, 2, 3, 5, 10, 12]
        assert set(row["curves"]["systems"]) == set(MODELS)
        for system in MODELS:
            curve = row["curves"]["systems"][system]
            expected = np.mean([np.mean(list(TREC[system][name].values())) for name in names])
            assert curve[-1]["mean"] == pytest.approx(expected)
            assert curve[0]["mean"] == pytest.approx(stage)


def test_calibration_is_that_of_the_pairs_of_the_type():
    assert {(row["system"], row["label"]) for row in RECORD["calibration"]} == {
        (system, label) for system in MODELS for label in ("mean", "t2t", "t2i")
    }
    for row in RECORD["calibration"]:
        names = MEMBERS["mean" if row["label"] == "mean" else "type", row["label"]]
        pairs = [
            (1 / (1 + math.exp(-score)), task.qrels[query_id].get(doc_id, 0) >= 1)
            for task, result in zip(TASKS, RESULTS[row["system"]], strict=True)
            if task.name in names
            for query_id, scores in result.run.items()
            for doc_id, score in scores.items()
        ]
        found = row["calibration"]
        assert found["num_pairs"] == len(pairs)
        assert found["num_relevant"] == sum(label for _, label in pairs)
        assert found["brier"] == pytest.approx(np.mean([(p - label) ** 2 for p, label in pairs]))
        gaps = {}
        for p, label in pairs:
            gaps.setdefault(int(p * 15), []).append(p - label)
        assert found["ece"] == pytest.approx(sum(abs(sum(held)) for held in gaps.values()) / len(pairs))


def test_grades_have_no_calibration_and_a_note_says_so():
    report = made_report(graded=["fair"])
    assert {row.system for row in report.calibration} == {"good"}
    assert any(note.startswith("No calibration of fair:") for note in report.notes)
    assert not any(note.startswith("No calibration") for note in REPORT.notes)


def test_coverage_is_that_of_the_results():
    for row in REPORT.coverage:
        result = next(result for result in RESULTS[row.system] if result.task_name == row.task)
        assert row.coverage == result.coverage
        assert row.is_expectation == (row.system == "chance")
    assert len(REPORT.coverage) == 4 * 3


def test_costs_are_summed_over_tasks():
    total = next(row.cost for row in REPORT.costs if row.system == "fair" and not row.task)
    assert total == Cost(300, 9.0, 4.5, 15000, 7500, 21)
    assert [row.task for row in REPORT.costs if row.system == "fair"] == ["", "names", "sounds", "looks"]


def test_breakdowns_are_means_over_the_queries_that_share_a_value():
    assert list(dict.fromkeys(row.fact for row in REPORT.breakdowns)) == ["language", "kind"]
    german = next(row for row in REPORT.breakdowns if row.value == "de")
    means = [
        np.mean(
            [value for q, value in TREC["good"][task.name].items() if task.metadata[q]["language"] == "de"]
        )
        for task in TASKS
    ]
    assert german.values["good"].mean == pytest.approx(np.mean(means))
    assert german.num_queries == 4 + 2 + 3
    assert sum(row.num_queries for row in REPORT.breakdowns if row.fact == "kind") == 19


def test_a_fact_with_too_many_values_is_named_and_one_without_a_second_is_left_out():
    task = made_task("names", num_queries=45)
    metadata = {q: {"id": q, "script": "latin"} for q in task.queries}
    tagged = RerankTask(
        "names", "t2t", task.queries, task.corpus, task.qrels, task.first_stage, metadata=metadata
    )
    report = build_benchmark_report([tagged], made_results([tagged]), suite="s", baselines=BASELINES)
    assert not report.breakdowns
    assert "Not broken down by id: too many values." in report.warnings


def test_tasks_are_told_in_numbers():
    facts = REPORT.tasks[1]
    assert (facts.name, facts.num_judged, facts.num_documents, facts.max_candidates) == ("sounds", 5, 61, 12)
    assert (facts.num_unreachable, facts.candidate_recall) == (1, pytest.approx(4 / 5))
    assert facts.languages == ("de", "en")
    assert any(sentence.startswith("3 of 19 judged queries have no relevant") for sentence in REPORT.warnings)


def test_pairs_of_values_are_counted_query_by_query():
    assert [(pair.a, pair.b) for pair in REPORT.paired] == [("good", "first stage"), ("good", "fair")]
    pair = REPORT.paired[1]
    good, fair = (np.array([v for name in TREC[s] for v in TREC[s][name].values()]) for s in ("good", "fair"))
    assert sum(count for _, _, count in pair.cells) == pair.wins + pair.ties + pair.losses == 19
    assert pair.wins == (good > fair + 1e-12).sum()
    assert {(round(x, 2), round(y, 2)) for x, y, _ in pair.cells} == {
        (round(round(x * 20) / 20, 2), round(round(y * 20) / 20, 2)) for x, y in zip(good, fair, strict=True)
    }


def test_cases_are_the_queries_with_the_largest_differences_and_no_lost_cause():
    kind = next(i for i, kind in enumerate(REPORT.case_kinds) if kind.title == "good above first stage")
    for task in TASKS:
        gains = {q: TREC["good"][task.name][q] - TREC["first stage"][task.name][q] for q in task.qrels}
        positive = sorted((gain for gain in gains.values() if gain > 1e-12), reverse=True)
        chosen = [case for case in REPORT.cases if case.task == task.name and kind in case.kinds]
        found = sorted((gains[case.query.query_id] for case in chosen), reverse=True)
        assert found == pytest.approx(positive[: len(found)])
        assert len(found) == min(8, len(positive))
    worst = next(i for i, kind in enumerate(REPORT.case_kinds) if kind.title == "good worst")
    for case in REPORT.cases:
        reachable = any(place.grade for places in case.places.values() for place in places)
        assert worst not in case.kinds or reachable


def test_a_case_shows_the_order_of_the_system_and_where_each_candidate_came_from():
    for case in REPORT.cases:
        task = next(task for task in TASKS if task.name == case.task)
        stage = [document.doc_id for document in task.candidates(case.query.query_id)]
        assert set(case.places) == {"first stage", *MODELS}
        for system, places in case.places.items():
            result = next(r for r in RESULTS[system] if r.task_name == case.task)
            scores = result.run[case.query.query_id]
            order = sorted(scores, key=lambda d: (scores[d], d), reverse=True)
            relevant = [d for d in order[5:] if task.qrels[case.query.query_id].get(d, 0) >= 1][:2]
            assert [place.doc_id for place in places] == order[:5] + relevant
            for place in places:
                assert order[place.rank - 1] == place.doc_id
                assert place.score == scores[place.doc_id]
                assert stage[place.first_stage_rank - 1] == place.doc_id
                assert place.grade == task.qrels[case.query.query_id].get(place.doc_id)


def test_the_seed_decides_what_is_drawn_by_lot_and_nothing_else_is_changed():
    tasks = [made_task("names", num_queries=150)]
    results = made_results(tasks)
    reports = [
        build_benchmark_report(tasks, results, suite="s", baselines=BASELINES, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert reports[0] == reports[1]
    lots = [
        {case.query.query_id for case in report.cases if len(report.case_kinds) - 1 in case.kinds}
        for report in reports
    ]
    assert lots[0] == lots[1] != lots[2]
    assert [row.values["good"].mean for row in reports[0].summary] == [
        row.values["good"].mean for row in reports[2].summary
    ]


def test_findings_name_the_best_model_and_say_what_cannot_be_told_apart():
    assert REPORT.findings[0].startswith("good has a mean nDCG@10 of ")
    assert "3 tasks and 19 queries; first stage has " in REPORT.findings[0]
    same = made_results(TASKS, models=(("one", 1.0), ("two", 1.0)))
    found = build_benchmark_report(TASKS, same, suite="s", baselines=BASELINES).findings
    assert any("cannot be told apart in the mean" in sentence for sentence in found)


def test_ties_and_gaps_are_warned_of_with_their_number():
    task = made_task("names", num_queries=4)
    constant = {q: dict.fromkeys(scores, 1.0) for q, scores in task.first_stage.items()}
    gaps = {"names/q0": {"names/d0.0": 1.0, "elsewhere": 2.0}}
    results = {
        "first stage": [evaluate_run(task.first_stage, task)],
        "constant": [evaluate_run(constant, task)],
        "gaps": [evaluate_run(gaps, task)],
    }
    report = build_benchmark_report([task], results, suite="s", baselines=["first stage"])
    told = "\n".join(report.warnings)
    assert "constant: in 1 task the order of equal scores decides" in told
    assert "gaps: 3 judged queries not answered: counted 0." in told
    assert f"gaps: {4 * 12 - 1} candidates not scored" in told
    assert "gaps: 1 document not in the corpus." in told
    assert not report.unordered, "a model that ties everything has an order all the same"


def test_the_measure_may_be_another_than_the_main_one():
    results = {
        system: [
            evaluate_run(r.run, t, measures=["ndcg@10", "rr"])
            for r, t in zip(RESULTS[system], TASKS, strict=True)
        ]
        for system in ("first stage", "good")
    }
    report = build_benchmark_report(TASKS, results, suite="s", baselines=BASELINES, measure="RR")
    assert report.measure == "RR"
    expected = np.mean([result.mean("rr") for result in results["good"]])
    assert report.rows("mean")[0].values["good"].mean == pytest.approx(expected)
    curve = next(row.curves for row in report.depth if row.level == "mean")
    assert curve.systems["good"][-1].mean == pytest.approx(expected)


def test_tasks_with_several_measures_are_named_with_all_of_them():
    tasks = [made_task("names"), made_task("looks", "t2i", measure="hit@5")]
    report = build_benchmark_report(tasks, made_results(tasks), suite="s", baselines=BASELINES)
    assert report.measure == "nDCG@10, Hit@5"
    assert [task.measure for task in report.tasks] == ["ndcg@10", "hit@5"]


def test_a_task_without_a_first_stage_has_no_curve_and_says_so():
    bare = made_task("bare")
    bare = RerankTask("bare", "t2t", bare.queries, bare.corpus, bare.qrels, {})
    other = made_task("looks", "t2i")
    runs = {task.name: made_run_of(task) for task in (bare, other)}
    results = {"good": [evaluate_run(runs[task.name], task) for task in (bare, other)]}
    report = build_benchmark_report([bare, other], results, suite="s", baselines=())
    assert [row.label for row in report.depth if row.level == "task"] == ["looks"]
    assert "There is no depth curve of bare: no candidates of a first stage." in report.warnings
    alone = build_benchmark_report([bare], {"good": results["good"][:1]}, suite="s", baselines=())
    assert not alone.depth
    assert alone.cases


def made_run_of(task):
    return {q: {d: 1.0 / (1 + n) for n, d in enumerate(judged)} for q, judged in task.qrels.items()}


def test_one_system_has_results_and_no_tests():
    report = build_benchmark_report(TASKS, {"good": RESULTS["good"]}, suite="s", baselines=())
    assert not report.comparisons
    assert not report.paired
    assert [kind.title for kind in report.case_kinds] == ["good worst", "drawn by lot"]
    assert report.reference == ""


def test_baselines_alone_make_a_report():
    results = {name: RESULTS[name] for name in ("chance", "first stage")}
    report = build_benchmark_report(TASKS, results, suite="s", baselines=BASELINES)
    assert report.findings[0].startswith("first stage has a mean nDCG@10")
    chance = build_benchmark_report(TASKS, {"chance": RESULTS["chance"]}, suite="s", baselines=BASELINES)
    assert not chance.cases
    assert chance.unordered == {"chance"}


def test_the_published_table_is_shown_for_rebuilt_suites_and_on_request():
    assert REPORT.published is None
    assert made_report(suite="mrb-open").published is not None
    assert made_report(suite="mrb-open", with_published=False).published is None
    assert made_report(with_published=True).published is not None


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        ({}, {}, "no results to report"),
        ({"good": RESULTS["good"][:2]}, {}, "good: no result of 'looks'"),
        (
            {"good": [*RESULTS["good"], *made_results([made_task("more")])["good"]]},
            {},
            "'more', which is not among",
        ),
        ({"good": [*RESULTS["good"], RESULTS["good"][0]]}, {}, "two results of one task"),
        (
            {"good": RESULTS["good"]},
            {"costs": {"poor": {"names": Cost(1)}}},
            "system 'poor', of which there is no",
        ),
        (
            {"good": RESULTS["good"]},
            {"costs": {"good": {"nowhere": Cost(1)}}},
            "task 'nowhere', of which there is",
        ),
        ({"good": RESULTS["good"]}, {"measure": "rr"}, "rr was not computed"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(results, options, message):
    with pytest.raises(DataError, match=message):
        build_benchmark_report(TASKS, results, suite="s", baselines=BASELINES, **options)
