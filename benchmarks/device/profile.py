"""Where the time of a workload goes: the kernels of one packed pass, by the device's own clock."""

from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.device.models import keep_pixels
from benchmarks.device.timing import Device
from benchmarks.workloads import Workload
from gmr.inference.scoring import score_pairs
from gmr.modeling.model import RerankModel

MOST_KERNELS = 25
NAME_CHARACTERS = 120


def kernels_of(
    model: RerankModel, workload: Workload, device: Device, *, batch_tokens: int
) -> dict[str, Any]:
    """Seconds by kernel (on a CPU by operation), most first, of one run after the warm-ups; pixels are at hand.

    Returns:
        ``seconds`` of the run, ``busy_seconds`` in which the device computed, and ``kernels``: name, seconds and calls
        of each. What is not busy waits for the host.
    """
    pairs = workload.pairs()
    keep_pixels(model, kept=True)

    def run() -> None:
        score_pairs(model, pairs, batch_tokens=batch_tokens, engine="packed")

    for _ in range(max(1, device.warm_ups)):
        run()
    seconds = device.seconds(run)[1]
    watched = [ProfilerActivity.CUDA] if device.is_gpu else [ProfilerActivity.CPU]
    with profile(activities=watched) as profiler:
        run()
        if device.is_gpu:
            torch.cuda.synchronize()
    taken = [(_microseconds(event, device) / 1e6, event) for event in profiler.key_averages()]
    taken.sort(key=lambda each: -each[0])
    return {
        "seconds": round(seconds, 5),
        "busy_seconds": round(sum(each for each, _ in taken), 5),
        "kernels": [
            {"name": event.key[:NAME_CHARACTERS], "seconds": round(each, 5), "calls": event.count}
            for each, event in taken[:MOST_KERNELS]
        ],
    }


def _microseconds(event: Any, device: Device) -> float:
    return float(event.self_device_time_total if device.is_gpu else event.self_cpu_time_total)
