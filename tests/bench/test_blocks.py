"""Blocks follow from the task alone, and shards have each of them once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.bench.blocks import PAIRS_PER_BLOCK, Shard, blocks_of, numbered
from gmr.core.errors import UsageError
from tests.bench.suites import make_task


@pytest.mark.parametrize("num_pairs", [1, 30, 512, 10_000])
def test_blocks_are_whole_queries_in_order_and_none_is_small_but_the_last(num_pairs: int) -> None:
    task = make_task(num_queries=70, depth=20)
    blocks = list(blocks_of(task, num_pairs=num_pairs))
    assert [pair for block in blocks for pair in block.pairs] == task.pairs()
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert all(len(block.pairs) >= num_pairs for block in blocks[:-1])
    assert all(len(block.pairs) < num_pairs + 20 for block in blocks)
    queries = [{query.query_id for query, _ in block.pairs} for block in blocks]
    assert sum(map(len, queries)) == 70


def test_a_task_cut_to_fewer_queries_has_the_same_first_blocks() -> None:
    whole = list(blocks_of(make_task(num_queries=70, depth=20)))
    fewer = list(blocks_of(make_task(num_queries=60, depth=20)))
    assert whole[:2] == fewer[:2]
    assert len(whole[0].pairs) == PAIRS_PER_BLOCK // 20 * 20 + 20


@given(st.integers(1, 9))
def test_shards_share_the_blocks_between_them(count: int) -> None:
    numbers = [number for number, _, _ in numbered([make_task("a"), make_task("b")])]
    shards = [Shard.parse(f"{index}/{count}") for index in range(1, count + 1)]
    assert sorted(number for shard in shards for number in numbers if shard.has(number)) == numbers


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "1/", "/2", "a/b", "1/2/3", "-1/2", "１ /2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"give which of how many, such as 1/4"):
        Shard.parse(text)
