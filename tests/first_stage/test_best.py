"""The best documents of a corpus that goes by in blocks are those of all scores sorted at once."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import ModelError
from gmr.first_stage.best import NOTHING, BestDocuments


def sort_all(doc_ids, scores, *, depth, decimals):
    """The definition: round, order by score and id descending, cut."""
    rounded = [
        (round(float(score), decimals) + 0.0, doc_id) for score, doc_id in zip(scores, doc_ids, strict=True)
    ]
    ranked = sorted((row for row in rounded if row[0] > NOTHING), reverse=True)[:depth]
    return {doc_id: score for score, doc_id in ranked}


# Few distinct values, and differences that rounding to two digits removes: ties everywhere.
scores_of_documents = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 0.5, 0.501, 0.504, 0.5049, 0.506, -1.0, NOTHING]),
        st.floats(-2, 2, allow_nan=False),
    ),
    min_size=1,
    max_size=60,
)


@given(scores=scores_of_documents, depth=st.integers(1, 12), block=st.integers(1, 25), seed=st.integers(0, 5))
def test_blocks_in_any_order_give_what_sorting_everything_gives(scores, depth, block, seed):
    order = np.random.default_rng(seed).permutation(len(scores))
    values = np.array(scores)[order]
    doc_ids = [f"d{place}" for place in order]
    best = BestDocuments(["q"], depth=depth, decimals=2)
    for start in range(0, len(values), block):
        best.add(doc_ids[start : start + block], values[None, start : start + block])
    found = best.run()["q"]
    # Python rounds exactly, numpy by a product: compare on what numpy gives.
    expected = sort_all(doc_ids, np.round(values, 2), depth=depth, decimals=2)
    assert list(found.items()) == list(expected.items())


def test_ties_are_cut_and_ordered_as_trec_eval_orders_them():
    doc_ids = ["a", "b", "c", "d10", "d9"]
    best = BestDocuments(["q"], depth=3)
    best.add(doc_ids, np.array([[1.0, 1.0, 0.0, 1.0, 1.0]]))
    found = best.run()["q"]
    assert list(found) == ["d9", "d10", "b"]
    # trec_eval ranks the relevant document where we put it, for each of them.
    for rank, doc_id in enumerate(found, start=1):
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {doc_id: 1}}, {"recip_rank"})
        assert evaluator.evaluate({"q": found})["q"]["recip_rank"] == 1 / rank


def test_rows_go_to_the_queries_from_the_first_on():
    best = BestDocuments(["q0", "q1", "q2"], depth=5)
    best.add(["a"], np.array([[1.0], [2.0]]), first=1)
    assert best.run() == {"q0": {}, "q1": {"a": 1.0}, "q2": {"a": 2.0}}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error_with_both_ids(bad):
    best = BestDocuments(["q"], depth=1)
    best.add(["a", "b"], np.array([[3.0, 1.0]]))
    with pytest.raises(ModelError, match="query 'q' with document 'd': the score is"):
        best.add(["c", "d"], np.array([[0.0, bad]], dtype=np.float32))


def test_a_depth_below_one_is_refused():
    with pytest.raises(ValueError, match="depth is 0"):
        BestDocuments([], depth=0)
