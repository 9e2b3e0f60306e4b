"""Peak memory of one training step of one query's group: whole, and in passes as large as a small group.

python -m benchmarks.memory                 about 25 minutes of one core, 10 GB of memory

Every variant runs in a process of its own. *Kept* are the bytes that autograd keeps at the same time, without weights
and batch; *RSS* is the peak of the process above the loaded model: batch, activations, features and gradients, with
``MALLOC_MMAP_THRESHOLD_=131072``.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import weakref
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tests.helpers.processors import without_videos
from torch import Tensor

from benchmarks.measure import machine, write
from benchmarks.models import ARCHITECTURES, random_model
from benchmarks.training import gradient, group_of
from benchmarks.workloads import Workload
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.objectives import ObjectiveConfig
from gmr.train.collator import GroupCollator
from gmr.train.passes import backward_in_passes
from gmr.train.pictures import EncodedPictures

# Pictures of documents have 64 tokens: 64 of 256 tokens, whole and padded, would not fit on a laptop.
WORKLOADS = (
    (Workload("I->T 1+3", 4, "i", "t", 40), Workload("I->T 1+63", 64, "i", "t", 40)),
    (Workload("T->I 1+3", 4, "t", "i", picture=(8, 8)), Workload("T->I 1+63", 64, "t", "i", picture=(8, 8))),
)
WHOLE, PACKED, PASSES = "padded", "packed", "packed, passes of 1+3"
MIB = 2**20
MMAP_THRESHOLD = 2**17
"""Larger blocks go back to the system when they are freed. Left to itself glibc raises this to 32 MiB, and the peak
says how much it keeps in reserve rather than how much is needed."""


class PeakSavedBytes:
    """Most bytes of distinct tensors that autograd keeps at the same time.

    Args:
        left_out: Tensors that are there anyway.
    """

    def __init__(self, left_out: Sequence[Tensor]) -> None:
        self._left_out = {tensor.untyped_storage().data_ptr() for tensor in left_out}
        self._alive: Counter[int] = Counter()
        self._bytes = 0
        self.peak = 0
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda held: held.tensor)

    def _keep(self, tensor: Tensor) -> "_Held":
        held = _Held(tensor)
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place not in self._left_out:
            if not self._alive[place]:
                self._bytes += size
                self.peak = max(self.peak, self._bytes)
            self._alive[place] += 1
            weakref.finalize(held, self._release, place, size)
        return held

    def _release(self, place: int, size: int) -> None:
        self._alive[place] -= 1
        if not self._alive[place]:
            self._bytes -= size

    def __enter__(self) -> "PeakSavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)


class _Held:
    """A tensor as long as autograd keeps it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors in a batch, however deep."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for each in value.values() for tensor in tensors_of(each)]
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in tensors_of(each)]
    if dataclasses.is_dataclass(value):
        return [
            tensor for item in dataclasses.fields(value) for tensor in tensors_of(getattr(value, item.name))
        ]
    return []


def take_step(model: RerankModel, batch: dict[str, Any]) -> None:
    """Forward and backward as the trainer does it."""
    objective = ObjectiveConfig(weight="contrastive").build()

    def loss_of(logits: Tensor) -> Tensor:
        grouped = logits.new_zeros(*batch["mask"].shape, logits.shape[-1])
        grouped[batch["mask"]] = logits[batch["order"].argsort()]
        surrogate: Tensor = objective(grouped, batch["labels"], batch["mask"]).surrogate
        return surrogate

    if len(batch["passes"]) == 1:
        loss_of(model(**batch["passes"][0])).backward()
        return
    backward_in_passes(
        model,
        batch["passes"],
        loss_of=loss_of,
        backward=lambda loss: loss.backward(),
        device=torch.device("cpu"),
        pictures=EncodedPictures(model, batch["pictures"]) if "pictures" in batch else None,
    )


