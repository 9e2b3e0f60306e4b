"""Rewards of sampled grades: how good the ranking is that they make of a query's candidates.

All take grades ``(queries, docs, roll-outs)`` as shares of the highest, labels ``(queries, docs)`` and a bool mask, and
give a reward of every candidate in every roll-out, of the grades' shape, 0 where the mask is False. Higher is better.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

PENALTY = 1.0  # of a negative that stands as high as a positive


def ndcg_reward(grades: Tensor, labels: Tensor, mask: Tensor, *, reference: Tensor | None = None) -> Tensor:
    """NDCG of the ranking that each roll-out's grades make, the same for all of a query's candidates.

    Gain ``2^label - 1``, no cut-off, and of equal grades the mean over their orders. A query without a positive
    has 0.
    """
    del reference
    gains = (2.0**labels - 1).masked_fill(~mask, 0.0)
    size = mask.shape[-1]
    discounts = 1 / torch.log2(torch.arange(2, size + 2, device=grades.device).to(gains))
    sums = torch.cat([discounts.new_zeros(1), discounts.cumsum(0)])
    rows = grades.movedim(-1, -2)  # (queries, roll-outs, docs)
    real = mask[:, None, None, :]
    above = ((rows[..., None, :] > rows[..., :, None]) & real).sum(dim=-1)
    equal = ((rows[..., None, :] == rows[..., :, None]) & real).sum(dim=-1).clamp(min=1)
    # Padding stands above nobody, but its own places may lie past the end.
    last = (above + equal).clamp(max=size)
    mean_discounts = (sums[last] - sums[above.clamp(max=size)]) / equal
    found = (mean_discounts * gains[:, None, :]).sum(dim=-1)
    best = (gains.sort(dim=-1, descending=True).values * discounts).sum(dim=-1, keepdim=True)
    ndcg = torch.where(
        best > 0, found / best.clamp(min=torch.finfo(best.dtype).tiny), torch.zeros_like(found)
    )
    return ndcg[:, None, :].expand(grades.shape).masked_fill(~mask[..., None], 0.0)


def reciprocal_rank_reward(
    grades: Tensor, labels: Tensor, mask: Tensor, *, reference: Tensor | None = None
) -> Tensor:
    """The form of ERank's r_RR: a candidate against all grades that were sampled for the others.

    A positive gets one over its rank among the grades of all other candidates in all roll-outs, equal ones half.
    A negative whose grade is that of some positive's roll-out or above gets -1; any other minus the squared
    difference from the reference's expected grade, as a share of the highest grade.

    Args:
        grades: as shares of the highest grade, from 0 to 1.
        labels: above 0 is a positive.
        mask: True for a real candidate.
        reference: ``(queries, docs)`` the reference's expected share of the highest grade, from 0 to 1.

    Source: arXiv 2509.00520 gives the three parts in words. Ties, the size of the penalty, the scale of the squared
    difference and that a candidate's own roll-outs are left out of its rank are our choices.
    """
    if reference is None:
        raise ValueError("reciprocal_rank needs the reference's expected grades")
    num_queries, size, num_rollouts = grades.shape
    is_positive = (labels > 0) & mask
    every = grades.reshape(num_queries, 1, 1, size * num_rollouts)
    owner = torch.arange(size, device=grades.device).repeat_interleave(num_rollouts)
    is_other = owner != torch.arange(size, device=grades.device)[:, None]
    counted = (is_other & mask.repeat_interleave(num_rollouts, dim=-1)[:, None, :])[:, :, None, :]
    mine = grades[..., None]
    above = ((every > mine) & counted).sum(dim=-1) + ((every == mine) & counted).sum(dim=-1) / 2
    lowest = grades.masked_fill(~is_positive[..., None], math.inf).amin(dim=(-2, -1), keepdim=True)
    off = -((grades - reference[..., None].to(grades)) ** 2)
    of_negatives = torch.where(grades >= lowest, torch.full_like(off, -PENALTY), off)
    rewards = torch.where(is_positive[..., None], 1 / (1 + above).to(grades), of_negatives)
    return rewards.masked_fill(~mask[..., None], 0.0)


REWARDS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"ndcg": ndcg_reward, "reciprocal_rank": reciprocal_rank_reward}
)
