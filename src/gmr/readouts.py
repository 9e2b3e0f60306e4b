"""From the answer logits of a candidate to one number: its score (log-odds, higher is better).

Answer logits come out of a head with the positive answers first: index 0 is "yes" and index 1 is "no" in the
ordinary case. A head with a single output (an MLP, a projection) already gives the score.
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


READOUTS: Mapping[str, Readout] = MappingProxyType({"yes_minus_no": yes_minus_no, "yes": yes})


def _pool(logits: Tensor) -> Tensor:
    # One answer is taken as it is: log-sum-exp would cost two kernels to return the same number.
    return logits[..., 0] if logits.shape[-1] == 1 else torch.logsumexp(logits, dim=-1)


def _check_num_positive(logits: Tensor, num_positive: int, *, most: int) -> None:
    if not 1 <= num_positive <= most:
        raise ValueError(
            f"num_positive is {num_positive}: of {logits.shape[-1]} answer logits it must be from 1 to {most}"
        )
