"""Losses that judge every candidate alone, each followed by its derivative with respect to the scores.

All take answer logits ``(queries, docs, answers)``, labels ``(queries, docs)`` from 0 to 1 (between them: a
probability) and a bool mask ``(queries, docs)``, True for a real candidate. A loss is summed over a query's
candidates, then averaged over the queries that have any (``reduction="none"``: per query, ``(queries,)``).
The weights are ``(queries, docs)``, the derivative of the per-query loss, zero where the mask is False.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gmr.objectives.groups import Reduction, check_values, read_group, read_teacher, reduce_queries
from gmr.readouts import Readout, yes_minus_no


def sft_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    margin: float = 0.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross-entropy over the answer tokens: ``-log σ(s)`` of a positive, ``-log σ(-s)`` of a negative.

    Args:
        logits: answer logits.
        labels: 1 relevant, 0 not.
        mask: True for a real candidate.
        margin: log-odds taken from a positive's score and given to a negative's, so that a pair must be right
            by that much before its loss gets small.
        read: readout of the score; SFT reads ``z_y - z_n``.
        reduction: mean over queries, or none.

    Raises:
        ValueError: a label that is not from 0 to 1.

    Source: arXiv 2510.14824, its loss of supervised fine-tuning; the margin is our addition.
    """
    return bce_loss(logits, labels, mask, margin=margin, read=read, reduction=reduction)


def sft_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, margin: float = 0.0, read: Readout = yes_minus_no
) -> Tensor:
    """``σ(s_i) - y_i``, at the score moved by the margin."""
    return bce_weights(logits, labels, mask, margin=margin, read=read)


def bce_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    positive_weight: float = 1.0,
    margin: float = 0.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Binary cross-entropy of every candidate, positives counted ``positive_weight`` times.

    With ``read=yes`` this is the usual one-logit pointwise reranker; with ``yes_minus_no`` and weight 1 it is
    SFT.
    """
    scores, labels = _read_probable(logits, labels, mask, read)
    scores = scores + margin * (1 - 2 * labels)
    losses = -positive_weight * labels * logsigmoid(scores) - (1 - labels) * logsigmoid(-scores)
    return reduce_queries(losses.masked_fill(~mask, 0.0).sum(dim=-1), mask, reduction)


def bce_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    positive_weight: float = 1.0,
    margin: float = 0.0,
    read: Readout = yes_minus_no,
) -> Tensor:
    """``(1 - y_i)·σ(s_i) - positive_weight·y_i·σ(-s_i)``, at the score moved by the margin."""
    scores, labels = _read_probable(logits, labels, mask, read)
    scores = scores + margin * (1 - 2 * labels)
    # σ(-s), not 1 - σ(s): the latter is rounded to zero while the true weight is still 1e-8.
    weights = (1 - labels) * scores.sigmoid() - positive_weight * labels * (-scores).sigmoid()
    return weights.masked_fill(~mask, 0.0)


def focal_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    focusing: float,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross-entropy times ``(1 - p)^focusing``, ``p`` the probability of the right answer: easy pairs fade.

    Args:
        logits: answer logits.
        labels: 1 relevant, 0 not.
        mask: True for a real candidate.
        focusing: the exponent γ, 0 or more; 0 is SFT.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 4 (without its class balance α).
    """
    scores, labels = _read_probable(logits, labels, mask, read)
    losses = labels * _focal(scores, focusing) + (1 - labels) * _focal(-scores, focusing)
    return reduce_queries(losses.masked_fill(~mask, 0.0).sum(dim=-1), mask, reduction)


def focal_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, focusing: float, read: Readout = yes_minus_no
) -> Tensor:
    """``∓(1 - p)^γ·((1 - p) - γ·p·log p)``, minus on a positive; ``p`` is the right answer's probability."""
    scores, labels = _read_probable(logits, labels, mask, read)
    weights = labels * _focal_slope(scores, focusing) - (1 - labels) * _focal_slope(-scores, focusing)
    return weights.masked_fill(~mask, 0.0)


