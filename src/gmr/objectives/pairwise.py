"""Losses over pairs of a query's candidates, each followed by its derivative.

All take answer logits ``(queries, docs, answers)``, labels ``(queries, docs)`` from 0 up (grades are welcome:
a pair is two candidates of different labels) and a bool mask ``(queries, docs)``, True for a real candidate.
The loss is one number a query, averaged over the queries that have a candidate (``reduction="none"``: per
query, ``(queries,)``); a query without a pair costs 0. The weights are ``(queries, docs)``, the derivative of
the per-query loss with respect to the scores, zero where the mask is False.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gmr.objectives.groups import (
    Reduction,
    pair_differences,
    positive_temperature,
    read_group,
    read_teacher,
    reduce_queries,
)
from gmr.readouts import Readout, yes_minus_no

Gains = Literal["ndcg_loss2++", "ndcg_loss2", "lambdarank"]
GAINS: tuple[str, ...] = get_args(Gains)
_MU = 10.0  # how much NDCG-Loss2 counts beside LambdaRank in NDCG-Loss2++, as in the source


def ranknet_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """``Σ log(1 + exp(-(s_i - s_j)/τ))`` over the pairs in which ``i`` has the higher label.

    A sum, as in the source: with N negatives a lone positive weighs up to N.

    Source: Burges et al. 2005, Learning to Rank using Gradient Descent, eq. 3; ``1/τ`` is the slope σ of
    Burges 2010, From RankNet to LambdaRank to LambdaMART.
    """
    scores, labels = read_group(logits, labels, mask, read)
    ordered = _ordered_pairs(labels, mask)
    return reduce_queries(_logistic(scores, ordered.to(scores), temperature), mask, reduction)


def ranknet_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, temperature: float = 1.0, read: Readout = yes_minus_no
) -> Tensor:
    """``(Σ_{j above i} σ((s_i - s_j)/τ) - Σ_{j below i} σ((s_j - s_i)/τ)) / τ``, above and below by label."""
    scores, labels = read_group(logits, labels, mask, read)
    return _logistic_slope(scores, _ordered_pairs(labels, mask).to(scores), temperature)


def lambda_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    gains: Gains,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """RankNet in which every pair counts by what it is worth in nDCG, at the present ranks.

    With gains ``G = (2^y - 1)/maxDCG`` and discounts ``D(r) = log2(1 + r)`` a pair counts ``|G_i - G_j|``
    times ``|1/D(r_i) - 1/D(r_j)|`` (``lambdarank``), times ``δ = 1/D(|r_i - r_j|) - 1/D(|r_i - r_j| + 1)``
    (``ndcg_loss2``) or times the first plus ten times the second (``ndcg_loss2++``). These are constants for
    the derivative. Equal scores are ranked by label, worst first, so that a collapsed model is not told it
    ranks well.

    Args:
        logits: answer logits.
        labels: grades from 0 up, gain ``2^label - 1``.
        mask: True for a real candidate.
        gains: what a pair is worth.
        temperature: scores are divided by it.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: Wang et al. 2018, The LambdaLoss Framework for Ranking Metric Optimization (natural
    logarithm here, binary there); ``lambdarank`` after Burges 2010, From RankNet to LambdaRank to LambdaMART.
    """
    scores, labels = read_group(logits, labels, mask, read)
    return reduce_queries(
        _logistic(scores, _pair_gains(scores, labels, mask, gains), temperature), mask, reduction
    )


def lambda_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    gains: Gains,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
) -> Tensor:
    """The weights of RankNet with every pair counted by its worth in nDCG."""
    scores, labels = read_group(logits, labels, mask, read)
    return _logistic_slope(scores, _pair_gains(scores, labels, mask, gains), temperature)


def margin_mse_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    teacher: Tensor,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Mean over a query's (positive, negative) pairs of ``((s_p - s_n) - (t_p - t_n))^2``, ``t`` the teacher.

    Source: Hofstätter et al. 2020, Improving Efficient Neural Ranking Models with Cross-Architecture
    Knowledge Distillation (arXiv 2010.02666), Margin-MSE.
    """
    scores, labels = read_group(logits, labels, mask, read)
    pairs = _label_pairs(labels, mask).to(scores)
    errors = pair_differences(scores - read_teacher(teacher, logits, mask, like=scores))
    return reduce_queries((pairs * errors.square()).sum(dim=(-2, -1)), mask, reduction)


