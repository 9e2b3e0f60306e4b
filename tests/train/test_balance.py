"""Processes get about equal loads, and every step the queries that it would have had."""

from collections import Counter
from itertools import combinations

import pytest
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler
from transformers import TrainingArguments

from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.modeling.processor import PromptProcessor
from gmr.train.balance import BalancedSampler, StepShape, deal, estimate_tokens, heaviest
from gmr.train.samplers import choose_sampler
from gmr.train.sampling import EpochSampler, Group, GroupDataset, SamplingConfig
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import training_set


@given(st.lists(st.integers(0, 50), max_size=24), st.integers(1, 5))
def test_hands_are_of_one_size_and_hold_everything_once(costs: list[int], num_hands: int) -> None:
    costs = costs[: len(costs) // num_hands * num_hands]
    hands = deal(costs, num_hands)
    assert {len(hand) for hand in hands} == {len(costs) // num_hands}
    assert sorted(place for hand in hands for place in hand) == list(range(len(costs)))
    assert hands == deal(costs, num_hands)


@given(st.lists(st.integers(1, 50), min_size=8, max_size=8))
def test_two_hands_are_nearly_as_even_as_the_best_of_all(costs: list[int]) -> None:
    best = min(
        max(sum(costs[place] for place in chosen), sum(costs) - sum(costs[place] for place in chosen))
        for chosen in combinations(range(8), 4)
    )
    assert best <= heaviest(costs, deal(costs, 2)) <= 1.5 * best


def test_large_ones_are_dealt_with_small_ones() -> None:
    assert heaviest([9, 1, 2, 8, 1, 9, 9, 1], deal([9, 1, 2, 8, 1, 9, 9, 1], 2)) == 20
    assert deal([1, 7, 5, 3], 2) == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="5 cannot be dealt to 2 in equal numbers"):
        deal([1] * 5, 2)


def steps_of(
    sampler: EpochSampler, *, num_processes: int, batch_size: int, accumulated: int, drop_last: bool
):
    """For each optimizer step the keys of every process, as accelerate and the Trainer hand them out."""
    batches = BatchSampler(sampler, batch_size=batch_size, drop_last=drop_last)
    shards = [list(BatchSamplerShard(batches, num_processes, process)) for process in range(num_processes)]
    assert len({len(shard) for shard in shards}) == 1
    return [
        [[key for batch in shard[start : start + accumulated] for key in batch] for shard in shards]
        for start in range(0, len(shards[0]), accumulated)
    ]


@settings(deadline=None, max_examples=200)
@given(
    costs=st.lists(st.integers(1, 100), min_size=1, max_size=40),
    num_processes=st.integers(2, 4),
    batch_size=st.integers(1, 3),
    accumulated=st.integers(1, 3),
    drop_last=st.booleans(),
    epoch=st.integers(0, 2),
)
def test_every_step_has_its_queries_and_no_process_more_than_the_heaviest_had(
    costs, num_processes, batch_size, accumulated, drop_last, epoch
) -> None:
    plain = EpochSampler(len(costs), seed=5)
    balanced = BalancedSampler(
        len(costs),
        seed=5,
        cost=lambda key: costs[key[1]],
        shape=StepShape(num_processes, batch_size, accumulated),
        drop_last=drop_last,
    )
    found = []
    for sampler in (plain, balanced):
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler)
        assert len(list(sampler)) == len(sampler)
        options = {"num_processes": num_processes, "batch_size": batch_size, "accumulated": accumulated}
        found.append(steps_of(sampler, **options, drop_last=drop_last))
    before, after = found
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert Counter(key for keys in one for key in keys) == Counter(key for keys in other for key in keys)
        assert [len(keys) for keys in one] == [len(keys) for keys in other]
        loads = [[sum(costs[index] for _, index in keys) for keys in step] for step in (one, other)]
        assert max(loads[1]) <= max(loads[0])


def test_the_loads_of_two_processes_come_together() -> None:
    costs = [1, 30] * 12
    steps = [
        steps_of(sampler, num_processes=2, batch_size=2, accumulated=2, drop_last=False)
        for sampler in (
            EpochSampler(24, seed=0),
            BalancedSampler(24, seed=0, cost=lambda key: costs[key[1]], shape=StepShape(2, 2, 2)),
        )
    ]
    before, after = (
        [abs(sum(costs[i] for _, i in a) - sum(costs[i] for _, i in b)) for a, b in each] for each in steps
    )
    # Eight queries of two sizes: hands differ by one large query at most.
    assert max(after) <= 29 < max(before)


@pytest.fixture(scope="module")
def processor() -> PromptProcessor:
    return PromptProcessor.from_pretrained(tiny_checkpoint("qwen2_5_vl"), max_tokens=512)


def test_the_estimate_counts_the_query_once_where_it_is_computed_once(processor) -> None:
    picture = Image(noise_picture(16, 32))
    query = Query("q", (Text("four" * 10), picture))
    documents = (
        Document("a", (Text("four" * 5),)),
        Document("b", (Text("four" * 500),)),
        Document("c", (picture,)),
    )
    group = Group("e", query, documents, (1.0, 0.0, 0.0))
    options = {"picture_tokens": lambda size: size[0] * size[1] // 64, "max_tokens": 100}
    # The query has 10 + 8 tokens; of the second document 82 are left.
    assert estimate_tokens(group, packed=True, **options) == 18 + 5 + 82 + 8
    assert estimate_tokens(group, packed=False, **options) == 3 * 100


def test_estimates_follow_the_tokens_and_open_no_picture(processor, tmp_path, monkeypatch) -> None:
    data = GroupDataset(training_set(pictures=True), SamplingConfig(1, 3), seed=0)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    assert type(choose_sampler(data, args, processor, packed=True)) is EpochSampler
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    monkeypatch.setattr(Image, "open", lambda self: pytest.fail("a picture was opened"))
    sampler = choose_sampler(data, args, processor, packed=True)
    assert isinstance(sampler, BalancedSampler)
    costs = {key: sampler.cost(key) for key in EpochSampler(len(data), seed=0)}
    by_kind = [
        [cost for (_, index), cost in costs.items() if (index < 8) == texts] for texts in (True, False)
    ]
    # "the colour red" has 14 characters and more; a square of 16 pixels is 4 tokens here.
    assert max(by_kind[0]) < 40
    assert min(by_kind[1]) >= 16
    broken = Document("d", (Image(tmp_path / "absent.png"),))
    monkeypatch.setattr(
        GroupDataset, "__getitem__", lambda self, key: Group("e", Query("q", ()), (broken,), (1.0,))
    )
    assert sampler.cost((0, 0)) == 0.0


def test_an_order_that_is_as_even_already_stays() -> None:
    # Dealt by size, one hand would have 7; in the order as it is, both have 6.
    order = list(EpochSampler(6, seed=5))
    costs = dict(zip(order, [3, 3, 0, 2, 2, 2], strict=True))
    assert heaviest(list(costs.values()), deal(list(costs.values()), 2)) == 7
    sampler = BalancedSampler(6, seed=5, cost=costs.__getitem__, shape=StepShape(2, 3, 1))
    assert list(sampler) == order
