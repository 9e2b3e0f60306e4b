"""Free memory is given back every few steps of a run on a CPU."""

from types import SimpleNamespace

import pytest
import torch

from gmr.train import memory
from gmr.train.memory import EVERY, GiveBackMemory


@pytest.mark.parametrize(("device", "expected"), [("cpu", 3), ("cuda", 0)])
def test_it_trims_every_few_steps_on_a_cpu(
    device: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(memory, "_malloc_trim", lambda: calls.append)
    arguments = SimpleNamespace(device=torch.device(device))
    for step in range(1, 3 * EVERY + 2):
        GiveBackMemory().on_step_end(arguments, SimpleNamespace(global_step=step), None)
    assert calls == [0] * expected


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_malloc_trim", lambda: None)
    arguments = SimpleNamespace(device=torch.device("cpu"))
    GiveBackMemory().on_step_end(arguments, SimpleNamespace(global_step=EVERY), None)
