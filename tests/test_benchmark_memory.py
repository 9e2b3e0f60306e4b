"""The benchmark of memory counts what is kept at the same time, and passes keep what a small group does."""

import json
import sys
from pathlib import Path

import pytest
import torch
from benchmarks import memory, models, workloads
from benchmarks.memory import PACKED, PASSES, WHOLE, PeakSavedBytes


def test_the_peak_is_of_what_is_kept_at_the_same_time() -> None:
    def step() -> None:
        states = torch.ones(256, requires_grad=True)
        for _ in range(3):
            states = states.exp()  # keeps its output: 1 KiB
        states.sum().backward()

    with PeakSavedBytes([]) as saved:
        step()
        assert saved.peak == 3 * 1024
        step()  # the first step's are gone
        assert saved.peak == 3 * 1024
    weight = torch.ones(256, requires_grad=True)
    with PeakSavedBytes([weight]) as saved:
        (weight * weight).sum().backward()
    assert saved.peak == 0


@pytest.mark.slow
def test_many_candidates_fit_where_a_few_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 48, "NUM_LAYERS": 2, "VISION_WIDTH": 32, "VISION_LAYERS": 6}.items():
        monkeypatch.setattr(models, name, value)
    monkeypatch.setattr(models, "PICTURE_SIDE", 112)
    small, large = (
        workloads.Workload(f"T->I 1+{number - 1}", number, "t", "i", picture=(4, 4)) for number in (4, 16)
    )
    monkeypatch.setattr(memory, "WORKLOADS", ((small, large),))
    output = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["memory", "--architecture", "qwen3_vl", "--output", str(output)])
    memory.main()
    found = json.loads(output.read_text())["results"]["qwen3_vl"]
    few, many = found["T->I 1+3"], found["T->I 1+15"]
    assert many[PASSES]["passes"] >= 4
    assert many[PASSES]["kept_mib"] <= 1.1 * few[PACKED]["kept_mib"]
    assert many[PACKED]["kept_mib"] > 3 * few[PACKED]["kept_mib"]
    assert all(many[name]["relative_gradient_distance"] <= 1e-5 for name in (WHOLE, PACKED, PASSES))
