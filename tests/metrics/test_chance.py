"""A constant scorer is worth random order and never more, whatever the measure; names and orders are worth nothing."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.metrics.coverage import count_coverage
from gmr.metrics.measures import MEASURES, evaluate, parse_measure
from tests.metrics.naive import naive_measure

ALL = [
    *("ndcg", "ndcg_exp", "rr", "ap"),
    *(f"{name}@{k}" for name in MEASURES for k in (1, 2, 3, 10)),
]
GRADES = st.lists(st.integers(-1, 3), min_size=1, max_size=5)
ELSEWHERE = st.lists(st.integers(1, 2), max_size=2)  # relevant documents that no first stage found


def random_expectation(measure: str, grades: list[int], judged: list[int]) -> float:
    """The mean over every order of the candidates, from the definition."""
    parsed = parse_measure(measure)
    values = [
        naive_measure(parsed.name, parsed.k, list(order), judged) for order in itertools.permutations(grades)
    ]
    return math.fsum(values) / len(values)


def constant_case(grades: list[int], elsewhere: list[int]) -> tuple[dict, dict]:
    doc_ids = [f"d{place}" for place in range(len(grades))]
    judged = dict(zip(doc_ids, grades, strict=True)) | {f"x{i}": grade for i, grade in enumerate(elsewhere)}
    return dict.fromkeys(doc_ids, 0.25), judged


def test_every_measure_of_the_table_is_tested_here() -> None:
    assert {parse_measure(measure).name for measure in ALL} == set(MEASURES)


@settings(max_examples=60)
@given(GRADES, ELSEWHERE)
def test_a_constant_scorer_never_beats_random_order_in_expectation(grades, elsewhere):
    scores, judged = constant_case(grades, elsewhere)
    if not any(grade >= 1 for grade in judged.values()):
        return
    values = evaluate({"q": scores}, {"q": judged}, ALL, expected_under_ties=True)
    for measure in ALL:
        expected = random_expectation(measure, grades, list(judged.values()))
        assert values[measure]["q"] <= expected + 1e-12, measure
        assert values[measure]["q"] == pytest.approx(expected, abs=1e-12), measure


@settings(max_examples=40)
@given(GRADES, ELSEWHERE)
def test_in_canonical_order_it_is_random_order_over_all_namings_of_the_documents(grades, elsewhere):
    """One naming may be lucky: the canonical order of ties hangs on names. Over all namings nothing is won."""
    scores, judged = constant_case(grades, elsewhere)
    if not any(grade >= 1 for grade in judged.values()):
        return
    namings = list(itertools.permutations(scores))
    run, qrels = {}, {}
    for number, names in enumerate(namings):
        new = dict(zip(scores, names, strict=True))
        run[str(number)] = scores
        qrels[str(number)] = {new.get(doc_id, doc_id): grade for doc_id, grade in judged.items()}
    values = evaluate(run, qrels, ALL)
    for measure in ALL:
        mean = math.fsum(values[measure].values()) / len(namings)
        expected = random_expectation(measure, grades, list(judged.values()))
        assert mean == pytest.approx(expected, abs=1e-12), measure


def test_over_random_namings_of_large_pools_the_constant_scorer_stays_at_chance() -> None:
    generator = np.random.default_rng(11)
    judged_grades = [3, 2, 1, 1] + [0] * 96
    doc_ids = np.array([f"d{i:03d}" for i in range(100)])
    qrels = {
        f"q{number}": dict(zip(generator.permutation(doc_ids).tolist(), judged_grades, strict=True))
        for number in range(1500)
    }
    scores = dict.fromkeys(doc_ids.tolist(), 0.0)
    canonical = evaluate(dict.fromkeys(qrels, scores), qrels, ALL)
    expected = evaluate({"q0": scores}, {"q0": qrels["q0"]}, ALL, expected_under_ties=True)
    for measure in ALL:
        values = np.array(list(canonical[measure].values()))
        error = values.std() / math.sqrt(len(values))
        assert values.mean() <= expected[measure]["q0"] + 4 * error, measure
        assert values.mean() >= expected[measure]["q0"] - 4 * error, measure


@st.composite
def whole_runs(draw):
    """Several queries with tied scores, judgments of some, and one query that is sure to be judged."""
    run, qrels = {}, {"q0": {"d0": 1}}
    for number in range(draw(st.integers(1, 4))):
        doc_ids = [f"d{i}" for i in range(draw(st.integers(1, 6)))]
        run[f"q{number}"] = {doc_id: draw(st.integers(-1, 1)) / 4 for doc_id in doc_ids}
        qrels[f"q{number}"] = {doc_id: draw(st.integers(0, 3)) for doc_id in doc_ids} | {
            "x": draw(st.integers(0, 1))
        }
    qrels["q0"]["d0"] = 1
    return run, qrels


@given(whole_runs(), st.randoms())
def test_the_order_of_queries_and_documents_changes_no_value_expectation_or_coverage(case, random):
    run, qrels = case

    def shuffled(table: dict) -> dict:
        rows = [(query_id, list(row.items())) for query_id, row in table.items()]
        random.shuffle(rows)
        for _, row in rows:
            random.shuffle(row)
        return {query_id: dict(row) for query_id, row in rows}

    other_run, other_qrels = shuffled(run), shuffled(qrels)
    for expected in (False, True):
        assert evaluate(other_run, other_qrels, ALL, expected_under_ties=expected) == evaluate(
            run, qrels, ALL, expected_under_ties=expected
        )
    one, other = count_coverage(run, qrels), count_coverage(other_run, other_qrels)
    assert (one.num_judged, one.num_answered, one.num_tied_pairs) == (
        other.num_judged,
        other.num_answered,
        other.num_tied_pairs,
    )
    assert one.worst_tie == pytest.approx(other.worst_tie, abs=1e-12)
    assert one.best_tie == pytest.approx(other.best_tie, abs=1e-12)


@given(whole_runs(), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_rising_map_of_each_querys_scores_changes_no_value(case, factor, offset):
    """Each query may have a map of its own: scores of different queries are never compared."""
    run, qrels = case
    mapped = {
        query_id: {doc_id: factor * (number + 1) * score + offset - number for doc_id, score in row.items()}
        for number, (query_id, row) in enumerate(run.items())
    }
    for expected in (False, True):
        assert evaluate(mapped, qrels, ALL, expected_under_ties=expected) == evaluate(
            run, qrels, ALL, expected_under_ties=expected
        )