def resident_bytes() -> int:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_here(
    folder: Path, workload: Workload, *, engine: str, tokens_per_pass: int | None, output: Path
) -> dict[str, Any]:
    """Peaks of one step in this process; the gradient goes into a file."""
    torch.set_num_threads(1)
    model = load_model(folder, device="cpu", self_check=False).train()
    before = resident_bytes()
    collator = GroupCollator(
        model.processor, engine=engine, tokens_per_pass=tokens_per_pass, shares_pictures=True
    )
    batch = collator([group_of(workload)])
    inputs = tensors_of(batch)
    with float32_products(torch.device("cpu")), PeakSavedBytes([*model.parameters(), *inputs]) as saved:
        take_step(model, batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    save_file({"gradient": gradient(model)}, output)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in inputs}
    return {
        "passes": len(batch["passes"]),
        "kept_mib": round(saved.peak / MIB, 1),
        "rss_mib": round((peak - before) / MIB, 1),
        "batch_mib": round(sum(storages.values()) / MIB, 1),
    }


def measure_apart(folder: Path, workload: Workload, **options: Any) -> dict[str, Any]:
    """`measure_here` in a process of its own."""
    task = {"folder": str(folder), "workload": dataclasses.asdict(workload), **options}
    command = [sys.executable, "-m", "benchmarks.memory", "--one", json.dumps(task, default=str)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{workload.name} {options}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(folder: Path, small: Workload, large: Workload, *, tokens: int) -> dict[str, dict[str, Any]]:
    """The variants of both groups; gradients of the large one against whole padded pairs.

    Args:
        folder: Of the model.
        small: The group that sets the size of a pass.
        large: The group that is cut.
        tokens: New tokens of the small one, packed.
    """
    variants = {WHOLE: ("padded", None), PACKED: ("packed", None), PASSES: ("packed", tokens)}
    found: dict[str, dict[str, Any]] = {}
    for workload in (small, large):
        expected: Tensor | None = None
        for name, (engine, limit) in variants.items():
            if workload is small and limit is not None:
                continue
            output = folder / "gradient.safetensors"
            result = measure_apart(folder, workload, engine=engine, tokens_per_pass=limit, output=output)
            found_gradient = load_file(output)["gradient"]
            output.unlink()
            expected = found_gradient if expected is None else expected
            distance = float((found_gradient - expected).norm() / expected.norm())
            result["relative_gradient_distance"] = float(f"{distance:.1e}")
            found.setdefault(workload.name, {})[name] = result
            print(f"{workload.name:10s} {name:22s} {result}", flush=True)
    return found


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The results as lines of text."""
    lines = [
        f"{'':12s}{'':11s}{'':23s}{'passes':>7s}{'kept MiB':>10s}{'RSS MiB':>10s}{'batch':>8s}  gradient"
    ]
    for architecture, by_workload in results.items():
        for workload, by_variant in by_workload.items():
            for name, found in by_variant.items():
                lines.append(
                    f"{architecture:12s}{workload:11s}{name:23s}{found['passes']:7d}{found['kept_mib']:10.1f}"
                    f"{found['rss_mib']:10.1f}{found['batch_mib']:8.1f}  {found['relative_gradient_distance']}"
                )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/memory-cpu.json"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        task = arguments.one
        workload = Workload(**task.pop("workload"))
        folder, output = Path(task.pop("folder")), Path(task.pop("output"))
        print(json.dumps(measure_here(folder, workload, output=output, **task)))
        return
    torch.set_num_threads(1)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for architecture in arguments.architecture or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as temporary, without_videos():
            processor = random_model(Path(temporary), architecture).processor
            for small, large in WORKLOADS:
                (inputs,) = GroupCollator(processor)([group_of(small)])["passes"]
                tokens = inputs["input_ids"].numel()
                found = compare(Path(temporary) / "saved", small, large, tokens=tokens)
                results.setdefault(architecture, {}).update(found)
    print(table(results))
    write(arguments.output, {"machine": machine(), "results": results})


if __name__ == "__main__":
    main()
