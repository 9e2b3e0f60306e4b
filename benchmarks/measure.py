"""Interleaved measurements in CPU seconds, and what belongs beside them."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gmr.core.environment import versions
from gmr.core.files import atomic_write_json


def interleaved(runs: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each variant, all variants in turn and that ``repeats`` times, after a first turn to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            started = time.process_time()
            run()
            if turn:
                seconds[name].append(time.process_time() - started)
    return seconds


def summary(seconds: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, least and most by variant."""
    return {
        name: {
            "median_s": round(statistics.median(values), 4),
            "min_s": round(min(values), 4),
            "max_s": round(max(values), 4),
        }
        for name, values in seconds.items()
    }


def arguments_parser(about: str | None, *, output: str, repeats: int = 3) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="timed turns of all variants")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results") / output)
    return parser


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def write(path: Path, record: Mapping[str, Any]) -> None:
    """The record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_json(path, dict(record))
    print(f"wrote {path}")
