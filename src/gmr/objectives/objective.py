"""An objective is weight x direction: who is pushed how hard, and along what."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gmr.objectives.directions import ANSWERS, DIRECTIONS
from gmr.objectives.groups import count_queries
from gmr.objectives.pointwise import sft_loss
from gmr.objectives.softmax import infonce_loss
from gmr.objectives.weights import WeightScheme
from gmr.readouts import at_least_float32, yes, yes_minus_no


@dataclass(frozen=True)
class ObjectiveOutput:
    """What one batch gives: a scalar to call ``backward`` on, and numbers to log.

    Attributes:
        surrogate: has the objective's gradient; its value means nothing.
        signed_weights: ``(queries, docs)`` detached, the derivative of the per-query loss; 0 for padding. With the
            direction ``answers``: ``(queries, docs, answers)``.
        loss: closed form of the weight scheme, detached scalar. Its gradient is that of the surrogate where
            the direction is the readout that the weights read.
        sft_loss: closed form of supervised fine-tuning, whatever the objective; detached scalar.
        cl_loss: closed form of InfoNCE at the objective's temperature, whatever the objective; detached
            scalar.
        mean_weight_positive: mean ``|weight|`` of the real positives, 0.0 where there is none; of a candidate's
            answers the largest; detached scalar.
        mean_weight_negative: the same of the negatives.
    """

    surrogate: Tensor
    signed_weights: Tensor
    loss: Tensor
    sft_loss: Tensor
    cl_loss: Tensor
    mean_weight_positive: Tensor
    mean_weight_negative: Tensor


@dataclass(frozen=True)
class Objective:
    """Mean over queries of ``Σ_i stop_gradient(weight_i) · readout_i``.

    Attributes:
        weight: the scheme of the signed weights.
        direction: name of the readout that is pushed, a key of ``DIRECTIONS``, or ``answers`` for all of them.
        num_positive: how many answer logits, from the first, are positive.
        temperature: of the logged contrastive loss; the scheme has its own.
    """

    weight: WeightScheme
    direction: str
    num_positive: int = 1
    temperature: float = 1.0

    @property
    def name(self) -> str:
        """``weight/direction``, as ``build_objective`` reads it."""
        return f"{self.weight.name}/{self.direction}"

    @property
    def has_closed_form(self) -> bool:
        """Whether the gradient is that of one known loss: weight and direction come from the same readout."""
        return self.direction == ANSWERS or self.weight.reads == {self.direction}

    def readout(self, logits: Tensor) -> Tensor:
        """What is pushed: differentiable, ``(..., answers)`` to ``(...)``; the direction ``answers`` keeps them all."""
        if self.direction == ANSWERS:
            return at_least_float32(logits)
        return DIRECTIONS[self.direction](logits, num_positive=self.num_positive)

    def candidate_weights(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reference: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> Tensor:
        """Signed weights ``(queries, docs)`` of whole groups, without a graph; with an axis of answers for ``answers``.

        Take them from a pass without gradients, then back-propagate the candidates a few at a time through
        ``microbatch_surrogate``: the sum is the gradient of the whole group.
        """
        weigh = self.weight.answer_weights if self.direction == ANSWERS else self.weight
        return weigh(logits, labels, mask, teacher, reference=reference, draws=draws)

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reference: Tensor | None = None,
        draws: Tensor | None = None,
        num_queries: float | Tensor | None = None,
    ) -> ObjectiveOutput:
        """The surrogate and the numbers to log of a batch of groups.

        Args:
            logits: ``(queries, docs, answers)``, positive answers first, with a graph.
            labels: ``(queries, docs)``, 0 or above; above 0 is a positive.
            mask: ``(queries, docs)`` bool, True for a real candidate.
            teacher: scores ``(queries, docs)`` for the distilling schemes.
            reference: answer logits ``(queries, docs, answers)`` of the base model, for the schemes that stay near it.
            draws: ``(queries, docs, roll-outs)`` uniform in [0, 1), for the schemes that sample.
            num_queries: what the surrogate is divided by where this batch is a part of a larger one; None for
                the queries here that have a candidate.

        Raises:
            ValueError: shapes that do not fit, a label out of range, or a thing needed that is missing.
        """
        weights = self.candidate_weights(logits, labels, mask, teacher, reference=reference, draws=draws)
        readouts = self.readout(logits.masked_fill(~mask[..., None], 0.0))
        divisor = count_queries(mask) if num_queries is None else num_queries
        surrogate = microbatch_surrogate(weights, readouts, num_queries=divisor)
        with torch.no_grad():
            # Grades are cut to 1: these losses are logged beside every objective, graded ones too.
            binary = labels.clamp(max=1)
            odds = partial(yes_minus_no, num_positive=self.num_positive)
            positive_logit = partial(yes, num_positive=self.num_positive)
            is_positive = (labels > 0) & mask
            sizes = weights.abs().amax(dim=-1) if self.direction == ANSWERS else weights.abs()
            return ObjectiveOutput(
                surrogate=surrogate,
                signed_weights=weights,
                loss=self.weight.loss(logits, labels, mask, teacher, reference=reference, draws=draws),
                sft_loss=sft_loss(logits, binary, mask, read=odds),
                cl_loss=infonce_loss(logits, binary, mask, temperature=self.temperature, read=positive_logit),
                mean_weight_positive=_mean_where(sizes, is_positive),
                mean_weight_negative=_mean_where(sizes, mask & ~is_positive),
            )


def microbatch_surrogate(
    signed_weights: Tensor, readouts: Tensor, *, num_queries: float | Tensor = 1.0
) -> Tensor:
    """``Σ stop_gradient(weight) · readout / num_queries`` over any part of the candidates.

    Args:
        signed_weights: any shape, from ``Objective.candidate_weights`` on whole groups.
        readouts: the same shape, with a graph, from ``Objective.readout`` on the logits of these candidates.
        num_queries: number of queries of the whole batch, so that the parts add up to its mean.

    Raises:
        ValueError: shapes that differ (broadcasting would silently weigh the wrong candidates).
    """
    if signed_weights.shape != readouts.shape:
        raise ValueError(
            f"signed_weights are {tuple(signed_weights.shape)} and readouts {tuple(readouts.shape)}: "
            "they must be of the same candidates"
        )
    return (signed_weights.detach() * readouts).sum() / num_queries


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    return values.masked_fill(~chosen, 0.0).sum() / chosen.sum().clamp(min=1)
