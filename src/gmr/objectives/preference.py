"""Preferences of positives over negatives, measured from a frozen reference; and their mixture with SFT.

The reference is the model that training starts from, as answer logits ``(queries, docs, answers)``. The weights are
``(queries, docs)``, the derivative of the per-query loss by the scores, zero where the mask is False.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gmr.objectives.groups import Reduction, check_reference, pair_differences, read_group, reduce_queries
from gmr.objectives.pointwise import sft_weights
from gmr.readouts import Readout, yes_minus_no


def preference_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    reference: Tensor,
    preference_scale: float,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Mean over pairs of ``-log σ(β·((s_i - r_i) - (s_j - r_j)))``, ``i`` with the higher label, ``r`` the reference's.

    The form of DPO with a candidate's score in the place of a response's log-probability: the loss sees how far the
    model has moved a pair apart, not how far apart it is. A query without a pair costs 0.

    Args:
        logits: answer logits.
        labels: from 0 up; a pair is two candidates of different labels.
        mask: True for a real candidate.
        reference: answer logits of the frozen reference, ``(queries, docs, answers)``.
        preference_scale: β, above 0: how soon a pair that moved apart is let alone.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: Rafailov et al. 2023, Direct Preference Optimization, eq. 7; pairs of documents are our choice.
    """
    moved, pairs = _moves(logits, labels, mask, reference, read)
    losses = -logsigmoid(preference_scale * pair_differences(moved)) * pairs
    return reduce_queries(losses.sum(dim=(-2, -1)), mask, reduction)


def preference_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    reference: Tensor,
    preference_scale: float,
    read: Readout = yes_minus_no,
) -> Tensor:
    """``β·(Σ_{j above i} σ(β(m_i - m_j)) - Σ_{j below i} σ(β(m_j - m_i)))`` over the number of pairs, ``m = s - r``."""
    moved, pairs = _moves(logits, labels, mask, reference, read)
    slopes = preference_scale * (-preference_scale * pair_differences(moved)).sigmoid() * pairs
    return slopes.sum(dim=-2) - slopes.sum(dim=-1)


def sft_preference_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    reference: Tensor,
    preference_scale: float,
    preference_share: float,
    forgetting: float,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """``sft + λ·preference``, where ``λ`` falls as a query forgets: ``λ = share·exp(-forgetting·F)``.

    ``F`` is how much worse than the reference the model judges the query's candidates: the mean over them of
    ``max(0, ℓ_i - ℓ_i^ref)``, ``ℓ`` the SFT loss of a candidate. While nothing is forgotten the preference counts in
    full; where it costs answers that the reference had right, SFT takes over. ``λ`` is a constant for the derivative,
    and one a query, so that a step does not depend on how it is cut into batches.

    Args:
        logits: answer logits.
        labels: 1 relevant, 0 not.
        mask: True for a real candidate.
        reference: answer logits of the frozen reference, ``(queries, docs, answers)``.
        preference_scale: β of the preference.
        preference_share: its coefficient while nothing is forgotten.
        forgetting: how fast it fades, 0 for never.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: the rule is our choice; the sources that this package follows name none.
    """
    preferred = preference_loss(
        logits,
        labels,
        mask,
        reference=reference,
        preference_scale=preference_scale,
        read=read,
        reduction="none",
    )
    costs = _costs(logits, labels, mask, read)
    mix = preference_share * _not_forgotten(costs, labels, mask, reference, read=read, forgetting=forgetting)
    return reduce_queries(costs.sum(dim=-1) + mix * preferred, mask, reduction)


def sft_preference_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    reference: Tensor,
    preference_scale: float,
    preference_share: float,
    forgetting: float,
    read: Readout = yes_minus_no,
) -> Tensor:
    """The weights of SFT and ``λ`` times those of the preference."""
    weights = preference_weights(
        logits, labels, mask, reference=reference, preference_scale=preference_scale, read=read
    )
    costs = _costs(logits, labels, mask, read)
    mix = preference_share * _not_forgotten(costs, labels, mask, reference, read=read, forgetting=forgetting)
    return sft_weights(logits, labels, mask, read=read) + mix[..., None] * weights


def _moves(
    logits: Tensor, labels: Tensor, mask: Tensor, reference: Tensor, read: Readout
) -> tuple[Tensor, Tensor]:
    """How far each score is from the reference's, and each ordered pair's share of the query's loss."""
    scores, labels = read_group(logits, labels, mask, read)
    before = _read_reference(logits, labels, mask, reference, read).to(scores)
    pairs = (pair_differences(labels) > 0) & mask[..., :, None] & mask[..., None, :]
    counts = pairs.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    return scores - before, pairs.to(scores) / counts


def _read_reference(logits: Tensor, labels: Tensor, mask: Tensor, reference: Tensor, read: Readout) -> Tensor:
    check_reference(reference, logits)
    return read_group(reference.detach(), labels, mask, read)[0]


def _costs(logits: Tensor, labels: Tensor, mask: Tensor, read: Readout) -> Tensor:
    """SFT's loss of every candidate, ``(queries, docs)``."""
    scores, labels = read_group(logits, labels, mask, read)
    if bool((labels > 1).any()):
        raise ValueError(f"labels go up to {labels.max().item():g}: SFT takes labels from 0 to 1")
    costs = -labels * logsigmoid(scores) - (1 - labels) * logsigmoid(-scores)
    return costs.masked_fill(~mask, 0.0)


@torch.no_grad()
def _not_forgotten(
    costs: Tensor, labels: Tensor, mask: Tensor, reference: Tensor, *, read: Readout, forgetting: float
) -> Tensor:
    """``exp(-forgetting·F)`` of every query, ``(queries,)``."""
    worse = (costs - _costs(reference, labels, mask, read).to(costs)).clamp(min=0)
    return (-forgetting * worse.sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)).exp()
