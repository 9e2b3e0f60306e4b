"""Muon with float32 products on a CPU, where torch's own multiplies in bfloat16, which many CPUs do very slowly."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon


class CpuMuon(Muon):
    """torch's Muon; for matrices on a CPU the same step, orthogonalised in their own precision."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; groups elsewhere than on a CPU are torch's."""
        if any(
            parameter.device.type != "cpu" for group in self.param_groups for parameter in group["params"]
        ):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                momentum = state.setdefault("momentum_buffer", torch.zeros_like(parameter.grad))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
                update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], eps=group["eps"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                # Scaled to the size of AdamW's updates ("match_rms_adamw").
                parameter.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(parameter.shape)))
        return loss


def orthogonalised(
    matrix: Tensor, coefficients: tuple[float, float, float], num_steps: int, *, eps: float
) -> Tensor:
    """``(rows, columns)`` with singular values near 1, by that many quintic Newton-Schulz steps.

    Source: K. Jordan et al., 2024, "Muon".
    """
    a, b, c = coefficients
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=eps)
    for _ in range(num_steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
