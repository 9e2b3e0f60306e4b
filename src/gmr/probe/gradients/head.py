"""The gradient at the head: measured by autograd of the closed-form loss, and predicted as weight × direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmr.objectives import Objective
from gmr.probe.gradients.states import States


@dataclass(frozen=True)
class HeadGradient:
    """One objective on one batch. Gradients are those of the sum over queries: a weight is that of the formula.

    Attributes:
        measured: ``(queries, docs, width)``: of the closed-form loss with respect to each hidden state, by
            autograd through the head; of the surrogate where there is no closed form.
        weights: ``(queries, docs)`` signed weights by their formula.
        directions: ``(queries, docs, width)``: of the readout that is pushed with respect to its hidden state.
        losses: ``(queries,)`` closed form of the weight scheme.
    """

    measured: Tensor
    weights: Tensor
    directions: Tensor
    losses: Tensor

    @property
    def predicted(self) -> Tensor:
        """``weight × direction``, ``(queries, docs, width)``."""
        return self.weights[..., None] * self.directions

    @property
    def distance(self) -> float:
        """How far the prediction is from the measurement, relative to the norm."""
        return relative_distance(self.predicted, self.measured)


def head_gradient(objective: Objective, states: States) -> HeadGradient:
    """Gradient of ``objective`` at the head, in the precision of ``states``."""
    with torch.enable_grad():
        hidden = states.hidden.detach().requires_grad_()
        logits = states.head(hidden, states.rows)
        group = (logits, states.labels, states.mask, states.teacher)
        losses = objective.weight.loss(*group, reduction="none")
        weights = objective.candidate_weights(*group)
        readouts = objective.readout(logits.masked_fill(~states.mask[..., None], 0.0))
        # Each readout depends on its own hidden state alone: the gradient of their sum is that of each.
        (directions,) = torch.autograd.grad(readouts.sum(), hidden, retain_graph=True)
        total = losses.sum() if objective.has_closed_form else objective(*group, num_queries=1).surrogate
        (measured,) = torch.autograd.grad(total, hidden)
    return HeadGradient(measured, weights, directions, losses.detach())


def relative_distance(a: Tensor, b: Tensor) -> float:
    """Norm of the difference over the larger of the two norms; 0.0 where both are zero."""
    a, b = a.double(), b.double()
    largest = max(a.norm().item(), b.norm().item())
    return (a - b).norm().item() / largest if largest > 0 else 0.0


def row_cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of each two rows ``(..., width)``, ``(...)`` float64; NaN where one is zero."""
    a, b = a.double(), b.double()
    # Scaled first: weights of 1e-200 are not zero, and their squares are.
    a = a / a.abs().amax(dim=-1, keepdim=True)
    b = b / b.abs().amax(dim=-1, keepdim=True)
    return ((a * b).sum(dim=-1) / (a.norm(dim=-1) * b.norm(dim=-1))).clamp(-1.0, 1.0)
