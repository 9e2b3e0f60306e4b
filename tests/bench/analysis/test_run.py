"""All analyses in one call: reasons, limits, lots, errors, and the same answer whatever the order."""

import json

import numpy as np
import pytest

from gmr.bench.analysis.options import Options, draw
from gmr.bench.analysis.page import analysis_page
from gmr.bench.analysis.report import cells, markdown
from gmr.bench.analysis.run import ANALYSES, run_analyses
from gmr.core.errors import DataError, ModelError
from gmr.core.tasks import RerankTask
from tests.bench.analysis.fakes import Biased, make_task


def tasks():
    return [
        make_task("texts"),
        make_task("pictures", "t2i", document="i"),
        make_task("fused", "it2it", query="it", document="it"),
    ]


def reordered(task):
    """The same task with all its tables in reverse."""

    def backwards(table):
        return dict(reversed(table.items()))

    return RerankTask(
        task.name,
        task.task_type,
        backwards(task.queries),
        backwards(task.corpus),
        backwards(task.qrels),
        {q: backwards(row) for q, row in reversed(task.first_stage.items())},
    )


def test_every_analysis_runs_and_says_why_it_does_not_apply():
    report = run_analyses(Biased(relevance=1.0, picture=1.0), tasks())
    assert [result.name for result in report.results] == list(ANALYSES)
    assert report.not_applied["ablation"] == dict.fromkeys(
        ["texts", "pictures"], "no query has both text and a picture"
    )
    assert report.not_applied["length"] == {"pictures": "no document has text"}
    assert "position" not in report.not_applied
    for result in report.results:
        assert result.question == ANALYSES[result.name].question
        assert result.sentences, result.name


def test_an_analysis_that_applies_to_nothing_is_not_run():
    scorer = Biased()
    report = run_analyses(scorer, [make_task()], ["ablation", "resolution", "order", "modality"])
    assert not report.results
    assert set(report.not_applied) == {"ablation", "resolution", "order", "modality"}
    assert scorer.num_pairs == report.num_scored == 0


def test_where_all_candidates_are_relevant_there_is_none_to_attack():
    task = make_task(relevant=range(8))
    report = run_analyses(Biased(), [task], ["attacks", "position"])
    why = "of the 20 drawn queries none has candidates that are not relevant"
    assert report.not_applied == {"attacks": {"task": why}}


def test_the_order_of_queries_documents_and_tasks_changes_nothing():
    options = {"limit": 4, "num_documents": 3}
    one = run_analyses(Biased(relevance=1.0, per_word=0.1), tasks(), **options).to_dict()
    two = run_analyses(
        Biased(relevance=1.0, per_word=0.1), list(map(reordered, tasks())), **options
    ).to_dict()
    assert one == two


def test_the_seed_decides_the_lot():
    def queries(seed):
        report = run_analyses(Biased(), [make_task(num_queries=30)], ["first-stage"], limit=5, seed=seed)
        return report.result("first-stage").tables[0].find("as given", "reranked").mean

    assert queries(0) == queries(0)
    assert len({queries(seed) for seed in range(5)}) > 1


def test_limits_hold():
    report = run_analyses(Biased(), [make_task(num_queries=9)], ["first-stage", "attacks"], limit=3, depth=4)
    assert report.result("first-stage").facts["num_queries"] == 3
    assert {row.change.x for row in report.result("first-stage").tables[1].rows} == {1, 2, 3, 4}
    plain, documents, attacks = 3 * 4, 3 * 3, 10  # four candidates, three of them irrelevant
    assert report.num_scored == plain + documents * attacks


def test_no_pair_is_scored_twice_but_where_that_is_the_point():
    scorer = Biased()
    report = run_analyses(scorer, [make_task()], ["first-stage", "fusion", "first-stage"])
    assert scorer.num_pairs == report.num_scored == 96
    run_analyses(scorer, [make_task()], ["position"])
    assert scorer.num_pairs == 96 + 12 * (8 + 8 + 8 + 1)


def test_a_query_without_candidates_or_judgments_is_left_out():
    task = make_task()
    first_stage = {q: row for q, row in task.first_stage.items() if q != "q0"}
    qrels = {q: row for q, row in task.qrels.items() if q != "q1"}
    task = RerankTask(**{**vars(task), "first_stage": first_stage, "qrels": qrels})
    report = run_analyses(Biased(), [task], ["first-stage"], limit=None)
    assert report.result("first-stage").facts["num_queries"] == 10


