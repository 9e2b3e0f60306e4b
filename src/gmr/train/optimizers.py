"""Muon for the matrices and AdamW for the rest, as one optimizer.

Muon makes the momentum of a matrix orthogonal before it is applied (K. Jordan et al., 2024, kellerjordan.github.io,
"Muon"). The small model learns with it much faster from random weights (docs/nano.md has what was measured).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gmr.train.muon import CpuMuon

# Muon is for maps between hidden states; rows of an embedding are looked up, each by itself.
NOT_FOR_MUON = ("embed", "lm_head", "head.")


def is_for_muon(name: str, parameter: Tensor) -> bool:
    """Whether a parameter of that name is a matrix between hidden states."""
    return parameter.ndim == 2 and not any(part in name for part in NOT_FOR_MUON)


class MuonAdamW(Optimizer):
    """Two optimizers behind the interface of one; schedules and checkpoints see all groups.

    Args:
        groups: Parameter groups as of any optimizer, each with ``muon``: whether Muon takes it.
        lr: Learning rate of groups that bring none. Muon's updates are scaled to the size of AdamW's, so that one
            rate fits both.
        betas: Of AdamW.
        momentum: Of Muon.
        weight_decay: Of groups that bring none.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        groups = list(groups)
        parts: dict[str, Optimizer] = {}
        for name, is_muon in (("muon", True), ("adamw", False)):
            wanted = [group for group in groups if bool(group.get("muon")) == is_muon and group["params"]]
            if wanted and is_muon:
                parts[name] = CpuMuon(
                    wanted,
                    lr=lr,
                    momentum=momentum,
                    weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            elif wanted:
                parts[name] = AdamW(wanted, lr=lr, betas=betas, weight_decay=weight_decay)
        self.parts = parts
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """The groups of the parts: the very dictionaries, so that a changed learning rate reaches them."""
        return [group for part in self.parts.values() for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both parts."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The parts' states by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the parts' states back."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = self._groups()


def muon_groups(named: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float) -> list[dict[str, Any]]:
    """The trained parameters in three groups: for Muon, for AdamW with weight decay, for AdamW without."""
    found: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            key = is_for_muon(name, parameter), weight_decay if parameter.ndim > 1 else 0.0
            found.setdefault(key, []).append(parameter)
    return [
        {"params": params, "muon": muon, "weight_decay": decay} for (muon, decay), params in found.items()
    ]
