"""Losses of a query's whole order, each followed by its derivative.

All take answer logits ``(queries, docs, answers)``, labels ``(queries, docs)`` from 0 up, whose descending
order is the right one, and a bool mask ``(queries, docs)``, True for a real candidate. The loss is one number
a query, averaged over the queries that have a candidate (``reduction="none"``: per query, ``(queries,)``).
The weights are ``(queries, docs)``, the derivative of the per-query loss with respect to the scores, zero
where the mask is False.
"""

import torch
from torch import Tensor

from gmr.objectives.groups import (
    Reduction,
    masked_logsumexp,
    pair_differences,
    positive_temperature,
    read_group,
    reduce_queries,
)
from gmr.readouts import Readout, yes_minus_no


def listmle_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    position_aware: bool = False,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Negative log-likelihood of the right order, documents drawn one by one by ``softmax`` of their scores.

    Equal labels keep their given order. With binary labels the negatives are thus told to stay as the first
    stage had them: shuffle them where that is not meant.

    Args:
        logits: answer logits.
        labels: their descending order is the right one.
        mask: True for a real candidate.
        position_aware: count place ``k`` of ``n`` by ``2^(n-k) - 1``, scaled to sum to 1, so that the top
            matters most (p-ListMLE); otherwise every place counts 1.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: Xia et al. 2008, Listwise Approach to Learning to Rank, its likelihood loss. Places counted as
    in Lan et al. 2014, Position-Aware ListMLE, which does not scale them.
    """
    scores, labels = read_group(logits, labels, mask, read)
    order, real = _right_order(labels, mask)
    scores = scores.gather(-1, order)
    losses = _place_weights(real, position_aware, like=scores) * (_log_rest(scores, real) - scores)
    return reduce_queries(losses.sum(dim=-1), mask, reduction)


def listmle_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    position_aware: bool = False,
    read: Readout = yes_minus_no,
) -> Tensor:
    """``Σ_{k above i} w_k·q_k(i) - w_i·Σ_{l below i} q_i(l)``.

    Above and below are places in the right order, ``w`` their weights, ``q_k`` the softmax over place ``k``
    and all below it.
    """
    scores, labels = read_group(logits, labels, mask, read)
    order, real = _right_order(labels, mask)
    scores = scores.gather(-1, order)
    below = torch.ones(scores.shape[-1], scores.shape[-1], dtype=torch.bool, device=scores.device).triu(1)
    shares = (scores[:, None, :] - _log_rest(scores, real)[:, :, None]).masked_fill(
        ~(below & real[:, None, :] & real[:, :, None]), -torch.inf
    )
    shares = shares.exp() * _place_weights(real, position_aware, like=scores)[:, :, None]
    weights = shares.sum(dim=-2) - shares.sum(dim=-1)
    return torch.zeros_like(weights).scatter(-1, order, weights)


def adr_mse_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Squared distance of soft ranks from the right ranks ``r``, discounted by ``1/log2(1 + r)``.

    The soft rank of ``i`` is ``1 + Σ_{j≠i} σ((s_j - s_i)/τ)``. Equal labels share the mean of their ranks.
    Averaged over a query's candidates.

    Source: Schlatt et al. 2025, Rank-DistiLLM (arXiv 2405.07920), its loss ADR-MSE (``1/τ`` is its α).
    """
    scores, labels = read_group(logits, labels, mask, read)
    errors = _soft_ranks(scores, mask, temperature) - _mean_ranks(labels, mask)
    losses = _rank_weights(labels, mask) * errors.square()
    return reduce_queries(losses.sum(dim=-1), mask, reduction)


def adr_mse_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, temperature: float = 1.0, read: Readout = yes_minus_no
) -> Tensor:
    """``Σ_j (e_j - e_i)·σ'((s_i - s_j)/τ) / τ``, ``e`` twice the discounted error of a rank, over ``n``.

    ``σ'`` is the derivative of the sigmoid, ``n`` the number of the query's candidates.
    """
    scores, labels = read_group(logits, labels, mask, read)
    errors = _soft_ranks(scores, mask, temperature) - _mean_ranks(labels, mask)
    errors = 2 * _rank_weights(labels, mask) * errors
    above = (pair_differences(scores) / temperature).sigmoid()
    slopes = above * above.transpose(-1, -2) * _real_pairs(mask)
    return -(slopes * pair_differences(errors)).sum(dim=-1) / temperature


def _soft_ranks(scores: Tensor, mask: Tensor, temperature: float) -> Tensor:
    below = (-pair_differences(scores) / positive_temperature(temperature)).sigmoid()
    itself = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return 1 + (below * (_real_pairs(mask) & ~itself)).sum(dim=-1)


def _mean_ranks(labels: Tensor, mask: Tensor) -> Tensor:
    """Ranks by label descending, equal labels sharing their mean rank; at least 0.5, also for padding."""
    higher = (1 - pair_differences(labels).sign()) / 2
    return 0.5 + (higher * mask[:, None, :]).sum(dim=-1)


def _rank_weights(labels: Tensor, mask: Tensor) -> Tensor:
    """What a candidate's squared error counts: the discount of its right rank over the query's candidates."""
    num_docs = mask.sum(dim=-1, keepdim=True).clamp(min=1)
    return mask / torch.log2(1 + _mean_ranks(labels, mask)) / num_docs


def _real_pairs(mask: Tensor) -> Tensor:
    return mask[:, :, None] & mask[:, None, :]


def _right_order(labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the candidates in the right order, padding last, and the mask in that order."""
    order = labels.masked_fill(~mask, -1.0).argsort(dim=-1, descending=True, stable=True)
    return order, mask.gather(-1, order)


def _log_rest(scores: Tensor, real: Tensor) -> Tensor:
    """For each place, log-sum-exp of the scores there and below, ``(queries, docs)``."""
    size = scores.shape[-1]
    rest = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu() & real[:, None, :]
    return masked_logsumexp(scores[:, None, :].expand(-1, size, -1), rest)[..., 0]


def _place_weights(real: Tensor, position_aware: bool, *, like: Tensor) -> Tensor:
    """Weights of the places, ``(queries, docs)``, zero for padding."""
    if not position_aware:
        return real.to(like)
    num_docs = real.sum(dim=-1, keepdim=True).to(like)
    places = torch.arange(1, real.shape[-1] + 1, device=real.device).to(like)
    # 2^(n-k) - 1 over its sum, both divided by 2^n: long lists do not overflow.
    weights = (torch.exp2(-places) - torch.exp2(-num_docs)) * real
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(like.dtype).tiny)