def linear_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Sum of the negatives' scores minus that of the positives': what a constant weight of 1 minimises.

    It has no minimum; it is here because ``uniform_weights`` is its derivative.
    """
    scores, labels = read_group(logits, labels, mask, read)
    losses = torch.where(labels > 0, -scores, scores)
    return reduce_queries(losses.masked_fill(~mask, 0.0).sum(dim=-1), mask, reduction)


def uniform_weights(logits: Tensor, labels: Tensor, mask: Tensor, *, read: Readout = yes_minus_no) -> Tensor:
    """-1 on every positive, +1 on every negative, whatever the scores: the paper's constant ``W_base``."""
    scores, labels = read_group(logits, labels, mask, read)
    return _follow_labels(torch.ones_like(scores), labels, mask)


def hinge_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    threshold: float,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Hinge loss whose margin is the log-odds of ``threshold``; its derivative is the paper's masked weight.

    A positive costs ``max(0, m - s)`` and a negative ``max(0, m + s)`` with ``m = log((1 - τ)/τ)``.

    Args:
        logits: answer logits.
        labels: above 0 relevant.
        mask: True for a real candidate.
        threshold: the probability τ, between 0 and 0.5: nearer than that to its label, a candidate costs
            nothing.
        read: readout of the score.
        reduction: mean over queries, or none.
    """
    scores, labels = read_group(logits, labels, mask, read)
    shortfall = _log_odds(1 - threshold) - torch.where(labels > 0, scores, -scores)
    return reduce_queries(shortfall.clamp(min=0.0).masked_fill(~mask, 0.0).sum(dim=-1), mask, reduction)


def uniform_masked_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, threshold: float, read: Readout = yes_minus_no
) -> Tensor:
    """Uniform weights, but 0 where a positive's probability is over ``1 - τ`` or a negative's under ``τ``.

    Source: arXiv 2510.14824, its masked constant weight; the value of its τ is not known to us.
    """
    scores, labels = read_group(logits, labels, mask, read)
    undecided = torch.where(labels > 0, scores, -scores) <= _log_odds(1 - threshold)
    return _follow_labels(undecided.to(scores), labels, mask)


def mse_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    teacher: Tensor,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Squared distance of scores from the teacher's ``(queries, docs)``, averaged over the candidates."""
    scores, _ = read_group(logits, labels, mask, read)
    errors = scores - read_teacher(teacher, logits, mask, like=scores)
    return reduce_queries(
        errors.square().masked_fill(~mask, 0.0).sum(dim=-1) / _num_docs(mask), mask, reduction
    )


def mse_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, teacher: Tensor, read: Readout = yes_minus_no
) -> Tensor:
    """``2·(s_i - t_i) / n``; its sign follows the teacher, not the labels."""
    scores, _ = read_group(logits, labels, mask, read)
    errors = scores - read_teacher(teacher, logits, mask, like=scores)
    return (2 * errors / _num_docs(mask)[:, None]).masked_fill(~mask, 0.0)


def _read_probable(logits: Tensor, labels: Tensor, mask: Tensor, read: Readout) -> tuple[Tensor, Tensor]:
    scores, labels = read_group(logits, labels, mask, read)
    check_values("labels", labels, low=0.0, high=1.0)
    return scores, labels


def _follow_labels(sizes: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    return torch.where(labels > 0, -sizes, sizes).masked_fill(~mask, 0.0)


def _focal(right: Tensor, focusing: float) -> Tensor:
    # exp of a multiple of log σ: a power of an underflowed σ has an infinite derivative.
    return -(focusing * logsigmoid(-right)).exp() * logsigmoid(right)


def _focal_slope(right: Tensor, focusing: float) -> Tensor:
    fading = (focusing * logsigmoid(-right)).exp()
    return fading * (focusing * right.sigmoid() * logsigmoid(right) - (-right).sigmoid())


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _num_docs(mask: Tensor) -> Tensor:
    return mask.sum(dim=-1).clamp(min=1)
