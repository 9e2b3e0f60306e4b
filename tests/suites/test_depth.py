"""Depth takes the first candidates of the canonical order and changes nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import UsageError
from gmr.metrics.order import canonical_order
from gmr.suites.depth import at_depth, first_candidates
from tests.helpers.toy_sets import toy_task

runs = st.dictionaries(
    st.sampled_from(["q0", "q1", "q2"]),
    st.dictionaries(st.sampled_from([f"d{i}" for i in range(7)]), st.sampled_from([0.0, 0.5, 1.0, 2.0])),
)


@given(runs, st.integers(1, 9))
def test_the_first_candidates_are_those_of_the_canonical_order(run, depth):
    cut = first_candidates(run, depth)
    for query_id, scores in run.items():
        assert set(cut[query_id]) == set(canonical_order(scores, where="q")[:depth])
        assert all(cut[query_id][doc_id] == scores[doc_id] for doc_id in cut[query_id])


@given(runs, st.integers(1, 9), st.integers(1, 9))
def test_a_cut_of_a_cut_is_the_smaller_cut(run, first, second):
    assert first_candidates(first_candidates(run, first), second) == first_candidates(run, min(first, second))


def test_a_task_at_depth_has_its_first_candidates_in_order():
    task = toy_task()
    shallow = at_depth(task, 2)
    for query_id in task.queries:
        assert shallow.candidates(query_id) == task.candidates(query_id)[:2]
    assert replace(shallow, first_stage=task.first_stage) == task
    assert at_depth(task, 100) == task


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_below_one_is_refused(depth):
    with pytest.raises(UsageError, match=f"depth {depth}"):
        at_depth(toy_task(), depth)
