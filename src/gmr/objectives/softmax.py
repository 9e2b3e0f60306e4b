"""Losses that compare a query's candidates through one softmax, each followed by its derivative.

All take answer logits ``(queries, docs, answers)``, labels ``(queries, docs)`` from 0 up (above 0 is a
positive) and a bool mask ``(queries, docs)``, True for a real candidate. The loss is one number a query,
averaged over the queries that have a candidate (``reduction="none"``: per query, ``(queries,)``). The weights
are ``(queries, docs)``, the derivative of the per-query loss with respect to the scores, zero where the mask
is False.
"""

from typing import Literal, get_args

from torch import Tensor
from torch.nn.functional import logsigmoid

from gmr.objectives.groups import (
    Reduction,
    masked_logsumexp,
    masked_softmax,
    positive_temperature,
    read_group,
    read_teacher,
    reduce_queries,
    softmax_minus,
)
from gmr.readouts import Readout, yes, yes_minus_no

Positives = Literal["average", "separate"]
POSITIVES: tuple[str, ...] = get_args(Positives)


def infonce_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    margin: float = 0.0,
    positives: Positives = "average",
    read: Readout = yes,
    reduction: Reduction = "mean",
) -> Tensor:
    """InfoNCE over the query's own candidates: ``-log softmax(s/τ)`` of the positive.

    Several positives, of a query ``P``:

    - ``average``: ``-(1/|P|)·Σ_p log softmax(s/τ)_p``, the softmax over all candidates. Positives compete:
      one that already has more than ``1/|P|`` of the mass is lowered.
    - ``separate``: the mean of the ordinary loss of each positive with the negatives alone, as if each
      positive were a group of its own. Positives are never lowered.

    A query without a positive costs 0; so does one with a single positive and no negative.

    Args:
        logits: answer logits.
        labels: above 0 relevant.
        mask: True for a real candidate.
        temperature: τ, above 0.
        margin: taken from every positive's score before the temperature.
        positives: what several positives mean, see above.
        read: readout of the score; contrastive learning reads ``z_y``.
        reduction: mean over queries, or none.

    Source: arXiv 2510.14824, its contrastive loss (one positive, τ = 1); ``average`` as Khosla et al. 2020,
    Supervised Contrastive Learning, eq. 2; margin as Wang et al. 2022, SimKGC (arXiv 2203.02167).
    """
    scores, labels = read_group(logits, labels, mask, read)
    is_positive, share, scores = _prepare(scores, labels, temperature=temperature, margin=margin)
    if positives == "separate":
        negatives = mask & ~is_positive
        losses = -share * logsigmoid(scores - masked_logsumexp(scores, negatives))
        return reduce_queries(losses.sum(dim=-1).masked_fill(~negatives.any(dim=-1), 0.0), mask, reduction)
    _check_positives(positives)
    losses = share * (masked_logsumexp(scores, mask) - scores)
    return reduce_queries(losses.sum(dim=-1), mask, reduction)


def infonce_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    margin: float = 0.0,
    positives: Positives = "average",
    read: Readout = yes,
) -> Tensor:
    """``(softmax(s/τ)_i - y_i/|P|) / τ``, the group together; ``separate``: its mean over the positives.

    Zero for a query without a positive.
    """
    scores, labels = read_group(logits, labels, mask, read)
    is_positive, share, scores = _prepare(scores, labels, temperature=temperature, margin=margin)
    if positives == "separate":
        negatives = mask & ~is_positive
        # What a positive still lacks against the negatives; they divide it among themselves by their softmax.
        lacking = share * (masked_logsumexp(scores, negatives) - scores).sigmoid()
        weights = masked_softmax(scores, negatives) * lacking.sum(dim=-1, keepdim=True) - lacking
        return weights.masked_fill(~negatives.any(dim=-1, keepdim=True), 0.0) / temperature
    _check_positives(positives)
    return softmax_minus(share, masked_softmax(scores, mask)) / temperature


def listnet_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross-entropy between ``softmax(labels)`` and ``softmax(s/τ)`` of a query's candidates.

    The target of a negative is not zero, so a negative far below the others is raised.

    Source: Cao et al. 2007, Learning to Rank: From Pairwise Approach to Listwise Approach (top one).
    """
    scores, labels = read_group(logits, labels, mask, read)
    scores = scores / positive_temperature(temperature)
    losses = masked_softmax(labels, mask) * (masked_logsumexp(scores, mask) - scores)
    return reduce_queries(losses.sum(dim=-1), mask, reduction)


def listnet_weights(
    logits: Tensor, labels: Tensor, mask: Tensor, *, temperature: float = 1.0, read: Readout = yes_minus_no
) -> Tensor:
    """``(softmax(s/τ)_i - softmax(y)_i) / τ``."""
    scores, labels = read_group(logits, labels, mask, read)
    shares = masked_softmax(scores / positive_temperature(temperature), mask)
    return softmax_minus(masked_softmax(labels, mask), shares) / temperature


def distillation_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    teacher: Tensor,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
    reduction: Reduction = "mean",
) -> Tensor:
    """Kullback-Leibler divergence of a query's ``softmax(s/τ)`` from the teacher's ``softmax(t/τ)``.

    Not multiplied by ``τ²``: a step at another temperature has another size.

    Args:
        logits: answer logits.
        labels: checked, not used.
        mask: True for a real candidate.
        teacher: scores of the teacher, ``(queries, docs)``, unbounded.
        temperature: τ of both sides, above 0.
        read: readout of the score.
        reduction: mean over queries, or none.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, §2.
    """
    scores, _ = read_group(logits, labels, mask, read)
    scores = scores / positive_temperature(temperature)
    wanted = read_teacher(teacher, logits, mask, like=scores) / temperature
    log_shares = scores - masked_logsumexp(scores, mask)
    log_wanted = wanted - masked_logsumexp(wanted, mask)
    return reduce_queries(
        (masked_softmax(wanted, mask) * (log_wanted - log_shares)).sum(dim=-1), mask, reduction
    )


def distillation_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    teacher: Tensor,
    temperature: float = 1.0,
    read: Readout = yes_minus_no,
) -> Tensor:
    """``(softmax(s/τ)_i - softmax(t/τ)_i) / τ``; its sign follows the teacher, not the labels."""
    scores, _ = read_group(logits, labels, mask, read)
    shares = masked_softmax(scores / positive_temperature(temperature), mask)
    wanted = masked_softmax(read_teacher(teacher, logits, mask, like=scores) / temperature, mask)
    return softmax_minus(wanted, shares) / temperature


def _prepare(
    scores: Tensor, labels: Tensor, *, temperature: float, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Which candidates are positive, each positive's share of the target, and the scores the softmax sees."""
    is_positive = labels > 0
    share = is_positive.to(scores) / is_positive.sum(dim=-1, keepdim=True).clamp(min=1)
    return is_positive, share, (scores - margin * is_positive.to(scores)) / positive_temperature(temperature)


def _check_positives(positives: str) -> None:
    if positives != "average":
        raise ValueError(f"positives is {positives!r}: it must be 'average' or 'separate'")
