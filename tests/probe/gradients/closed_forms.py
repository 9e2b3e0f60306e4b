"""Every loss of the plane written once more, query by query, from the formula of its source.

Nothing of `gmr.objectives` is used here. A loss takes the scores ``s`` of one query's candidates, their labels
``y`` and a teacher's scores ``t``, all ``(docs,)``; it is differentiable in ``s``.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def log1p_exp(x: Tensor) -> Tensor:
    return torch.logaddexp(torch.zeros_like(x), x)


def cross_entropy(s: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """arXiv 2510.14824: -log of e^zy/(e^zy + e^zn) for a positive, of e^zn/(e^zy + e^zn) for a negative."""
    return torch.where(y > 0, log1p_exp(-s), log1p_exp(s)).sum()


def cross_entropy_with_margin(s: Tensor, y: Tensor, t: Tensor, *, margin: float) -> Tensor:
    return cross_entropy(torch.where(y > 0, s - margin, s + margin), y, t)


def weighted_cross_entropy(s: Tensor, y: Tensor, t: Tensor, *, positive_weight: float) -> Tensor:
    return torch.where(y > 0, positive_weight * log1p_exp(-s), log1p_exp(s)).sum()


def focal(s: Tensor, y: Tensor, t: Tensor, *, focusing: float) -> Tensor:
    """Lin et al. 2017, eq. 4: -(1 - p)^γ log p with p the probability of the right answer."""
    p = torch.sigmoid(torch.where(y > 0, s, -s))
    return -((1 - p) ** focusing * torch.log(p)).sum()


def linear(s: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """Its derivative is the constant weight of the paper's W_base."""
    return torch.where(y > 0, -s, s).sum()


def hinge(s: Tensor, y: Tensor, t: Tensor, *, threshold: float) -> Tensor:
    """Its derivative is W_base with the mask: nothing past probability 1 - τ of a positive, below τ of a negative."""
    margin = math.log((1 - threshold) / threshold)
    return torch.relu(margin - torch.where(y > 0, s, -s)).sum()


def infonce(
    s: Tensor, y: Tensor, t: Tensor, *, temperature: float, positives: str, margin: float = 0.0
) -> Tensor:
    """-log of e^s+ over the sum of e^s of it and the negatives; with several positives see docs/objectives.md."""
    s = torch.where(y > 0, s - margin, s) / temperature
    chosen, negatives = s[y > 0], s[y == 0]
    if not len(chosen) or (positives == "separate" and not len(negatives)):
        return s.sum() * 0
    if positives == "separate":
        return torch.stack([torch.logsumexp(torch.cat([p[None], negatives]), 0) - p for p in chosen]).mean()
    return (torch.logsumexp(s, 0) - chosen).mean()


def listnet(s: Tensor, y: Tensor, t: Tensor, *, temperature: float) -> Tensor:
    """Cao et al. 2007: cross-entropy of the two distributions of the document drawn first."""
    return -(torch.softmax(y, 0) * torch.log_softmax(s / temperature, 0)).sum()


def listmle(s: Tensor, y: Tensor, t: Tensor, *, position_aware: bool) -> Tensor:
    """Xia et al. 2008: -log of the product over places k of e^s_k over the sum of e^s from k on."""
    order = sorted(range(len(s)), key=lambda i: -float(y[i]))
    n = len(order)
    counts = [2.0 ** (n - k) - 1 if position_aware else 1.0 for k in range(1, n + 1)]
    total = sum(counts) if position_aware else 1.0
    if total == 0:
        return s.sum() * 0
    terms = [counts[k] / total * (torch.logsumexp(s[order[k:]], 0) - s[order[k]]) for k in range(n)]
    return torch.stack(terms).sum()


def adr_mse(s: Tensor, y: Tensor, t: Tensor, *, temperature: float) -> Tensor:
    """arXiv 2405.07920, ADR-MSE: squared error of soft ranks, each over log2(1 + its right rank)."""
    n = len(s)
    total = s.sum() * 0
    for i in range(n):
        soft = 1 + sum(torch.sigmoid((s[j] - s[i]) / temperature) for j in range(n) if j != i)
        above, equal = sum(bool(v > y[i]) for v in y), sum(bool(v == y[i]) for v in y)
        right = above + (equal + 1) / 2
        total = total + (soft - right) ** 2 / math.log2(1 + right)
    return total / n


def ranknet(s: Tensor, y: Tensor, t: Tensor, *, temperature: float) -> Tensor:
    """Burges et al. 2005: log(1 + e^-(s_i - s_j)) over the pairs in which i is better than j."""
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if y[i] > y[j]]
    return sum((log1p_exp(-(s[i] - s[j]) / temperature) for i, j in pairs), s.sum() * 0)


def lambdaloss(s: Tensor, y: Tensor, t: Tensor, *, temperature: float, gains: str) -> Tensor:
    """Wang et al. 2018: the pairs of RankNet, each times what it is worth in nDCG at the present ranks."""
    order = sorted(range(len(s)), key=lambda i: -s[i].item())
    rank = {i: place for place, i in enumerate(order, start=1)}
    best = sorted((float(v) for v in y), reverse=True)
    ideal = sum((2**v - 1) / math.log2(1 + place) for place, v in enumerate(best, start=1))
    total = s.sum() * 0
    for i in range(len(s)):
        for j in range(len(s)):
            if y[i] > y[j]:
                apart = abs(rank[i] - rank[j])
                swap = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
                step = abs(1 / math.log2(1 + apart) - 1 / math.log2(2 + apart))
                worth = {"lambdarank": swap, "ndcg_loss2": step, "ndcg_loss2++": swap + 10 * step}[gains]
                gain = abs(2 ** float(y[i]) - 2 ** float(y[j])) / ideal
                total = total + worth * gain * log1p_exp(-(s[i] - s[j]) / temperature)
    return total


