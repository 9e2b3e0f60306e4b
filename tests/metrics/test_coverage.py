import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.metrics.coverage import count_coverage
from gmr.metrics.measures import evaluate
from tests.metrics.test_ties import tied_case


def test_what_is_missing_unjudged_or_unknown_is_counted_and_named():
    run = {"q1": {"a": 1.0, "ghost": 0.5}, "q3": {"a": 1.0}, "q4": {"a": 1.0}}
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"a": 0}}
    coverage = count_coverage(run, qrels, corpus={"a", "b"})
    assert (coverage.num_judged, coverage.num_answered) == (2, 1)
    assert coverage.missing_queries == ("q2",)
    assert coverage.unjudged_queries == ("q3", "q4")
    assert coverage.unknown_documents == ("ghost",)
    assert str(coverage) == (
        "1 of 2 judged queries answered; 1 missing queries count 0 (first: 'q2'); "
        "2 queries without judgments left out (first: 'q3'); 1 documents unknown (first: 'ghost')"
    )


def test_without_a_corpus_every_document_is_known():
    assert count_coverage({"q": {"ghost": 1.0}}, {"q": {"a": 1}}).unknown_documents == ()


def test_a_tie_of_two_gives_the_range_that_the_libraries_disagree_over():
    coverage = count_coverage({"q": {"a": 0.5, "b": 0.5}}, {"q": {"a": 1}}, measure="ndcg@10")
    assert coverage.num_tied_pairs == 1
    assert coverage.best_tie == 1.0
    assert coverage.worst_tie == pytest.approx(0.6309, abs=1e-4)
    assert coverage.tie_spread == pytest.approx(0.3691, abs=1e-4)
    assert "1 tied pairs (0.6309 to 1.0000)" in str(coverage)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=4))
def test_value_and_expectation_lie_between_the_worst_and_the_best_tie(blocks):
    scores, judged = tied_case(blocks)
    judged["x"] = 1
    for measure in ("ndcg@3", "ndcg_exp@3", "rr", "ap@4", "hit@2", "p@3", "recall@3"):
        coverage = count_coverage({"q": scores}, {"q": judged}, measure=measure)
        for expected in (False, True):
            values = evaluate({"q": scores}, {"q": judged}, [measure], expected_under_ties=expected)
            value = values[measure]["q"]
            assert coverage.worst_tie - 1e-12 <= value <= coverage.best_tie + 1e-12
    assert coverage.num_tied_pairs == sum(len(block) * (len(block) - 1) // 2 for block in blocks)


def test_without_ties_the_spread_is_zero():
    coverage = count_coverage({"q": {"a": 0.5, "b": 0.25}}, {"q": {"b": 1}})
    assert (coverage.num_tied_pairs, coverage.tie_spread) == (0, 0.0)


def test_candidates_that_a_run_dropped_are_counted_by_query():
    candidates = {"q1": {"a": 2.0, "b": 1.0, "c": 0.0}, "q2": {"a": 1.0}}
    run = {"q1": {"a": 1.0, "other": 0.5}}
    coverage = count_coverage(run, {"q1": {"a": 1}}, candidates=candidates)
    assert coverage.num_dropped == 3
    assert "3 candidates not in the run" in str(coverage)
    assert count_coverage(run, {"q1": {"a": 1}}).num_dropped == 0
    assert count_coverage(candidates, {"q1": {"a": 1}}, candidates=candidates).num_dropped == 0
