import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.metrics.measures import MEASURES, Measure, evaluate, parse_measure
from tests.metrics.naive import naive_measure

ALL = ["ndcg", "ndcg@3", "ndcg_exp", "ndcg_exp@3", "recall@3", "p@3", "hit@3", "rr", "rr@3", "ap", "ap@3"]
GRADES = st.lists(st.integers(-1, 3), min_size=1, max_size=9)


@st.composite
def cases(draw):
    """Scores with ties, and judgments with at least one relevant document, some of it not retrieved."""
    doc_ids = draw(st.lists(st.text("abcé", min_size=1, max_size=3), unique=True, min_size=1, max_size=9))
    scores = {doc_id: draw(st.integers(-2, 2)) / 4 for doc_id in doc_ids}
    judged = {doc_id: draw(st.integers(-1, 3)) for doc_id in doc_ids if draw(st.booleans())}
    judged["not retrieved"] = draw(st.integers(1, 2))
    return scores, judged


def values_of(scores, judged, *, expected=False):
    return {
        measure: per_query["q"]
        for measure, per_query in evaluate(
            {"q": scores}, {"q": judged}, ALL, expected_under_ties=expected
        ).items()
    }


@given(GRADES, st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_every_measure_is_its_definition(ranked, elsewhere):
    judged = {f"d{i}": grade for i, grade in enumerate(ranked)} | {
        f"x{i}": g for i, g in enumerate(elsewhere)
    }
    values = values_of({f"d{i}": -float(i) for i in range(len(ranked))}, judged)
    for text, value in values.items():
        measure = parse_measure(text)
        naive = naive_measure(measure.name, measure.k, ranked, list(judged.values()))
        assert value == pytest.approx(naive, abs=1e-12), text


def test_a_worked_example():
    # relevant at ranks 2 (grade 1) and 3 (grade 3); one relevant document (grade 1) is not retrieved
    scores = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    values = values_of(scores, {"b": 1, "c": 3, "d": 0, "e": 1})
    discount_2, discount_3 = 1 / np.log2(3), 1 / 2
    assert values["ndcg@3"] == pytest.approx((discount_2 + 3 * discount_3) / (3 + discount_2 + discount_3))
    assert values["ndcg_exp@3"] == pytest.approx(
        (discount_2 + 7 * discount_3) / (7 + discount_2 + discount_3)
    )
    assert values["recall@3"] == pytest.approx(2 / 3)
    assert values["p@3"] == pytest.approx(2 / 3)
    assert values["rr"] == 0.5
    assert values["hit@3"] == 1.0
    assert values["ap"] == pytest.approx((1 / 2 + 2 / 3) / 3)


@given(cases(), st.randoms())
def test_input_order_changes_no_measure(case, random):
    scores, judged = case
    shuffled, shuffled_judged = list(scores.items()), list(judged.items())
    random.shuffle(shuffled)
    random.shuffle(shuffled_judged)
    assert values_of(dict(shuffled), dict(shuffled_judged)) == values_of(scores, judged)


@given(cases())
def test_renaming_documents_with_their_order_kept_changes_no_measure(case):
    scores, judged = case
    name = {doc_id: f"{i:03d}" for i, doc_id in enumerate(sorted({*scores, *judged}))}
    renamed = {name[d]: s for d, s in scores.items()}, {name[d]: grade for d, grade in judged.items()}
    assert values_of(*renamed) == values_of(scores, judged)


@given(
    cases(),
    st.sampled_from([lambda s: 2 * s + 1, lambda s: s**3, np.exp, np.float32, lambda s: -1 / (s + 3)]),
)
def test_a_rising_map_of_the_scores_changes_no_measure(case, rising):
    scores, judged = case
    mapped = {doc_id: rising(score) for doc_id, score in scores.items()}
    assert values_of(mapped, judged) == values_of(scores, judged)
    assert values_of(mapped, judged, expected=True) == values_of(scores, judged, expected=True)


@given(cases())
def test_all_measures_lie_between_zero_and_one(case):
    assert all(0 <= value <= 1 + 1e-12 for value in values_of(*case).values())


def test_a_judged_query_that_the_run_lacks_counts_zero():
    values = evaluate({"q1": {"a": 1.0}}, {"q1": {"a": 1}, "q2": {"a": 1}}, ALL)
    assert all(values[measure]["q2"] == 0.0 for measure in ALL)
    assert list(values["rr"]) == ["q1", "q2"]
    assert values["rr"]["q1"] == 1.0


def test_a_query_answered_with_nothing_counts_zero():
    values = evaluate({"q1": {}}, {"q1": {"a": 1}}, ALL, expected_under_ties=True)
    assert all(values[measure] == {"q1": 0.0} for measure in ALL)


def test_queries_without_a_relevant_document_are_left_out():
    values = evaluate(
        {"q1": {"a": 1.0}, "q2": {"a": 1.0}}, {"q1": {"a": 1}, "q2": {"a": 0}, "q3": {}}, ["rr"]
    )
    assert values == {"rr": {"q1": 1.0}}


def test_judgments_without_any_relevant_document_are_refused():
    with pytest.raises(DataError, match="none of the 1 judged queries has a relevant document"):
        evaluate({"q": {"a": 1.0}}, {"q": {"a": 0}}, ["rr"])


def test_a_nan_score_is_refused_by_query_and_document():
    with pytest.raises(DataError, match="query 'q': the score of document 'b' is nan"):
        evaluate({"q": {"a": 1.0, "b": float("nan")}}, {"q": {"a": 1}}, ["rr"])


@pytest.mark.parametrize("text", [*ALL, "ndcg@1000"])
def test_a_measure_prints_as_it_is_parsed(text):
    assert str(parse_measure(text)) == text
    assert parse_measure(text) == parse_measure(f" {text.upper()} ")
    assert parse_measure(parse_measure(text)) == parse_measure(text)


def test_titles_are_those_of_papers():
    assert [parse_measure(text).title for text in ("ndcg@10", "rr", "hit@1")] == ["nDCG@10", "RR", "Hit@1"]


def test_the_same_measure_spelled_twice_is_one():
    assert list(evaluate({}, {"q": {"a": 1}}, ["nDCG@10", "ndcg@10", Measure("ndcg", 10)])) == ["ndcg@10"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndgc@10", r"unknown measure 'ndgc@10': did you mean 'ndcg@10'\?"),
        ("mrr@10", r"unknown measure 'mrr@10': did you mean 'rr@10'\?"),
        ("map", r"unknown measure 'map': did you mean 'ap'\?"),
        ("ndcg_cut_10", r"unknown measure 'ndcg_cut_10': did you mean 'ndcg@10'\?"),
        ("ndcg_at_5", r"unknown measure 'ndcg_at_5': did you mean 'ndcg@5'\?"),
        ("success", r"unknown measure 'success': did you mean 'hit@10'\?"),
        ("zzz", r"unknown measure 'zzz'; there are ndcg, ndcg_exp, recall"),
        ("", r"unknown measure ''; there are"),
        ("p", r"measure 'p' needs a cutoff, for example 'p@10'"),
        ("ndcg@0", r"measure 'ndcg@0' has cutoff 0; the least is 1"),
        ("ndcg@-1", r"'-1' is not a cutoff; write 'ndcg@10'"),
        ("ndcg@", r"'' is not a cutoff"),
        ("ndcg@ten", r"'ten' is not a cutoff"),
    ],
)
def test_a_wrong_measure_is_refused_with_what_was_meant(text, message):
    with pytest.raises(ValueError, match=message):
        parse_measure(text)


def test_every_measure_of_the_table_is_tested_here():
    assert {parse_measure(text).name for text in ALL} == set(MEASURES)
