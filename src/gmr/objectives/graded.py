"""Fine-tuning on graded answers: cross-entropy over all of them, and its derivative by each answer's logit.

The answers are grades, highest first, down to 0 (`gmr.readouts.grades_of`). What a model learns here is a distribution
over grades; with two answers it is SFT. A weight is one number per candidate and answer, because the loss is no
function of one score: ``∂L/∂h_i = Σ_a (p_ia - t_ia)·M_a``.

Source: ERank, arXiv 2509.00520, fine-tunes on integers from 0 to 10 that a teacher wrote, after its reasoning; here the
answer alone is learnt. What a fraction and a binary label mean is our choice.
"""

import torch
from torch import Tensor

from gmr.objectives.groups import (
    Reduction,
    check_shapes,
    check_values,
    read_teacher,
    reduce_queries,
    softmax_minus,
)
from gmr.readouts import at_least_float32


def read_answers(logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Answer logits and labels of a batch, checked, at least float32, with zeros where the mask is False.

    Raises:
        ValueError: shapes that do not fit, fewer than two answers, or a label that is negative or not finite.
    """
    check_shapes(logits, mask, labels=labels)
    if logits.shape[-1] < 2:
        raise ValueError(f"logits are {tuple(logits.shape)}: graded answers are two or more")
    answers = at_least_float32(logits).masked_fill(~mask[..., None], 0.0)
    labels = labels.to(answers).masked_fill(~mask, 0.0)
    check_values("labels", labels, low=0.0)
    return answers, labels


def grade_targets(grades: Tensor, num_answers: int) -> Tensor:
    """Wanted distribution over the answers, ``(..., num_answers)``, whose expected grade is the one given.

    A fraction is shared by its two neighbours: 6.3 is 0.7 of grade 6 and 0.3 of grade 7.

    Args:
        grades: ``(...)``, from 0 to ``num_answers - 1``.
        num_answers: how many grades there are, 0 included.
    """
    steps = torch.arange(num_answers - 1, -1, -1, device=grades.device).to(grades)
    return (1 - (grades[..., None] - steps).abs()).clamp(min=0)


def grades_loss(logits: Tensor, labels: Tensor, mask: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """Cross-entropy of the answers' distribution against the label's grade, summed over a query's candidates.

    Args:
        logits: answer logits, highest grade first.
        labels: from 0 to 1, the share of the highest grade: a binary label asks for the highest grade or for 0.
        mask: True for a real candidate.
        reduction: mean over queries, or none.

    Raises:
        ValueError: a label that is not from 0 to 1.
    """
    return _cross_entropy(*_labelled(logits, labels, mask), mask, reduction)


def grades_weights(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """``p_ia - t_ia``, ``(queries, docs, answers)``."""
    return _slope(*_labelled(logits, labels, mask), mask)


def taught_grades_loss(
    logits: Tensor, labels: Tensor, mask: Tensor, *, teacher: Tensor, reduction: Reduction = "mean"
) -> Tensor:
    """``grades_loss`` against a teacher's grades, from 0 to the number of answers less 1, fractions welcome.

    Raises:
        ValueError: a grade that is out of range.
    """
    return _cross_entropy(*_taught(logits, labels, mask, teacher), mask, reduction)


def taught_grades_weights(logits: Tensor, labels: Tensor, mask: Tensor, *, teacher: Tensor) -> Tensor:
    """``p_ia - t_ia``, ``(queries, docs, answers)``."""
    return _slope(*_taught(logits, labels, mask, teacher), mask)


def _labelled(logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    answers, labels = read_answers(logits, labels, mask)
    check_values("labels", labels, low=0.0, high=1.0)
    num_answers = logits.shape[-1]
    return answers, grade_targets(labels * (num_answers - 1), num_answers)


def _taught(logits: Tensor, labels: Tensor, mask: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    answers, _ = read_answers(logits, labels, mask)
    num_answers = logits.shape[-1]
    grades = read_teacher(teacher, logits, mask, like=answers)
    check_values("teacher", grades, low=0.0, high=num_answers - 1)
    return answers, grade_targets(grades, num_answers)


def _cross_entropy(answers: Tensor, targets: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    losses = -(targets * answers.log_softmax(dim=-1)).sum(dim=-1)
    return reduce_queries(losses.masked_fill(~mask, 0.0).sum(dim=-1), mask, reduction)


def _slope(answers: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return softmax_minus(targets, answers.softmax(dim=-1)).masked_fill(~mask[..., None], 0.0)
