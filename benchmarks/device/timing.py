"""Times on a device: events and wall clock, what a matrix product reaches, memory."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Runs = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Device:
    """Where things are measured.

    Attributes:
        name: ``cuda`` or ``cpu``.
        repeats: timed turns of all variants.
        warm_ups: turns before them.
    """

    name: str
    repeats: int = 5
    warm_ups: int = 2

    @property
    def is_gpu(self) -> bool:
        """Whether it is a CUDA device."""
        return self.name == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """bfloat16, or float32 on a CPU."""
        return torch.bfloat16 if self.is_gpu else torch.float32

    def seconds(self, run: Callable[[], Any]) -> tuple[float, float]:
        """Seconds between events on the device (on a CPU those of the process), and of the wall clock."""
        if not self.is_gpu:
            started, busy = time.perf_counter(), time.process_time()
            run()
            return time.process_time() - busy, time.perf_counter() - started
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        started = time.perf_counter()
        before.record()
        run()
        after.record()
        torch.cuda.synchronize()
        return before.elapsed_time(after) / 1000, time.perf_counter() - started

    def interleaved(self, runs: Runs) -> dict[str, dict[str, float]]:
        """Median, least and most device seconds and the median of wall seconds, all variants in turn."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for turn in range(self.warm_ups + self.repeats):
            for name, run in runs.items():
                taken = self.seconds(run)
                if turn >= self.warm_ups:
                    found[name].append(taken)
        return {name: _summary(taken) for name, taken in found.items()}

    def ceiling(self, *, size: int = 8192) -> float:
        """Operations per second of a square matrix product in this type, after a warm-up: the median of 20."""
        left, right = (torch.randn(size, size, device=self.name, dtype=self.dtype) for _ in range(2))
        for _ in range(5):
            left @ right
        taken = [self.seconds(lambda: left @ right)[0] for _ in range(20)]
        return 2 * size**3 / statistics.median(taken)

    def peak_bytes(self, run: Callable[[], Any]) -> int | None:
        """Most memory allocated during a run, weights included; None on a CPU."""
        if not self.is_gpu:
            run()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated())


def _summary(taken: list[tuple[float, float]]) -> dict[str, float]:
    device = [seconds for seconds, _ in taken]
    return {
        "median_s": round(statistics.median(device), 5),
        "min_s": round(min(device), 5),
        "max_s": round(max(device), 5),
        "wall_median_s": round(statistics.median([wall for _, wall in taken]), 5),
    }
