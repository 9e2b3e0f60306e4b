"""The benchmarks run, their variants agree, and their ratios are of what they say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks import attention, inference, models, packing, passes, training, turns, workloads
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models and pictures of the smallest size."""
    for name, value in {"WIDTH": 48, "NUM_LAYERS": 2, "VISION_WIDTH": 32, "VISION_LAYERS": 6}.items():
        monkeypatch.setattr(models, name, value)
    monkeypatch.setattr(models, "PICTURE_SIDE", 112)
    monkeypatch.setattr(workloads, "TOKEN_SIDE", 7)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "workload"), [("qwen2_5_vl", "I->T"), ("qwen3_vl", "pages")])
def test_inference(
    small: None, architecture: str, workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "result.json"
    options = ["--workload", workload, "--architecture", architecture, "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["inference", "--repeats", "1", *options])
    inference.main()
    result = json.loads(output.read_text())["results"][architecture][workload]
    assert max(result["largest_difference_of_scores"].values()) <= 2e-5
    seconds = {name: value["median_s"] for name, value in result["seconds"].items()}
    theirs = {name: value for name, value in seconds.items() if "our" not in name and "packed" not in name}
    best = min(value for name, value in theirs.items() if name.startswith("Cross"))
    assert result["times_faster_than_cross_encoder"]["packed"] == pytest.approx(
        best / seconds["packed"], abs=0.01
    )
    assert result["times_faster_than_best_peer"]["packed"] == pytest.approx(
        min(theirs.values()) / seconds["packed"], abs=0.01
    )
    for name, bar in result["bars"].items():
        assert bar["holds"] == (best / seconds[name] >= bar["times_faster"])


@pytest.mark.slow
def test_training(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "result.json"
    monkeypatch.setattr(training, "TRAINING", [workloads.Workload("I->T 1+7", 8, "i", "t", 10)])
    options = ["--repeats", "1", "--architecture", "qwen3_vl", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["training", *options])
    training.main()
    result = json.loads(output.read_text())["results"]["qwen3_vl"]["I->T 1+7"]
    assert max(result["relative_gradient_distance"].values()) <= 1e-5
    assert result["times_smaller"] > 2, "activations of the query's picture are kept once, not eight times"


def test_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "result.json"
    monkeypatch.setattr(attention, "SHAPES", [(2, 2, 3, 4, 8)])
    monkeypatch.setattr(attention, "CALLS", 1)
    monkeypatch.setattr(sys, "argv", ["attention", "--repeats", "1", "--output", str(output)])
    before = torch.get_float32_matmul_precision()
    try:
        attention.main()
    finally:
        torch.set_float32_matmul_precision(before)
    result = json.loads(output.read_text())["results"]
    assert set(result["attention (2, 2, 3, 4, 8)"]) == {
        f"{name}, {precision}" for name in ("sdpa", "written out") for precision in ("highest", "medium")
    }


def test_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "result.json"
    monkeypatch.setattr(turns, "GROUPS", [(5, (150, 160))])
    monkeypatch.setattr(attention.attention, "MIN_TURN", 64)  # also on processors where it is longer,
    monkeypatch.setattr(
        attention.attention, "MAX_WRITTEN_OUT", 16_384
    )  # or where the kernel is used for fewer rows
    lengths: dict[str, list[int]] = {}

    def run_all(runs: dict[str, Callable[[], None]], *, repeats: int) -> dict[str, list[float]]:
        for name, run in runs.items():
            with KernelCalls() as calls:
                run()
            lengths[name] = calls.lengths
        return {name: [float(number)] * repeats for number, name in enumerate(runs, 1)}

    monkeypatch.setattr(turns, "interleaved", run_all)
    monkeypatch.setattr(sys, "argv", ["turns", "--repeats", "1", "--output", str(output)])
    turns.main()
    for name in ("inference", "training"):
        assert lengths[f"{name}, at once"] == [160] * turns.CALLS
        assert lengths[f"{name}, in turns"] == [80, 80] * turns.CALLS
    (result,) = json.loads(output.read_text())["results"].values()
    assert result["times_faster"] == {"inference": 0.5, "training": 0.75}


class KernelCalls(TorchDispatchMode):
    """How many queries each call of torch's kernel for CPUs had."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            self.lengths.append(args[0].shape[2])
        return func(*args, **(kwargs or {}))


def test_passes(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "result.json"
    monkeypatch.setattr(passes, "SIZES", (200, 2000))
    monkeypatch.setattr(passes, "INFERENCE", [workloads.Workload("T->T", 3, "t", "t", 10)])
    options = ["--repeats", "1", "--architecture", "qwen3_vl", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["passes", *options])
    passes.main()
    result = json.loads(output.read_text())["results"]["qwen3_vl"]["T->T"]
    assert set(result) == {f"{engine}, {size}" for engine in ("packed", "padded") for size in (200, 2000)}


def test_packing_counts_the_same_tokens_in_every_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "result.json"
    shape = ["--processes", "2", "--batch-size", "2", "--accumulated", "2", "--windows", "1", "2"]
    options = ["gmr-nano-sft", "--queries", "64", *shape, "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["packing", *options])
    packing.main()
    results = json.loads(output.read_text())["results"]
    assert list(results) == ["drawn", "dealt", "packed, 1 step", "packed, 2 steps"]
    assert len({result["num_tokens"] for result in results.values()}) == 1
    assert results["packed, 1 step"]["padding"] < results["drawn"]["padding"]
