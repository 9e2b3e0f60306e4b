"""A policy gradient on listwise rewards: grades are sampled, the ranking they make is rewarded.

A candidate's answer distribution is the policy ``π_i``; a roll-out samples a grade of every candidate of a query. The
weight of answer ``a`` is ``-(1/R)·Σ_r A_ir·([a = a_ir] - π_ia)`` plus that of the divergence from the reference: one
number per candidate and answer. One update is made of every sample, so the ratio of GRPO and PPO is 1 and its clipping
would never act; there is none.

Nothing here is random: the draws come in as numbers, so that a step is a function of its inputs.

Source: ERank, arXiv 2509.00520, its second stage (GRPO, 5 roll-outs, KL coefficient 0.001); GRPO after Shao et al.
2024, DeepSeekMath. There the sampled text holds the reasoning too; here the answer alone is sampled.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from gmr.objectives.graded import read_answers
from gmr.objectives.groups import Reduction, check_reference, reduce_queries
from gmr.objectives.rewards import REWARDS

Reward = Literal["ndcg", "reciprocal_rank"]
Advantage = Literal["normalised", "leave_one_out", "raw"]
ADVANTAGES: tuple[str, ...] = get_args(Advantage)
_TINY = 1e-6  # as in published GRPO code: roll-outs that are rewarded alike push nothing


def sample_answers(logits: Tensor, draws: Tensor) -> Tensor:
    """Index of the answer that each draw falls on, ``(queries, docs, roll-outs)`` int64.

    Args:
        logits: ``(queries, docs, answers)``.
        draws: ``(queries, docs, roll-outs)`` uniform in [0, 1).
    """
    ends = logits.softmax(dim=-1).cumsum(dim=-1)[..., None, :]
    # The last end may be rounded below 1.
    return (draws[..., None].to(ends) >= ends).sum(dim=-1).clamp(max=logits.shape[-1] - 1)


def advantages(rewards: Tensor, kind: Advantage) -> Tensor:
    """How much better each roll-out is than the others of its candidate, along the last dimension.

    ``normalised``: less the mean, over the sample's standard deviation (GRPO; no reward has this gradient).
    ``leave_one_out``: less the mean of the others; its expected gradient is that of the expected reward. ``raw``: the
    reward; the same expectation, with more noise.
    """
    num_rollouts = rewards.shape[-1]
    if kind == "raw":
        return rewards
    if num_rollouts < 2:
        raise ValueError(f"advantage {kind!r} compares roll-outs, and there is {num_rollouts}")
    centred = rewards - rewards.mean(dim=-1, keepdim=True)
    if kind == "leave_one_out":
        return centred * num_rollouts / (num_rollouts - 1)
    return centred / (rewards.std(dim=-1, keepdim=True) + _TINY)


def policy_gradient_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    draws: Tensor,
    reward: Reward,
    advantage: Advantage,
    num_rollouts: int,
    kl: float,
    reference: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Minus the mean reward, plus ``kl·Σ_i KL(π_i ‖ reference_i)``; its derivative is the estimator's.

    Args:
        logits: answer logits, highest grade first.
        labels: from 0 up; above 0 is a positive.
        mask: True for a real candidate.
        draws: ``(queries, docs, roll-outs)`` uniform in [0, 1).
        reward: a key of ``REWARDS``.
        advantage: one of ``ADVANTAGES``.
        num_rollouts: how many draws a candidate has.
        kl: coefficient of the divergence, exact over the answers; 0 leaves it out.
        reference: answer logits of the frozen reference, for ``kl`` above 0 and ``reciprocal_rank``.
        reduction: mean over queries, or none.

    Raises:
        ValueError: draws or a reference of another shape, or none where they are needed.
    """
    answers, chosen, rewards = _roll_out(
        logits, labels, mask, draws=draws, reward=reward, num_rollouts=num_rollouts, reference=reference
    )
    log_policy = answers.log_softmax(dim=-1)
    pushed = advantages(rewards, advantage) * log_policy.gather(-1, chosen)
    estimator = -(pushed.mean(dim=-1).masked_fill(~mask, 0.0)).sum(dim=-1)
    values = -rewards.mean(dim=-1).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)
    # The estimator's value says nothing: the reward is what there is to log, without a derivative of its own.
    losses = values + estimator - estimator.detach()
    if kl:
        losses = losses + kl * _divergence(log_policy, _reference(reference, logits, mask)).masked_fill(
            ~mask, 0.0
        ).sum(dim=-1)
    return reduce_queries(losses, mask, reduction)


def policy_gradient_weights(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    draws: Tensor,
    reward: Reward,
    advantage: Advantage,
    num_rollouts: int,
    kl: float,
    reference: Tensor | None = None,
) -> Tensor:
    """The derivative by every answer's logit, ``(queries, docs, answers)``; arguments as for the loss."""
    answers, chosen, rewards = _roll_out(
        logits, labels, mask, draws=draws, reward=reward, num_rollouts=num_rollouts, reference=reference
    )
    policy = answers.softmax(dim=-1)
    gains = advantages(rewards, advantage)
    taken = torch.zeros_like(answers).scatter_add(-1, chosen, gains / num_rollouts)
    weights = policy * gains.mean(dim=-1, keepdim=True) - taken
    if kl:
        log_policy = answers.log_softmax(dim=-1)
        log_ratio = log_policy - _reference(reference, logits, mask)
        weights = weights + kl * policy * (log_ratio - (policy * log_ratio).sum(dim=-1, keepdim=True))
    return weights.masked_fill(~mask[..., None], 0.0)


def _roll_out(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    draws: Tensor,
    reward: Reward,
    num_rollouts: int,
    reference: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Answer logits, the answer of each roll-out, and its reward."""
    answers, labels = read_answers(logits, labels, mask)
    if draws.shape != (*mask.shape, num_rollouts):
        raise ValueError(
            f"draws are {tuple(draws.shape)}: {num_rollouts} roll-outs of logits {tuple(logits.shape)} ask "
            f"for {(*mask.shape, num_rollouts)}"
        )
    highest = logits.shape[-1] - 1
    with torch.no_grad():
        chosen = sample_answers(answers, draws.masked_fill(~mask[..., None], 0.0))
        wanted = None
        if reference is not None:
            policy = _reference(reference, logits, mask).exp().to(answers)
            shares = torch.arange(highest, -1, -1, device=logits.device).to(answers) / highest
            wanted = (policy * shares).sum(dim=-1)
        grades = (highest - chosen).to(answers) / highest
        rewards = REWARDS[reward](grades, labels, mask, reference=wanted)
    return answers, chosen, rewards


def _reference(reference: Tensor | None, logits: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities of the reference's answers."""
    if reference is None:
        raise ValueError("the divergence from a reference needs the reference's answer logits")
    check_reference(reference, logits)
    answers, _ = read_answers(reference.detach(), torch.zeros_like(mask, dtype=torch.float32), mask)
    return answers.log_softmax(dim=-1)


def _divergence(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    return (log_policy.exp() * (log_policy - log_reference)).sum(dim=-1)
