"""Muon and AdamW behind one interface do what each does by itself."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import LambdaLR

from gmr.modeling.loading import load_model
from gmr.train.muon import orthogonalised
from gmr.train.optimizers import MuonAdamW, is_for_muon, muon_groups
from gmr.train.recipe import OptimizerSection
from gmr.train.trainable import parameter_groups
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.runs import assert_bitwise_equal, run, tiny_recipe, weights


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.linear = nn.Linear(4, 3)


def small_pair() -> tuple[Small, Small]:
    torch.manual_seed(0)
    first = Small()
    return first, copy.deepcopy(first)


def take_step(model: Small, optimizers: list[Any], number: int) -> None:
    for optimizer in optimizers:
        optimizer.zero_grad()
    model.linear(model.embed(torch.tensor([number % 7, 3]))).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()


def test_it_is_muon_for_matrices_and_adamw_for_the_rest() -> None:
    ours, theirs = small_pair()
    both = MuonAdamW(muon_groups(ours.named_parameters(), weight_decay=0.1), lr=0.02)
    muon = Muon([theirs.linear.weight], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = AdamW(
        [
            {"params": [theirs.embed.weight], "weight_decay": 0.1},
            {"params": [theirs.linear.bias], "weight_decay": 0.0},
        ],
        lr=0.02,
        betas=(0.9, 0.98),
    )
    for number in range(5):
        take_step(ours, [both], number)
        take_step(theirs, [muon, adamw], number)
        if number == 0:  # later gradients see that torch multiplies in bfloat16
            assert torch.equal(ours.embed.weight, theirs.embed.weight)
            assert torch.equal(ours.linear.bias, theirs.linear.bias)
    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=0.02 * 0.05, rtol=0)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_orthogonalised_changes_singular_values_and_nothing_else(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    coefficients = (3.4445, -4.7750, 2.0315)
    found = orthogonalised(matrix, coefficients, 5, eps=1e-7)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    expected = values / values.square().sum().sqrt()
    for _ in range(5):
        a, b, c = coefficients
        expected = a * expected + b * expected**3 + c * expected**5
    torch.testing.assert_close(found, left @ torch.diag(expected) @ right, atol=1e-9, rtol=1e-9)


def test_a_schedule_reaches_every_part_also_after_a_state_is_loaded() -> None:
    model, other = small_pair()
    first = MuonAdamW(muon_groups(model.named_parameters(), weight_decay=0.1), lr=1.0)
    take_step(model, [first], 0)
    second = MuonAdamW(muon_groups(other.named_parameters(), weight_decay=0.1), lr=1.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    schedule = LambdaLR(second, lambda step: 0.5**step)
    take_step(other, [second], 1)
    schedule.step()
    assert [group["lr"] for part in second.parts.values() for group in part.param_groups] == [0.5] * 3
    assert second.parts.keys() == {"muon", "adamw"}


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    straight, resumed = small_pair()
    optimizer = MuonAdamW(muon_groups(straight.named_parameters(), weight_decay=0.1), lr=0.02)
    for number in range(3):
        take_step(straight, [optimizer], number)
    resumed.load_state_dict(straight.state_dict())
    again = MuonAdamW(muon_groups(resumed.named_parameters(), weight_decay=0.1), lr=0.02)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for number in range(3, 6):
        take_step(straight, [optimizer], number)
        take_step(resumed, [again], number)
    for found, expected in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_embeddings_heads_and_vectors_are_not_for_muon() -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)
    for name, parameter in model.named_parameters():
        expected = parameter.ndim == 2 and name.split(".")[-2] not in ("embed_tokens", "lm_head")
        assert is_for_muon(name, parameter) == expected, name
    groups = parameter_groups(
        model, decayed=[], weight_decay=0.0, learning_rate=1.0, learning_rates={"vision": 0.5}, muon=True
    )
    assert {(group["lr"], group["muon"]) for group in groups} == {
        (1.0, True),
        (1.0, False),
        (0.5, True),
        (0.5, False),
    }


@pytest.mark.slow
def test_a_run_with_muon_resumes_bit_for_bit_and_differs_from_adamw(tmp_path: Path) -> None:
    recipe = replace(tiny_recipe(dev=""), optimizer=OptimizerSection("muon"))
    straight = run(recipe, tmp_path / "straight", dev_tasks=[])
    run(recipe, tmp_path / "resumed", dev_tasks=[])
    for name in ("result.json", "checkpoint-4"):
        path = tmp_path / "resumed" / name
        path.unlink() if path.is_file() else _remove(path)
    resumed = run(recipe, tmp_path / "resumed", dev_tasks=[])
    assert_bitwise_equal(weights(resumed), weights(straight))
    plain = run(tiny_recipe(dev=""), tmp_path / "adamw", dev_tasks=[])
    assert any(not torch.equal(tensor, weights(plain)[name]) for name, tensor in weights(straight).items())


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
