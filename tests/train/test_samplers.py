"""Which order a run has, by its processes and its window."""

from types import SimpleNamespace

import pytest

from gmr.core.errors import ConfigError
from gmr.train.balance import BalancedSampler
from gmr.train.length_packing import PackedSampler
from gmr.train.samplers import choose_sampler
from gmr.train.sampling import EpochSampler, GroupDataset, SamplingConfig
from tests.train.data import training_set


def chosen(*, world_size: int = 1, window: int = 0, **how: bool) -> EpochSampler:
    turns = {"even_batches": True, "split_batches": False, "dispatch_batches": None}
    args = SimpleNamespace(
        world_size=world_size,
        train_batch_size=2,
        gradient_accumulation_steps=3,
        dataloader_drop_last=True,
        accelerator_config=SimpleNamespace(**turns | how),
    )
    data = GroupDataset(training_set(), SamplingConfig(1, 3), seed=7)
    return choose_sampler(data, args, processor=None, packed=True, window=window)


def test_one_process_has_the_plain_order_and_several_a_balanced_one() -> None:
    assert type(chosen()) is EpochSampler
    balanced = chosen(world_size=2)
    assert type(balanced) is BalancedSampler
    assert (balanced.seed, balanced.drop_last) == (7, True)
    assert (balanced.shape.turn_size, balanced.shape.step_size) == (2 * 2, 2 * 2 * 3)


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_window_packs_by_length(world_size: int) -> None:
    packed = chosen(world_size=world_size, window=5)
    assert type(packed) is PackedSampler
    assert packed.window == 5


@pytest.mark.parametrize(
    "how", [{"even_batches": False}, {"split_batches": True}, {"dispatch_batches": True}]
)
def test_who_takes_no_whole_batches_in_turn_has_the_plain_order_and_no_window(how: dict[str, bool]) -> None:
    assert type(chosen(world_size=2, **how)) is EpochSampler
    with pytest.raises(ConfigError, match=r"model\.length_window needs training\.accelerator_config"):
        chosen(world_size=2, window=1, **how)
