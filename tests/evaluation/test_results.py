import json
import logging
import math

import numpy as np
import pytest

from gmr.core.errors import DataError, ModelError
from gmr.evaluation import TaskResult, evaluate_run, evaluate_task, rerank_run
from gmr.evaluation.results import PAIRS_PER_CALL
from gmr.metrics.statistics import bootstrap_interval
from tests.evaluation.tasks import TableScorer, is_relevant, text_task

SECOND = 1 / math.log2(3)  # nDCG of the one relevant document at rank 2


def test_an_oracle_gets_one_and_the_first_stage_what_its_order_is_worth():
    task = text_task()
    assert evaluate_task(TableScorer(is_relevant), task).mean() == 1.0
    first_stage = evaluate_run(task.first_stage, task, measures=["ndcg@10", "rr", "hit@1"])
    assert first_stage.mean() == pytest.approx(SECOND)
    assert [first_stage.mean("rr"), first_stage.mean("hit@1")] == [0.5, 0.0]


def test_without_measures_the_measure_of_the_task_is_computed():
    assert list(evaluate_task(TableScorer(is_relevant), text_task(measure="recall@5")).per_query) == [
        "recall@5"
    ]


def test_every_candidate_is_scored_once_in_whole_queries():
    task = text_task(num_queries=300, num_candidates=10)
    scorer = TableScorer(lambda query, document: float(len(document.doc_id)))
    run = rerank_run(scorer, task)
    assert {q: set(scores) for q, scores in run.items()} == {q: set(s) for q, s in task.first_stage.items()}
    assert list(run) == list(task.queries)
    assert sum(scorer.calls) == 3000
    assert [size % 10 for size in scorer.calls] == [0] * len(scorer.calls)
    assert all(PAIRS_PER_CALL <= size < PAIRS_PER_CALL + 10 for size in scorer.calls[:-1])
    assert all(score == len(doc_id) for scores in run.values() for doc_id, score in scores.items())


def test_a_progress_bar_counts_the_pairs_and_changes_nothing(capsys):
    task = text_task()
    quiet = evaluate_task(TableScorer(is_relevant), task)
    assert capsys.readouterr().err == ""
    assert evaluate_task(TableScorer(is_relevant), task, progress=True) == quiet
    shown = capsys.readouterr()
    assert "20/20" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_refused_by_query_and_document(score):
    scorer = TableScorer(lambda query, document: score if document.doc_id == "q2.d3" else 0.0)
    with pytest.raises(ModelError, match=rf"tiny: query 'q2' with document 'q2.d3': the score is {score}"):
        rerank_run(scorer, text_task())


def test_a_scorer_that_loses_a_pair_is_refused():
    class Loses(TableScorer):
        def score(self, pairs):
            return super().score(pairs)[:-1]

    with pytest.raises(ModelError, match=r"tiny: 20 pairs were scored with an array of \(19,\)"):
        rerank_run(Loses(is_relevant), text_task())


def test_a_constant_scorer_is_worth_random_order_under_expected_ties_and_warns_without(caplog):
    task = text_task()
    constant = TableScorer(lambda query, document: 0.5)
    with caplog.at_level(logging.WARNING):
        expected = evaluate_task(constant, task, expected_under_ties=True)
    assert not caplog.records
    assert expected.mean() == pytest.approx(sum(1 / math.log2(rank + 1) for rank in range(1, 6)) / 5)
    with caplog.at_level(logging.WARNING):
        evaluate_task(constant, task)
    assert "40 pairs of documents have equal scores: ndcg@10 is between 0.3869 and 1.0000" in caplog.text


def test_what_a_run_lacks_counts_zero_and_is_reported(caplog):
    task = text_task()
    run = {"q0": {"q0.d1": 1.0, "ghost": 0.5}, "q9": {"q0.d1": 1.0}}
    with caplog.at_level(logging.WARNING):
        result = evaluate_run(run, task)
    assert result.mean() == 1 / 4
    assert result.coverage.missing_queries == ("q1", "q2", "q3")
    assert result.coverage.unjudged_queries == ("q9",)
    assert result.coverage.unknown_documents == ("ghost",)
    assert result.coverage.num_dropped == 4 + 3 * 5
    assert "tiny: 1 of 4 judged queries answered; 3 missing queries count 0 (first: 'q1')" in caplog.text


def test_a_run_with_a_nan_score_is_refused_by_task_query_and_document():
    with pytest.raises(DataError, match=r"tiny: query 'q1': the score of document 'q1\.d0' is nan"):
        evaluate_run({"q1": {"q1.d0": math.nan}}, text_task())


def test_a_measure_that_was_not_computed_is_refused():
    result = evaluate_run({}, text_task(), measures=["rr", "ap"])
    with pytest.raises(DataError, match="tiny: ndcg@10 was not computed; there are rr, ap"):
        result.mean("ndcg@10")
    with pytest.raises(ValueError, match="no measure"):
        evaluate_run({}, text_task(), measures=[])


def test_the_interval_is_the_bootstrap_of_the_per_query_values():
    task = text_task(num_queries=30)
    scorer = TableScorer(lambda query, document: np.sin(hash_of(query.query_id) * hash_of(document.doc_id)))
    result = evaluate_task(scorer, task)
    assert result.interval() == bootstrap_interval(list(result.per_query["ndcg@10"].values()))
    assert result.interval().low < result.mean() < result.interval().high


def hash_of(text):
    return sum((place + 1) * ord(character) for place, character in enumerate(text))


def test_a_result_reads_back_from_json_as_it_was():
    task = text_task()
    run = {**rerank_run(TableScorer(is_relevant), task), "q9": {"ghost": 0.1}}
    del run["q3"]
    result = evaluate_run(run, task, measures=["ndcg@10", "ap"])
    text = json.dumps(result.to_dict())
    assert TaskResult.from_dict(json.loads(text)) == result
    assert json.loads(text)["means"] == {"ndcg@10": 0.75, "ap": 0.75}


@pytest.mark.parametrize("field", ["run", "coverage", "per_query"])
def test_a_result_without_a_field_is_refused_by_file_and_field(field):
    record = evaluate_run({}, text_task()).to_dict()
    del record[field]
    with pytest.raises(DataError, match=rf"results.json: this is no task result, it lacks {field}"):
        TaskResult.from_dict(record, where="results.json")


def test_a_result_with_half_a_coverage_is_refused():
    record = evaluate_run({}, text_task()).to_dict()
    del record["coverage"]["num_judged"]
    with pytest.raises(DataError, match=r"lacks coverage\.num_judged"):
        TaskResult.from_dict(record)


def test_a_run_that_dropped_a_candidate_is_reported(caplog):
    task = text_task()
    run = {query: dict(list(scores.items())[:-1]) for query, scores in task.first_stage.items()}
    with caplog.at_level(logging.WARNING):
        evaluate_run(run, task)
    assert "tiny: 4 of 4 judged queries answered; 4 candidates not in the run" in caplog.text


def test_a_result_from_before_dropped_candidates_were_counted_is_read():
    record = evaluate_task(TableScorer(is_relevant), text_task()).to_dict()
    del record["coverage"]["num_dropped"]
    assert TaskResult.from_dict(record).coverage.num_dropped == 0
