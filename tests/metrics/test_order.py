import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.metrics.order import canonical_order, tie_sizes

SCORES = st.dictionaries(st.text(max_size=4), st.integers(-3, 3).map(float), max_size=12)


def test_higher_scores_come_first_and_ties_go_by_document_id_descending():
    assert canonical_order({"a": 0.5, "b": 2.0, "c": 0.5, "d": -1.0}) == ["b", "c", "a", "d"]


def test_scores_that_differ_only_in_float64_are_no_tie():
    assert canonical_order({"z": 1.0, "a": 1.0 + 1e-15}) == ["a", "z"]


def test_negative_zero_ties_with_zero():
    assert canonical_order({"a": 0.0, "b": -0.0}) == ["b", "a"]
    assert tie_sizes({"a": 0.0, "b": -0.0}, ["b", "a"]).tolist() == [2]


def test_numpy_scalars_and_integers_rank_as_the_floats_they_are():
    assert canonical_order({"a": np.float32(0.5), "b": 1, "c": np.float64(0.75)}) == ["b", "c", "a"]


@given(SCORES, st.randoms())
def test_input_order_changes_nothing(scores, random):
    shuffled = list(scores.items())
    random.shuffle(shuffled)
    assert canonical_order(dict(shuffled)) == canonical_order(scores)


@given(SCORES)
def test_ids_compare_as_utf8_bytes_do_in_c(scores):
    pairs = [(-score, [-byte for byte in doc_id.encode()] + [1]) for doc_id, score in scores.items()]
    by_bytes = [doc_id for _, doc_id in sorted(zip(pairs, scores, strict=True), key=lambda item: item[0])]
    assert canonical_order(scores) == by_bytes


@given(SCORES)
def test_tie_sizes_count_the_documents_of_each_score(scores):
    order = canonical_order(scores)
    counts = [list(scores.values()).count(value) for value in sorted(set(scores.values()), reverse=True)]
    assert tie_sizes(scores, order).tolist() == counts


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused_by_document_and_value(score):
    with pytest.raises(DataError, match=rf"query 'q7': the score of document 'd3' is {score}"):
        canonical_order({"d1": 0.5, "d3": score}, where="query 'q7'")


@pytest.mark.parametrize("score", [None, "high", [1.0, 2.0]])
def test_a_score_that_is_not_a_number_is_refused_by_document_and_value(score):
    with pytest.raises(DataError, match=r"the score of document 'd3' is .*, not a number"):
        canonical_order({"d3": score})


def test_a_document_id_that_is_not_a_string_is_refused():
    with pytest.raises(DataError, match="document id 7 is not a string"):
        canonical_order({7: 0.5})
