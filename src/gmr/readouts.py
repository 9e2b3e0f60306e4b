"""From the answer logits of a candidate to one number: its score (log-odds, higher is better).

Answer logits come out of a head with the positive answers first: index 0 is "yes" and index 1 is "no" in the
ordinary case. A head with a single output (an MLP, a projection) already gives the score. Answers that are grades
come highest first, down to 0.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor


class Readout(Protocol):
    """A differentiable function from answer logits to scores."""

    def __call__(self, logits: Tensor, *, num_positive: int = 1) -> Tensor:
        """Scores ``(...)`` of the answer logits ``(..., num_answers)``."""
        ...


def at_least_float32(values: Tensor) -> Tensor:
    """``values`` in float32, or in float64 where they are.

    In bfloat16 the difference of two logits near 20 takes a few dozen values: candidates would tie.
    """
    return values if values.dtype == torch.float64 else values.float()


def yes_minus_no(logits: Tensor, *, num_positive: int = 1) -> Tensor:
    """Log-odds of the positive answers against the negative ones: ``z_y - z_n``, the score of SFT.

    Several answers are pooled by log-sum-exp, so that ``sigmoid`` of the score is the probability mass of the
    positive answers among all answers.

    Args:
        logits: ``(..., num_answers)``, positive answers first; a single output is the score itself.
        num_positive: how many of the answers, from the first, are positive.

    Returns:
        ``(...)``, float32, or float64 where the logits are.

    Raises:
        ValueError: ``num_positive`` leaves no positive or no negative answer.
    """
    if logits.shape[-1] == 1:
        return at_least_float32(logits)[..., 0]
    _check_num_positive(logits, num_positive, most=logits.shape[-1] - 1)
    logits = at_least_float32(logits)
    return _pool(logits[..., :num_positive]) - _pool(logits[..., num_positive:])


def yes(logits: Tensor, *, num_positive: int = 1) -> Tensor:
    """Logit of the positive answers alone, ``z_y``: the score of contrastive learning.

    Args:
        logits: ``(..., num_answers)``, positive answers first; a single output is the score itself.
        num_positive: how many of the answers, from the first, are positive; they are pooled by log-sum-exp.

    Returns:
        ``(...)``, float32, or float64 where the logits are.

    Raises:
        ValueError: there are not ``num_positive`` answers, or it is below one.
    """
    _check_num_positive(logits, num_positive, most=logits.shape[-1])
    return _pool(at_least_float32(logits)[..., :num_positive])


def expectation(logits: Tensor, *, num_positive: int = 1) -> Tensor:
    """Expected grade ``Σ s·Pr(s)`` of answers that are grades, highest first: from 0 to the number of answers less 1.

    Args:
        logits: ``(..., num_answers)``, of the highest grade down to that of 0; a single output is the score itself.
        num_positive: not read: every answer has its grade.

    Returns:
        ``(...)``, float32, or float64 where the logits are; no log-odds.

    Source: ERank, arXiv 2509.00520, reads ``s·Pr(s)`` of the grade it wrote; the sum is its expectation.
    """
    del num_positive
    logits = at_least_float32(logits)
    if logits.shape[-1] == 1:
        return logits[..., 0]
    # As one product it would run in half precision under autocast.
    return (logits.softmax(dim=-1) * grades_of(logits)).sum(dim=-1)


def expectation_odds(logits: Tensor, *, num_positive: int = 1) -> Tensor:
    """Log-odds of the expected grade, ``log(E / (G - E))``: the order of `expectation`, unbounded.

    ``E`` in float32 ties where the answers are sure; this does not. Of two answers it is ``yes_minus_no``, so that
    ``sigmoid`` of it is ``E / G``, the expected share of the highest grade ``G``. Our choice.

    Args:
        logits: as for `expectation`.
        num_positive: not read.

    Returns:
        ``(...)``, float32, or float64 where the logits are.
    """
    del num_positive
    logits = at_least_float32(logits)
    if logits.shape[-1] == 1:
        return logits[..., 0]
    logs = grades_of(logits)[:-1].log()
    return torch.logsumexp(logits[..., :-1] + logs, dim=-1) - torch.logsumexp(
        logits[..., 1:] + logs.flip(0), dim=-1
    )


def scored_argmax(logits: Tensor, *, num_positive: int = 1) -> Tensor:
    """``s·Pr(s)`` of the most likely grade ``s``, the score of ERank; of equally likely ones the highest.

    Where the most likely grade is 0, so is the score, however sure it is: such candidates tie.

    Args:
        logits: as for `expectation`.
        num_positive: not read.

    Returns:
        ``(...)``, float32, or float64 where the logits are; no log-odds.

    Source: ERank, arXiv 2509.00520, there with the grade that greedy decoding wrote after its thinking.
    """
    del num_positive
    logits = at_least_float32(logits)
    if logits.shape[-1] == 1:
        return logits[..., 0]
    best = logits.detach().argmax(dim=-1, keepdim=True)
    share = logits.softmax(dim=-1).gather(-1, best)[..., 0]
    return grades_of(logits)[best[..., 0]] * share


def grades_of(logits: Tensor) -> Tensor:
    """The grade that each answer stands for, ``(num_answers,)``: the highest first, 0 last."""
    return torch.arange(logits.shape[-1] - 1, -1, -1, device=logits.device).to(logits.dtype)


READOUTS: Mapping[str, Readout] = MappingProxyType(
    {
        "yes_minus_no": yes_minus_no,
        "yes": yes,
        "expectation": expectation,
        "expectation_odds": expectation_odds,
        "scored_argmax": scored_argmax,
    }
)
NO_LOG_ODDS: frozenset[str] = frozenset({"expectation", "scored_argmax"})
"""Readouts whose score is a grade, from 0 up: its sigmoid is no probability."""


def _pool(logits: Tensor) -> Tensor:
    # One answer is taken as it is: log-sum-exp would cost two kernels to return the same number.
    return logits[..., 0] if logits.shape[-1] == 1 else torch.logsumexp(logits, dim=-1)


def _check_num_positive(logits: Tensor, num_positive: int, *, most: int) -> None:
    if not 1 <= num_positive <= most:
        raise ValueError(
            f"num_positive is {num_positive}: of {logits.shape[-1]} answer logits it must be from 1 to {most}"
        )
