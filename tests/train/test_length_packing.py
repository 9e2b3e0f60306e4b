"""Packing by length: every query once, steps as they were with a window of one, less padding and less waiting."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import ConfigError
from gmr.train.balance import BalancedSampler, StepShape
from gmr.train.length_packing import PackedSampler, measure_load, pack_window
from gmr.train.recipe import ModelSection
from gmr.train.sampling import EpochSampler
from tests.train.runs import run, tiny_recipe, weights
from tests.train.test_balance import steps_of

SHAPES = {
    "costs": st.lists(st.integers(1, 100), min_size=1, max_size=60),
    "num_processes": st.integers(1, 4),
    "batch_size": st.integers(1, 3),
    "accumulated": st.integers(1, 3),
    "window": st.integers(1, 4),
    "epoch": st.integers(0, 2),
}


@settings(deadline=None, max_examples=200)
@given(**SHAPES)
def test_every_window_has_the_queries_that_it_would_have_had(
    costs: list[int], num_processes: int, batch_size: int, accumulated: int, window: int, epoch: int
) -> None:
    shape = StepShape(num_processes, batch_size, accumulated)
    options = {"seed": 5, "cost": lambda key: costs[key[1]], "shape": shape}
    packed = PackedSampler(len(costs), window=window, **options)
    plain = EpochSampler(len(costs), seed=5) if num_processes == 1 else BalancedSampler(len(costs), **options)
    steps = []
    for sampler in (packed, plain):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert len(keys) == len(sampler)
        if num_processes == 1:  # a batch that is not full stays so, and is the last
            assert sorted(keys) == [(epoch, index) for index in range(len(costs))]
            size = batch_size * accumulated
            found = [[keys[start : start + size]] for start in range(0, len(keys), size)]
        else:
            found = steps_of(
                sampler,
                num_processes=num_processes,
                batch_size=batch_size,
                accumulated=accumulated,
                drop_last=False,
            )
        steps.append([Counter(key for keys in step for key in keys) for step in found])
    ours, theirs = steps
    assert len(ours) == len(theirs)
    for start in range(0, len(ours), window):
        assert sum(ours[start : start + window], Counter()) == sum(theirs[start : start + window], Counter())


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 100), min_size=48, max_size=48),
    st.sampled_from([(1, 4, 2), (2, 2, 3), (4, 2, 1), (3, 1, 4)]),
)
def test_queries_of_a_batch_are_neighbours_in_length(costs: list[int], shape: tuple[int, int, int]) -> None:
    batch_size = shape[1]
    steps = pack_window(costs, shape=StepShape(*shape), rng=random.Random(0))
    batches = [batch for step in steps for turn in step for batch in turn]
    assert sorted(place for batch in batches for place in batch) == list(range(48))
    assert {len(batch) for batch in batches} == {batch_size}
    spans = sorted((min(costs[p] for p in batch), max(costs[p] for p in batch)) for batch in batches)
    assert all(low[1] <= high[0] or low == high for low, high in pairwise(spans))
    # No turn makes a process wait longer than the lengths of that turn differ.
    for step in steps:
        for turn in step:
            loads = [sum(costs[place] for place in batch) for batch in turn]
            places = [costs[place] for batch in turn for place in batch]
            assert max(loads) - min(loads) <= batch_size * (max(places) - min(places))


def test_lengths_of_a_long_tail_waste_less_padding_and_less_waiting() -> None:
    draw = random.Random(1)
    bases = [20 + 200 * draw.random() ** 4 for _ in range(1024)]
    lengths = [[round(base + 5 * draw.random()) for _ in range(4)] for base in bases]
    shape = StepShape(4, 4, 2)
    options = {"cost": lambda key: 4 * max(lengths[key[1]]), "seed": 0, "shape": shape}
    samplers = {
        "drawn": EpochSampler(1024, seed=0),
        "dealt": BalancedSampler(1024, **options),
        "step": PackedSampler(1024, window=1, **options),
        "window": PackedSampler(1024, window=16, **options),
    }
    loads = {
        name: measure_load([lengths[i] for _, i in each], shape=shape) for name, each in samplers.items()
    }
    assert len({load.num_tokens for load in loads.values()}) == 1
    assert loads["window"].padding < loads["step"].padding < 0.8 * loads["drawn"].padding
    assert (
        loads["window"].critical < loads["step"].critical < loads["dealt"].critical < loads["drawn"].critical
    )


def test_a_load_is_counted_as_by_hand() -> None:
    lengths = [[3, 1], [2, 2], [4, 4], [1, 1]]  # two processes, one batch of one query each, two steps
    load = measure_load(lengths, shape=StepShape(2, 1, 1))
    assert load.num_tokens == 18
    assert load.padding == pytest.approx(1 - 18 / (6 + 4 + 8 + 2))
    assert load.critical == 6 + 8
    assert load.waiting == pytest.approx(1 - 20 / (2 * 6 + 2 * 8))
    assert load.spread == pytest.approx(10 / 10)
    with pytest.raises(ValueError, match="4 queries are less than a step of 8"):
        measure_load(lengths, shape=StepShape(2, 4, 1))


def test_a_window_of_one_step_leaves_every_step_s_gradient_as_it_was(tmp_path: Path) -> None:
    options = {"gradient_accumulation_steps": 2, "optim": "sgd", "learning_rate": 0.1, "max_steps": 2}
    plain = run(tiny_recipe(**options), tmp_path / "plain")
    packed = run(tiny_recipe(model={"length_window": 1}, **options), tmp_path / "packed")
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(packed)[name], tensor, rtol=0, atol=2e-5)


def test_a_window_below_0_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.length_window must be 0 or more, not -1"):
        ModelSection(length_window=-1)
