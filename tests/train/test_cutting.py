"""Passes hold every prompt once, keep the limits, and keep prompts together that share a prefix."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.modeling.packing import Part, pack
from gmr.modeling.processor import Prompt
from gmr.train.cutting import cut_packed, cut_padded, num_new_tokens

# A few long stems with endings of their own: what a batch of queries with their candidates looks like.
batches = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(5, 7), min_size=1, max_size=6)), min_size=1, max_size=12
)
limits = st.one_of(st.none(), st.integers(1, 40))


def prompts_of(batch: list[tuple[int, list[int]]]) -> list[Prompt]:
    return [Prompt([9, *[stem] * (3 * stem), *ending]) for stem, ending in batch]


def tokens_of(prompts: list[Prompt], groups) -> int:
    """Length of the packed sequence that the groups make."""
    parts = [Part([prompts[row] for row in group.rows], group.num_shared) for group in groups]
    return pack(parts, placeholder=None).num_tokens


@settings(deadline=None)
@given(batch=batches, max_tokens=limits, max_rows=limits)
def test_a_packed_pass_keeps_both_limits_or_is_one_prompt(batch, max_tokens, max_rows) -> None:
    prompts = prompts_of(batch)
    passes = cut_packed(prompts, placeholder=None, max_tokens=max_tokens, max_rows=max_rows)
    rows = [[row for group in groups for row in group.rows] for groups in passes]
    assert sorted(row for each in rows for row in each) == list(range(len(prompts)))
    for groups, held in zip(passes, rows, strict=True):
        num_tokens = tokens_of(prompts, groups)
        assert num_tokens == sum(
            num_new_tokens(group, [len(p.input_ids) for p in prompts]) for group in groups
        )
        assert max_rows is None or len(held) <= max_rows
        assert max_tokens is None or num_tokens <= max_tokens or len(held) == 1
    assert passes == cut_packed(prompts, placeholder=None, max_tokens=max_tokens, max_rows=max_rows)
    if max_tokens is None and max_rows is None:
        assert len(passes) == 1


@settings(deadline=None)
@given(batch=batches, max_tokens=limits, max_rows=limits)
def test_a_padded_pass_keeps_both_limits_or_is_one_prompt(batch, max_tokens, max_rows) -> None:
    lengths = [len(prompt.input_ids) for prompt in prompts_of(batch)]
    passes = cut_padded(lengths, max_tokens=max_tokens, max_rows=max_rows)
    assert sorted(row for rows in passes for row in rows) == list(range(len(lengths)))
    for rows in passes:
        assert max_rows is None or len(rows) <= max_rows
        assert (
            max_tokens is None
            or len(rows) * max(lengths[row] for row in rows) <= max_tokens
            or len(rows) == 1
        )


@pytest.mark.parametrize("limit", [{"max_tokens": 20, "max_rows": None}, {"max_tokens": None, "max_rows": 4}])
def test_prompts_that_share_a_prefix_meet_in_a_pass_wherever_they_stand(limit) -> None:
    first, second = [1] * 12, [2] * 12
    prompts = [Prompt([*stem, 5 + number, 7]) for number in range(4) for stem in (first, second)]
    passes = cut_packed(prompts, placeholder=None, **limit)
    assert [[row % 2 for group in groups for row in group.rows] for groups in passes] == [[0] * 4, [1] * 4]
    assert [tokens_of(prompts, groups) for groups in passes] == [12 + 4 * 2] * 2


def test_a_group_that_is_larger_than_a_pass_has_its_prefix_in_each() -> None:
    prompts = [Prompt([*[1] * 10, 5 + number, 7]) for number in range(5)]
    passes = cut_packed(prompts, placeholder=None, max_tokens=14, max_rows=None)
    # Two prompts at a time beside the prefix; the last is alone, whole.
    assert [tokens_of(prompts, groups) for groups in passes] == [14, 14, 12]
    assert [group.num_shared for groups in passes for group in groups] == [10, 10, 0]


def test_pieces_of_several_groups_fill_a_pass() -> None:
    prompts = [Prompt([stem] * 6 + [7]) for stem in (1, 2, 3, 4)]
    passes = cut_packed(prompts, placeholder=None, max_tokens=14, max_rows=None)
    assert [len(groups) for groups in passes] == [2, 2]