def test_bad_input_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="unknown analysis 'colour'; there are modality, length"):
        run_analyses(Biased(), tasks(), ["colour"])
    with pytest.raises(DataError, match="no task"):
        run_analyses(Biased(), [])
    with pytest.raises(DataError, match="two tasks are called 'task'"):
        run_analyses(Biased(), [make_task(), make_task()])
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        run_analyses(Biased(), tasks(), limit=0)
    unjudged = RerankTask(**{**vars(make_task()), "qrels": {}})
    with pytest.raises(DataError, match="task: no query has both candidates and a relevant document"):
        run_analyses(Biased(), [unjudged])


@pytest.mark.parametrize("name", list(ANALYSES))
def test_a_score_that_is_not_finite_is_named(name):
    class Broken(Biased):
        def one(self, query, document):
            return float("nan") if document.doc_id == "q3.d2" else super().one(query, document)

    fused = make_task("fused", "it2it", query="it", document="it")
    with pytest.raises(ModelError, match=r"query 'q3' with document 'q3.d2': the score is nan"):
        run_analyses(Broken(), [fused], [name], num_documents=8)


def test_scores_must_be_as_many_as_pairs():
    class Short(Biased):
        def score(self, pairs):
            return np.zeros(1, dtype=np.float32)

    with pytest.raises(ModelError, match=r"96 pairs were scored with an array of \(1,\)"):
        run_analyses(Short(), [make_task()], ["fusion"])


def test_a_constant_scorer_shows_nothing_of_content():
    class Constant(Biased):
        def one(self, query, document):
            return 0.0

    report = run_analyses(
        Constant(), tasks(), ["modality", "length", "order", "resolution", "ablation", "attacks"]
    )
    for result in report.results:
        for table in result.tables:
            shown = [row for row in table.rows for estimate in row.estimates.values() if estimate.is_shown]
            assert not shown, result.name


def test_the_report_can_be_written_as_json_markdown_and_html():
    report = run_analyses(Biased(picture=1.0), tasks(), limit=4)
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert record["options"]["limit"] == 4
    assert [result["name"] for result in record["results"]] == list(ANALYSES)
    page = markdown({"a|b": report})
    assert report.results[0].sentences[0] in page
    assert page.count("### ") == len(ANALYSES)
    html = analysis_page({"<b>": report})
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("<svg") == sum(bool(table.rows) for result in report.results for table in result.tables)


def test_a_narrow_table_has_the_interval_of_what_is_drawn_alone():
    table = run_analyses(Biased(picture=1.0), tasks(), ["modality"]).results[0].tables[0]
    header, rows = cells(table, table.summary(), is_narrow=True)
    drawn = header.index(table.drawn)
    assert all(("[" in cell) == (place == drawn) for row in rows for place, cell in enumerate(row))


def test_a_lot_is_the_same_in_any_order_and_grows_without_exchange():
    values = {f"id{i}": i for i in range(20)}
    backwards = dict(reversed(values.items()))
    assert draw(values, "x", num=5, seed=1) == draw(backwards, "x", num=5, seed=1)
    assert set(draw(values, "x", num=5, seed=1)) <= set(draw(values, "x", num=9, seed=1))
    assert draw(values, "x", num=None, seed=1) == [values[name] for name in sorted(values)]
    assert draw(values, "x", num=5, seed=1) != draw(values, "x", num=5, seed=2)


@pytest.mark.parametrize("number", ["limit", "depth", "num_documents", "top_k"])
def test_options_below_one_are_refused(number):
    with pytest.raises(ValueError, match=f"{number} must be at least 1, got 0"):
        Options(**{number: 0})


@pytest.mark.slow
def test_gmr_nano_is_analysed_on_glyphs():
    from gmr.reranker import Reranker
    from gmr.suites import load

    report = run_analyses(Reranker("gmr-nano"), load("glyphs"), limit=4)
    assert {result.name for result in report.results} == set(ANALYSES)
    assert report.result("position").facts["passed"] is True
    ablation = report.result("ablation").tables[0]
    assert ablation.find("wrong picture", "change").value.high < 0
    assert ablation.find("wrong text", "change").value.high < 0
    stuffed = report.result("attacks").tables[0].find("query five times", "beyond neutral")
    assert stuffed.is_shown
    assert stuffed.mean > 0
