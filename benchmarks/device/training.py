"""One step of one query's group on a device with LoRA, whole pairs against a packed sequence: groups/s and memory."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.device.inference import kernels
from benchmarks.device.models import as_reranker, random_backbone
from benchmarks.device.timing import Device
from benchmarks.training import PEER, group_of, pictures_per_pair
from benchmarks.workloads import Workload
from gmr.modeling.adapters import add_lora
from gmr.modeling.model import RerankModel
from gmr.modeling.varlen import BUCKETS, use_kernel
from gmr.objectives import ObjectiveConfig
from gmr.train.collator import GroupCollator

RANK = 16


def trainable(name: str, device: Device) -> RerankModel:
    """A model with adapters of rank 16, in training mode."""
    model = as_reranker(random_backbone(name, device), template="gmr")
    add_lora(model, rank=RANK, alpha=2 * RANK)
    model.train()
    return model


def step(model: RerankModel, batch: dict[str, Any], device: Device, *, kernel: str) -> Callable[[], None]:
    """Forward and backward pass of a group, the pictures' pass through the tower included."""
    objective = ObjectiveConfig().build()
    where = torch.device(device.name)
    labels, mask, order = (batch[name].to(where) for name in ("labels", "mask", "order"))
    passes = [
        {name: value.to(where) if isinstance(value, torch.Tensor) else value for name, value in part.items()}
        for part in batch["passes"]
    ]

    def run() -> None:
        model.zero_grad(set_to_none=True)
        with use_kernel(kernel):
            logits = torch.cat([model(**part) for part in passes])
            grouped = logits.new_zeros(*mask.shape, logits.shape[-1])
            grouped[mask] = logits[order.argsort()]
            objective(grouped, labels, mask).surrogate.backward()

    return run


def measure(model: RerankModel, workload: Workload, device: Device) -> dict[str, Any]:
    """Groups per second and peak memory by variant, with and without gradient checkpointing, and the ratios."""
    group = group_of(workload)
    packed = GroupCollator(model.processor, engine="packed")([group])
    batches = {PEER: (pictures_per_pair(model, group), BUCKETS)} | {
        f"packed [{kernel}]": (packed, kernel) for kernel in kernels(model, device)
    }
    found: dict[str, Any] = {}
    for checkpointing in (False, True):
        if checkpointing:
            model.causal_model.gradient_checkpointing_enable({"use_reentrant": False})
        runs, peaks, failed = {}, {}, {}
        for name, (batch, kernel) in batches.items():
            run = step(model, batch, device, kernel=kernel)
            try:
                peaks[name] = device.peak_bytes(run)
                runs[name] = run
            except torch.OutOfMemoryError:
                failed[name] = "out of memory"
                model.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        times = device.interleaved(runs)
        found["checkpointing" if checkpointing else "plain"] = {
            "repeats": device.repeats,
            "seconds": times,
            "groups_per_second": {name: round(1 / each["median_s"], 3) for name, each in times.items()},
            "peak_gib": {
                name: None if peak is None else round(peak / 2**30, 2) for name, peak in peaks.items()
            },
            "times_faster": {
                name: round(times[PEER]["median_s"] / each["median_s"], 2)
                for name, each in times.items()
                if PEER in times and name != PEER
            },
            "failed": failed,
        }
    model.causal_model.gradient_checkpointing_disable()
    return found
