"""Fusion of runs is its formula, whatever the order of runs and documents."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.metrics.fusion import SCALES, reciprocal_rank, weighted_sum

A = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
B = {"q": {"c": 0.9, "a": 0.1}, "p": {"a": 1.0}}

scores = st.dictionaries(st.sampled_from("abcdef"), st.floats(-100, 100), max_size=6)
runs = st.lists(st.dictionaries(st.sampled_from("pq"), scores, max_size=2), min_size=1, max_size=4)


def test_reciprocal_ranks_are_summed_with_the_constant_60():
    assert reciprocal_rank([A, B]) == {
        "q": {"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61},
        "p": {"a": 1 / 61},
    }


def test_weights_and_the_constant_enter_the_sum():
    fused = reciprocal_rank([A, B], weights=[2, 0.5], rank_constant=0)["q"]
    assert fused == {"a": 2 / 1 + 0.5 / 2, "b": 2 / 2, "c": 2 / 3 + 0.5 / 1}


def test_ties_have_the_ranks_of_trec_eval():
    assert reciprocal_rank([{"q": {"a": 1.0, "b": 1.0}}])["q"] == {"b": 1 / 61, "a": 1 / 62}


def test_minmax_sums_have_a_missing_document_at_the_least():
    fused = weighted_sum([A, B], weights=[0.25, 0.75])["q"]
    assert fused == pytest.approx({"a": 0.25, "b": 0.125, "c": 0.75})
    assert weighted_sum([A, B], scale="none")["q"] == pytest.approx({"a": 3.1, "b": 2.1, "c": 1.9})


def test_zscores_have_mean_0_and_deviation_1():
    scaled = SCALES["zscore"]([1.0, 2.0, 6.0, -4.0])
    assert math.fsum(scaled) == pytest.approx(0, abs=1e-12)
    assert math.fsum(value**2 for value in scaled) == pytest.approx(4)
    assert SCALES["zscore"]([5.0, 5.0]) == [0.0, 0.0]
    assert SCALES["minmax"]([5.0, 5.0]) == [0.5, 0.5]


@given(runs, st.sampled_from(["rrf", *SCALES]))
def test_the_order_of_runs_and_documents_changes_no_bit(given_runs, method):
    def fuse(some):
        return reciprocal_rank(some) if method == "rrf" else weighted_sum(some, scale=method)

    turned = [
        {query_id: dict(reversed(row.items())) for query_id, row in reversed(run.items())}
        for run in reversed(given_runs)
    ]
    assert fuse(given_runs) == fuse(turned)


@given(runs)
def test_every_document_of_every_run_is_fused(given_runs):
    for fused in (reciprocal_rank(given_runs), weighted_sum(given_runs)):
        for query_id in {query_id for run in given_runs for query_id in run}:
            assert fused[query_id].keys() == {d for run in given_runs for d in run.get(query_id, {})}


@pytest.mark.parametrize("fuse", [reciprocal_rank, weighted_sum])
def test_no_runs_and_other_numbers_of_weights_are_refused(fuse):
    with pytest.raises(ValueError, match="0 runs with 0 weights"):
        fuse([])
    with pytest.raises(ValueError, match="2 runs with 1 weights"):
        fuse([A, B], weights=[1.0])


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="rank_constant is -1"):
        reciprocal_rank([A], rank_constant=-1)
    with pytest.raises(ValueError, match="scale 'max' is unknown; there are minmax"):
        weighted_sum([A], scale="max")
    with pytest.raises(DataError, match="query 'q'"):
        reciprocal_rank([{"q": {"a": math.nan}}])