def margin_mse_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, teacher: Tensor, read: Readout = yes_minus_no
) -> Tensor:
    """``±2·(mean over the other side of e_i - e_j) / n_own``, ``e = s - t``; its sign follows the teacher."""
    scores, labels = read_group(logits, labels, mask, read)
    pairs = _label_pairs(labels, mask).to(scores)
    errors = pair_differences(scores - read_teacher(teacher, logits, mask, like=scores))
    return 2 * _net(pairs * errors)


def _ordered_pairs(labels: Tensor, mask: Tensor) -> Tensor:
    """``(queries, docs, docs)`` bool: both are real and the first has the higher label."""
    return (pair_differences(labels) > 0) & mask[:, :, None] & mask[:, None, :]


def _label_pairs(labels: Tensor, mask: Tensor) -> Tensor:
    """``1/number`` for every pair of a real positive and a real negative, 0 elsewhere."""
    positive = labels > 0
    pairs = (positive & mask)[:, :, None] & (~positive & mask)[:, None, :]
    return pairs.to(labels) / pairs.sum(dim=(-2, -1), keepdim=True).clamp(min=1)


def _logistic(scores: Tensor, pair_weights: Tensor, temperature: float) -> Tensor:
    # logsigmoid, not softplus: that one is linear past 20, wrong by 2e-9.
    return -(pair_weights * logsigmoid(_differences(scores, temperature))).sum(dim=(-2, -1))


def _logistic_slope(scores: Tensor, pair_weights: Tensor, temperature: float) -> Tensor:
    return -_net(pair_weights * (-_differences(scores, temperature)).sigmoid()) / temperature


def _differences(scores: Tensor, temperature: float) -> Tensor:
    return pair_differences(scores) / positive_temperature(temperature)


def _net(pairs: Tensor) -> Tensor:
    """What each candidate is given as the first of a pair minus as the second."""
    return pairs.sum(dim=-1) - pairs.sum(dim=-2)


def _pair_gains(scores: Tensor, labels: Tensor, mask: Tensor, gains: str) -> Tensor:
    """What every ordered pair is worth in nDCG at the ranks of ``scores``: ``(queries, docs, docs)``."""
    ranks = _ranks(scores, labels, mask)
    gain = torch.exp2(labels) - 1
    ideal = gain.sort(dim=-1, descending=True).values
    places = torch.arange(1, gain.shape[-1] + 1, device=gain.device, dtype=gain.dtype)
    ideal_dcg = (ideal * _discount(places)).sum(dim=-1, keepdim=True)
    gain_differences = pair_differences(gain / ideal_dcg.clamp(min=torch.finfo(gain.dtype).tiny))
    swap = pair_differences(_discount(ranks)).abs()
    # The diagonal, at distance 0, is no pair; distance 1 keeps it finite.
    distance = pair_differences(ranks).abs().clamp(min=1)
    neighbours = _discount(distance) - _discount(distance + 1)
    worth = {"lambdarank": swap, "ndcg_loss2": neighbours, "ndcg_loss2++": swap + _MU * neighbours}
    if gains not in worth:
        raise ValueError(f"gains is {gains!r}: it must be one of {', '.join(worth)}")
    return worth[gains] * gain_differences * _ordered_pairs(labels, mask)


def _discount(ranks: Tensor) -> Tensor:
    return 1 / torch.log2(1 + ranks)


def _ranks(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Ranks from 1, as floats: score descending, equal scores by label ascending, padding last."""
    by_label = labels.argsort(dim=-1, stable=True)
    keys = scores.masked_fill(~mask, -torch.inf).gather(-1, by_label)
    order = by_label.gather(-1, keys.argsort(dim=-1, descending=True, stable=True))
    return order.argsort(dim=-1).to(scores) + 1
