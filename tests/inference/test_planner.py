"""Prefixes that prompts share are found whatever the template, and passes keep to their budget."""

from itertools import pairwise

import PIL.Image
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.items import Image
from gmr.inference.planner import plan_passes, share_prefixes
from gmr.modeling.packing import common_length, keyed_ids
from gmr.modeling.processor import Prompt

PICTURE = 7
ids = st.lists(st.integers(0, 2), min_size=1, max_size=9)


def prompts_of(rows: list[list[int]]) -> list[Prompt]:
    return [Prompt(row) for row in rows]


def num_tokens(prompts: list[Prompt], groups: list) -> int:
    return sum(
        group.num_shared + sum(len(prompts[row].input_ids) - group.num_shared for row in group.rows)
        for group in groups
    )


@given(first=ids, second=ids)
def test_common_length_is_that_of_a_comparison_one_by_one(first, second):
    expected = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        expected += 1
    assert common_length(first, second) == expected


@given(rows=st.lists(ids, max_size=12), data=st.data())
def test_every_prompt_is_in_one_group_whose_members_share_the_prefix(rows, data):
    prompts = prompts_of(rows)
    groups = share_prefixes(prompts, placeholder=None)
    assert sorted(row for group in groups for row in group.rows) == list(range(len(rows)))
    for group in groups:
        members = [rows[row] for row in group.rows]
        assert len({tuple(member[: group.num_shared]) for member in members}) == 1
        assert all(len(member) > group.num_shared for member in members), "a token of its own for each score"
    order = data.draw(st.permutations(range(len(rows))))
    shuffled = share_prefixes([prompts[row] for row in order], placeholder=None)
    assert num_tokens([prompts[row] for row in order], shuffled) == num_tokens(prompts, groups)


@settings(deadline=None)
@given(rows=st.lists(ids, min_size=1, max_size=7, unique_by=tuple))
def test_no_other_cut_of_the_sorted_prompts_saves_much_more(rows):
    rows = sorted(rows)
    prompts = prompts_of(rows)
    found = sum(map(len, rows)) - num_tokens(prompts, share_prefixes(prompts, placeholder=None))

    def saving(start, end):
        shared = min(len(row) - 1 for row in rows[start:end])
        for first, second in pairwise(rows[start:end]):
            shared = min(shared, common_length(first, second))
        return (end - start - 1) * shared

    best = [0]
    for end in range(1, len(rows) + 1):
        best.append(max(best[start] + saving(start, end) for start in range(end)))
    # What is given away at a cut is at most what the two sides of the cut have in common.
    assert best[-1] - sum(common_length(*pair) for pair in pairwise(rows)) <= found <= best[-1]


def test_queries_first_and_documents_first_are_shared_alike():
    queries, documents = [[1, q, 3] for q in (10, 11)], [[4, d, d] for d in (20, 21, 22)]
    query_first = [[0, *query, *document, 9] for query in queries for document in documents]
    document_first = [[0, *document, *query, 9] for query in queries for document in documents]
    by_query = share_prefixes(prompts_of(query_first), placeholder=None)
    assert [group.rows for group in by_query] == [(0, 1, 2), (3, 4, 5)]
    assert {group.num_shared for group in by_query} == {5}, "with the token that all documents begin with"
    by_document = share_prefixes(prompts_of(document_first), placeholder=None)
    assert [group.rows for group in by_document] == [(0, 3), (1, 4), (2, 5)]
    assert {group.num_shared for group in by_document} == {5}


def test_prompts_that_share_nothing_are_groups_of_one():
    groups = share_prefixes(prompts_of([[1, 2], [3, 4], [5]]), placeholder=None)
    assert [(group.rows, group.num_shared) for group in groups] == [((0,), 0), ((1,), 0), ((2,), 0)]


def test_no_prompts_are_no_groups():
    assert share_prefixes([], placeholder=None) == []


def test_equal_placeholders_of_different_pictures_are_different_tokens():
    red, blue = (Image(PIL.Image.new("RGB", (8, 8), colour)) for colour in ("red", "blue"))
    row = [1, PICTURE, PICTURE, 2, 3]
    grid = (1, 2, 4)
    same = [Prompt(row, (red,), (grid,)), Prompt([*row, 4], (red,), (grid,))]
    other = [same[0], Prompt([*row, 4], (blue,), (grid,))]
    assert share_prefixes(same, placeholder=PICTURE)[0].num_shared == 4
    assert share_prefixes(other, placeholder=PICTURE)[0].num_shared == 1
    numbers = {red.key: -1, blue.key: -2}
    two = Prompt([PICTURE, PICTURE, 2, PICTURE], (red, blue), (grid, (1, 2, 2)))
    assert keyed_ids(two, PICTURE, numbers) == [-1, -1, 2, -2]


@given(
    rows=st.lists(ids, min_size=1, max_size=15),
    max_tokens=st.integers(1, 40),
    max_rows=st.integers(1, 6),
)
def test_passes_keep_to_the_budget_and_each_prefix_is_computed_once(rows, max_tokens, max_rows):
    prompts = prompts_of(rows)
    groups = share_prefixes(prompts, placeholder=None)
    passes = plan_passes(groups, [len(row) for row in rows], max_tokens=max_tokens, max_rows=max_rows)
    assert sorted(row for pieces in passes for piece in pieces for row in piece.rows) == list(
        range(len(rows))
    )
    total = 0
    for pieces in passes:
        size = sum(
            groups[piece.group].num_shared * piece.is_first
            + sum(len(rows[row]) - groups[piece.group].num_shared for row in piece.rows)
            for piece in pieces
        )
        num_rows = sum(len(piece.rows) for piece in pieces)
        assert num_rows == 1 or (size <= max_tokens and num_rows <= max_rows)
        total += size
    assert total == num_tokens(prompts, groups)
    for number, _ in enumerate(groups):
        pieces = [piece for each in passes for piece in each if piece.group == number]
        assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
        assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_prompts_that_each_begin_with_the_one_before_do_not_nest_too_deep():
    rows = [[0] * length + [1] for length in range(2000)]  # a recursion would end here
    groups = share_prefixes(prompts_of(rows), placeholder=None)
    assert sum(len(group.rows) for group in groups) == len(rows)
