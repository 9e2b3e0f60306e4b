"""A packed sequence as the tensors that the model takes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gmr.modeling.packing import PackedSequence
from gmr.modeling.positions import picture_positions
from gmr.modeling.processor import Prompt, PromptProcessor


def collate_packed(
    processor: PromptProcessor, packed: PackedSequence, *, pictures: bool = True
) -> dict[str, Any]:
    """What `RerankModel.forward` takes for a packed sequence.

    Args:
        processor: the model's.
        packed: the sequence.
        pictures: whether to open and preprocess its pictures; without, the caller brings their features.

    Returns:
        ``input_ids`` ``(1, tokens)``, ``position_ids`` ``(3, 1, tokens)``, or ``(1, tokens)`` for a model that reads
        text only, ``last`` ``(prompts,)``, ``layout`` on the CPU, and the pictures as ``PromptProcessor.collate``
        gives them, in the order of the sequence.
    """
    ids = [token for segment in packed.segments for token in segment.input_ids]
    batch: dict[str, Any] = {
        "input_ids": torch.tensor([ids]),
        "position_ids": _positions(processor, packed),
        "last": torch.tensor(packed.last),
        "layout": packed.layout(),
    }
    return batch | (processor.collate_pictures(packed.segments) if pictures else {})


def whole_positions(processor: PromptProcessor, prompts: Sequence[Prompt]) -> Tensor | None:
    """Positions ``(3, prompts, longest)`` of all tokens of prompts that may hold pictures, right of them anything.

    None for a model that reads text only: there a token's position is its place.
    """
    if processor.image_processor is None or processor.image_token_id is None:
        return None
    longest = max(len(prompt.input_ids) for prompt in prompts)
    lengths = torch.tensor([[len(prompt.input_ids)] for prompt in prompts])
    ids = torch.tensor([prompt.input_ids + [0] * (longest - len(prompt.input_ids)) for prompt in prompts])
    grids = [grid for prompt in prompts for grid in prompt.grids]
    return picture_positions(
        ids,
        torch.arange(longest) < lengths,
        torch.tensor(grids) if grids else None,
        image_token_id=processor.image_token_id,
        merge_size=int(processor.image_processor.merge_size),
    )


def _positions(processor: PromptProcessor, packed: PackedSequence) -> Tensor:
    """Positions that each token has in its whole prompt."""
    distinct: dict[int, tuple[int, Prompt]] = {}
    for prompt, _ in packed.sources:
        distinct.setdefault(id(prompt), (len(distinct), prompt))
    rows: list[int] = []
    columns: list[int] = []
    for (prompt, start), segment in zip(packed.sources, packed.segments, strict=True):
        length = len(segment.input_ids)
        rows += [distinct[id(prompt)][0]] * length
        columns += range(start, start + length)
    whole = whole_positions(processor, [prompt for _, prompt in distinct.values()])
    return torch.tensor([columns]) if whole is None else whole[:, rows, columns].unsqueeze(1)