def distillation(s: Tensor, y: Tensor, t: Tensor, *, temperature: float) -> Tensor:
    """Hinton et al. 2015: divergence of softmax(s/τ) from softmax(t/τ)."""
    wanted = torch.softmax(t / temperature, 0)
    return (wanted * (torch.log(wanted) - torch.log_softmax(s / temperature, 0))).sum()


def margin_mse(s: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """arXiv 2010.02666: mean over pairs of ((s+ - s-) - (t+ - t-))²."""
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if y[i] > 0 and y[j] == 0]
    errors = [((s[i] - s[j]) - (t[i] - t[j])) ** 2 for i, j in pairs]
    return torch.stack(errors).mean() if errors else s.sum() * 0


def mse(s: Tensor, y: Tensor, t: Tensor) -> Tensor:
    return ((s - t) ** 2).mean()


Loss = Callable[..., Tensor]
# Name of the weight: its loss, the readout of its source, its options with their defaults.
LOSSES: dict[str, tuple[Loss, str, dict[str, Any]]] = {
    "sft": (cross_entropy, "yes_minus_no", {}),
    "sft_margin": (cross_entropy_with_margin, "yes_minus_no", {"margin": 1.0}),
    "bce": (weighted_cross_entropy, "yes", {"positive_weight": 1.0}),
    "focal": (focal, "yes_minus_no", {"focusing": 2.0}),
    "uniform": (linear, "yes_minus_no", {}),
    "uniform_masked": (hinge, "yes_minus_no", {"threshold": 0.1}),
    "contrastive": (infonce, "yes", {"temperature": 1.0, "positives": "average"}),
    "contrastive_margin": (infonce, "yes", {"temperature": 1.0, "positives": "average", "margin": 1.0}),
    "listnet": (listnet, "yes_minus_no", {"temperature": 1.0}),
    "listmle": (listmle, "yes_minus_no", {"position_aware": False}),
    "adr_mse": (adr_mse, "yes_minus_no", {"temperature": 1.0}),
    "ranknet": (ranknet, "yes_minus_no", {"temperature": 1.0}),
    "lambdaloss": (lambdaloss, "yes_minus_no", {"temperature": 1.0, "gains": "ndcg_loss2++"}),
    "distillation": (distillation, "yes_minus_no", {"temperature": 1.0}),
    "margin_mse": (margin_mse, "yes_minus_no", {}),
    "mse": (mse, "yes_minus_no", {}),
}


def graded(logits: Tensor, readout: str) -> Tensor:
    """Of answers that are grades, highest first: the mean grade, its odds, or the likeliest grade times its share."""
    shares = torch.exp(logits - torch.logsumexp(logits, -1, keepdim=True))
    highest = logits.shape[-1] - 1
    mean = sum((highest - place) * shares[..., place] for place in range(highest))
    if readout == "expectation":
        return mean
    if readout == "expectation_odds":
        rest = sum(place * shares[..., place] for place in range(1, highest + 1))
        return torch.log(mean) - torch.log(rest)
    likeliest = shares.max(-1)
    return (highest - likeliest.indices) * likeliest.values


def read(logits: Tensor, readout: str, num_positive: int) -> Tensor:
    """``z_y - z_n`` or ``z_y``; several answers of a side are pooled by log-sum-exp; one output is the score."""
    if logits.shape[-1] == 1:
        return logits[..., 0]
    positive = torch.logsumexp(logits[..., :num_positive], -1)
    if readout in ("expectation", "expectation_odds", "scored_argmax") and logits.shape[-1] > 1:
        return graded(logits, readout)
    return positive if readout == "yes" else positive - torch.logsumexp(logits[..., num_positive:], -1)


def terms(case: dict[str, Any]) -> list[tuple[float, Loss, str, dict[str, Any]]]:
    """Factor, loss, own readout and options of each summand of an objective."""
    options = {name: value for name, value in case.items() if name != "weight"}
    if case["weight"] == "interpolation":
        share = options.pop("interpolation", 0.5)
        parts = [(share, "sft", {}), (1 - share, "contrastive", options)]
    else:
        parts = [(1.0, name, options) for name in case["weight"].split("+")]
    return [
        (factor, LOSSES[name][0], LOSSES[name][1], {k: given.get(k, v) for k, v in LOSSES[name][2].items()})
        for factor, name, given in parts
    ]


def expected_scalar(
    case: dict[str, Any],
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    teacher: Tensor,
    *,
    direction: str,
    reads: str = "own",
    num_positive: int = 1,
) -> Tensor:
    """A scalar with the gradient that the objective ought to have.

    Where all terms read what is pushed, it is the closed form itself, the mean over queries. Elsewhere it is the
    closed form's derivative by its own scores (by autograd), times what is pushed.
    """
    pushed = read(logits, direction, num_positive)
    total = logits.sum() * 0
    for factor, loss, own, options in terms(case):
        readout = own if reads == "own" else reads
        scores = read(logits, readout, num_positive)
        if readout != direction:
            scores = scores.detach().requires_grad_()
        losses = torch.stack(
            [
                loss(scores[query][real], labels[query][real], teacher[query][real], **options)
                for query, real in enumerate(mask)
                if real.any()
            ]
        )
        closed = factor * losses.sum()
        if readout != direction:
            (by_score,) = torch.autograd.grad(closed, scores)
            closed = (by_score * pushed)[mask].sum()
        total = total + closed
    return total / mask.any(-1).sum()
