"""What a model makes of a batch: the last hidden state of every candidate, and the head above it."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmr.modeling.model import RerankModel
from gmr.probe.gradients.batch import ProbeGroup
from gmr.train.collator import GroupCollator

TOKENS_PER_PASS = 8192
"""New tokens of a forward pass: bounds memory, and changes no gradient."""


@dataclass(frozen=True)
class States:
    """A batch as the head sees it, on the model's device.

    Attributes:
        hidden: ``(queries, docs, width)`` float32, zeros where the mask is False.
        labels: ``(queries, docs)`` float32, above 0 for a positive.
        mask: ``(queries, docs)`` bool, True for a real candidate.
        teacher: scores ``(queries, docs)``, or None.
        head: from hidden states and rows to answer logits.
        rows: ``(answers, width)`` rows of the language-model head for the answers.
        num_positive: how many answers, from the first, are positive.
    """

    hidden: Tensor
    labels: Tensor
    mask: Tensor
    teacher: Tensor | None
    head: nn.Module
    rows: Tensor
    num_positive: int = 1

    def to(self, dtype: torch.dtype) -> "States":
        """The same numbers on the CPU in another precision, with a head of their own."""
        # Not every accelerator has float64, and a head is small.
        hidden, labels, rows = (
            each.detach().to("cpu", dtype) for each in (self.hidden, self.labels, self.rows)
        )
        teacher = None if self.teacher is None else self.teacher.to("cpu", dtype)
        head = copy.deepcopy(self.head).to("cpu", dtype)
        return States(hidden, labels, self.mask.cpu(), teacher, head, rows, self.num_positive)


def collate(
    model: RerankModel, groups: Sequence[ProbeGroup], *, tokens_per_pass: int = TOKENS_PER_PASS
) -> dict[str, Any]:
    """The batch of a training step, as `GroupCollator` makes it, on the model's device."""
    engine = "packed" if model.engine == "packed" else "padded"  # no other lets gradients through
    collator = GroupCollator(model.processor, engine=engine, tokens_per_pass=tokens_per_pass)
    return {
        name: _to(value, model.device) for name, value in collator([each.group for each in groups]).items()
    }


def read_states(model: RerankModel, batch: Mapping[str, Any]) -> States:
    """One pass over a batch without gradients; the model should be in evaluation mode."""
    with torch.no_grad(), catching_states(model) as caught:
        for part in batch["passes"]:
            model(**part)
    mask: Tensor = batch["mask"]
    rows = torch.cat(caught)[batch["order"].argsort()]
    hidden = rows.new_zeros(*mask.shape, rows.shape[-1])
    hidden[mask] = rows
    return States(
        hidden,
        batch["labels"],
        mask,
        batch.get("teacher"),
        model.head,
        model.answer_rows().detach(),
        model.num_positive,
    )


@contextmanager
def catching_states(model: RerankModel) -> Iterator[list[Tensor]]:
    """While inside, a list of what the head is given, ``(prompts, width)`` of each pass."""
    caught: list[Tensor] = []
    handle = model.head.register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    try:
        yield caught
    finally:
        handle.remove()


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list):
        return [_to(each, device) for each in value]
    if isinstance(value, dict):
        return {name: _to(each, device) for name, each in value.items()}
    return value
