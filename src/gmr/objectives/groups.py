"""What every loss and every weight scheme does with a batch of groups: check it, read it, reduce it.

A group is one query's candidates. A batch holds ``(queries, docs)`` of them, ragged groups padded and told
apart by a bool mask (True is real). What stands under a False mask, NaN and infinity included, changes
nothing.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from gmr.readouts import Readout

Reduction = Literal["mean", "none"]


def read_group(logits: Tensor, labels: Tensor, mask: Tensor, read: Readout) -> tuple[Tensor, Tensor]:
    """Scores and labels of a batch, checked, with zeros where the mask is False.

    Args:
        logits: ``(queries, docs, answers)``, any float dtype.
        labels: ``(queries, docs)``, relevance from 0 up; above 0 is a positive.
        mask: ``(queries, docs)`` bool.
        read: the readout that makes scores of the logits.

    Returns:
        scores and labels, both ``(queries, docs)``, float32 or float64 as the readout gives.

    Raises:
        ValueError: shapes that do not fit, a mask that is not bool, a label that is negative or not finite.
    """
    check_shapes(logits, mask, labels=labels)
    # The mask comes before the readout: NaN times zero is NaN, also in a backward pass.
    scores = read(logits.masked_fill(~mask[..., None], 0.0))
    labels = labels.to(scores).masked_fill(~mask, 0.0)
    check_values("labels", labels, low=0.0)
    return scores, labels


def read_teacher(teacher: Tensor, logits: Tensor, mask: Tensor, *, like: Tensor) -> Tensor:
    """Teacher scores ``(queries, docs)``, checked, in the dtype of ``like``; 0.0 where the mask is False."""
    check_shapes(logits, mask, teacher=teacher)
    teacher = teacher.detach().to(like).masked_fill(~mask, 0.0)
    check_values("teacher", teacher)
    return teacher


def check_shapes(logits: Tensor, mask: Tensor, **others: Tensor) -> None:
    """Raise ``ValueError`` naming the tensor whose shape or dtype does not fit the others."""
    if logits.ndim != 3 or logits.shape[-1] == 0:
        raise ValueError(f"logits are {tuple(logits.shape)}: they must be (queries, docs, answers)")
    group = tuple(logits.shape[:2])
    for name, tensor in {"mask": mask, **others}.items():
        if tensor.shape != group:
            raise ValueError(f"{name} is {tuple(tensor.shape)}: logits {tuple(logits.shape)} ask for {group}")
    if mask.dtype != torch.bool:
        raise ValueError(f"mask is {mask.dtype}: it must be torch.bool, True for a real candidate")


def check_reference(reference: Tensor, logits: Tensor) -> None:
    """Raise ``ValueError`` where a reference has not an answer logit for each of ``logits``."""
    if reference.shape != logits.shape:
        raise ValueError(
            f"reference is {tuple(reference.shape)}: logits {tuple(logits.shape)} ask for the same"
        )


def check_values(name: str, values: Tensor, *, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ``ValueError`` naming the first of ``values`` ``(queries, docs)`` not finite or out of bounds."""
    wrong = ~(torch.isfinite(values) & (values >= low) & (values <= high))
    if wrong.any():
        query, doc = (int(index) for index in wrong.nonzero()[0])
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        wanted = bounds if math.isfinite(low) else "finite"
        raise ValueError(f"{name}[{query}, {doc}] is {values[query, doc].item():g}: it must be {wanted}")


def positive_temperature(temperature: float) -> float:
    """``temperature``, if it can divide scores; else ``ValueError``."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}: it must be above 0")
    return temperature


def count_queries(mask: Tensor) -> Tensor:
    """Number of queries with at least one real candidate, at least 1 so that it can divide; int64 scalar."""
    return mask.any(dim=-1).sum().clamp(min=1)


def reduce_queries(values: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Per-query ``values`` ``(queries,)`` as they are, or averaged over queries with a real candidate."""
    if reduction == "none":
        return values
    if reduction != "mean":
        raise ValueError(f"reduction is {reduction!r}: it must be 'mean' or 'none'")
    return values.sum() / count_queries(mask).to(values)


def masked_logsumexp(scores: Tensor, mask: Tensor) -> Tensor:
    """Log-sum-exp over the real entries of the last dimension, kept as 1; finite where there is none."""
    some = mask.any(dim=-1, keepdim=True)
    # A row of -inf alone would meet other zeros as 0 * inf: it is filled with zeros, callers mask the result.
    filled = scores.masked_fill(~mask, -math.inf).masked_fill(~some, 0.0)
    return filled.logsumexp(dim=-1, keepdim=True)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the real entries of the last dimension; 0.0 elsewhere."""
    return (scores - masked_logsumexp(scores, mask)).masked_fill(~mask, -math.inf).exp()


def sum_of_others(values: Tensor) -> Tensor:
    """For each entry of the last dimension, the sum of all the others.

    ``1 - softmax_i`` is nothing but rounding when a query is nearly solved; the sum of the other shares keeps
    its relative precision. It is no matrix product, because autocast would run that in half precision.
    """
    size = values.shape[-1]
    itself = torch.eye(size, dtype=torch.bool, device=values.device)
    return values[..., None, :].expand(*values.shape, size).masked_fill(itself, 0.0).sum(dim=-1)


def softmax_minus(target: Tensor, shares: Tensor) -> Tensor:
    """``shares·Σtarget - target`` without the cancellation; none is negative and ``shares`` sum to 1."""
    return shares * sum_of_others(target) - target * sum_of_others(shares)


def pair_differences(values: Tensor) -> Tensor:
    """``values_i - values_j`` of every two candidates, ``(queries, docs, docs)``."""
    return values[..., :, None] - values[..., None, :]
