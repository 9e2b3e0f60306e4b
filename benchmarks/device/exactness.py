"""Whether packed sequences give what padded pairs give: in float32 to rounding, in bfloat16 to its noise."""

from typing import Any

import numpy as np
import torch

from benchmarks import peers
from benchmarks.device.inference import kernels
from benchmarks.device.models import as_reranker, random_backbone, sized_config
from benchmarks.device.timing import Device
from benchmarks.workloads import Workload
from gmr.inference.scoring import score_pairs
from gmr.modeling.varlen import kernel_for, use_kernel

ALLOWED = 1e-5
LAYERS = 2


def in_float32(name: str, workloads: tuple[Workload, ...], device: Device) -> dict[str, Any]:
    """Two layers of the model without TF32: the largest difference of packed scores, relative to the largest score."""
    backbone = random_backbone(name, device, dtype=torch.float32, num_hidden_layers=LAYERS)
    model = as_reranker(backbone, template="gmr")
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        found = {}
        for workload in workloads:
            pairs = workload.pairs()
            padded = score_pairs(model, pairs, engine="padded").astype(np.float64)
            packed = score_pairs(model, pairs, engine="packed").astype(np.float64)
            relative = float(np.abs(packed - padded).max() / np.abs(padded).max())
            found[workload.name] = {"relative": float(f"{relative:.1e}"), "holds": relative <= ALLOWED}
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    return found


def chosen_kernel(name: str, device: Device) -> str:
    """The kernel that is used where none is asked for: it has proved first that it aligns queries at the end."""
    width = sized_config(name).text_config.head_dim
    return kernel_for(torch.zeros(1, width, device=device.name, dtype=device.dtype))[1]


def in_half_precision(name: str, workloads: tuple[Workload, ...], device: Device) -> dict[str, Any]:
    """Root mean square of differences from pairs scored one at a time: of padded pairs, and packed by every kernel."""
    model = as_reranker(random_backbone(name, device), template="gmr")
    plain = random_backbone(name, device)
    found = {}
    for workload in workloads:
        pairs = workload.pairs()
        alone = np.asarray(peers.one_at_a_time(plain, model, pairs))
        scores: dict[str, Any] = {"padded": peers.padded(plain, model, pairs)}
        for kernel in kernels(model, device):
            with use_kernel(kernel):
                scores[f"packed [{kernel}]"] = score_pairs(model, pairs, engine="packed")
        found[workload.name] = {
            variant: float(f"{np.sqrt(np.mean((np.asarray(each) - alone) ** 2)):.2e}")
            for variant, each in scores.items()
        } | {"spread_of_scores": round(float(alone.std()), 4)}
    return found
