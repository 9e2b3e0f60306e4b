"""Prompts after a prefix that is computed once: the backbone's cache of it is copied for each of them.

Exact for every backbone with a cache, also where layers are no plain attention and packed sequences would be wrong. It
pads the rests, copies the prefix, and has no gradients.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from gmr.modeling.model import RerankModel
from gmr.modeling.packed_batch import whole_positions
from gmr.modeling.packing import cut_prompt
from gmr.modeling.processor import Prompt, PromptProcessor


def prefill(model: RerankModel, prompt: Prompt, length: int, **pictures: Any) -> Cache:
    """What the backbone keeps of the first ``length`` tokens of a prompt, one row.

    Args:
        model: the reranker, in evaluation mode.
        prompt: a whole prompt.
        length: tokens of the prefix.
        pictures: those of the prefix, as `RerankModel.forward` takes them.
    """
    prefix = cut_prompt(prompt, 0, length, model.processor.image_token_id)
    whole = whole_positions(model.processor, [prompt])
    positions = torch.arange(length)[None] if whole is None else whole[:, :, :length]
    cache = DynamicCache(config=model.config)
    model.last_hidden_states(
        torch.tensor([prefix.input_ids], device=model.device),
        torch.ones(1, length, dtype=torch.long, device=model.device),
        position_ids=positions.to(model.device),
        past_key_values=cache,
        **pictures,
    )
    return cache


def fork(cache: Cache, rows: int) -> Cache:
    """``rows`` copies of a cache of one row, to be used once; the cache itself stays as it is."""
    # Layers of linear attention write into their tensors: a copy that shared them would change the original.
    forked = copy.deepcopy(cache)
    # Not batch_repeat_interleave, which they do not have.
    forked.reorder_cache(torch.zeros(rows, dtype=torch.long))  # type: ignore[arg-type]
    return forked


def collate_rests(processor: PromptProcessor, prompts: Sequence[Prompt], start: int) -> dict[str, Tensor]:
    """What `RerankModel.forward` takes for the tokens of prompts from ``start`` on, beside cache and pictures.

    Returns:
        ``input_ids`` ``(rows, longest rest)``, padded on the right, where causal layers do not look; ``attention_mask``
        ``(rows, start + longest rest)``; ``position_ids`` ``(3, rows, longest rest)``, or ``(rows, longest rest)`` for
        a model that reads text only.
    """
    lengths = torch.tensor([[len(prompt.input_ids)] for prompt in prompts])
    longest = int(lengths.max())
    pad = processor.pad_token_id
    ids = [prompt.input_ids[start:] + [pad] * (longest - len(prompt.input_ids)) for prompt in prompts]
    whole = whole_positions(processor, prompts)
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": (torch.arange(longest) < lengths).long(),
        "position_ids": torch.arange(start, longest).expand(len(prompts), -1)
        if whole is None
        else whole[:, :, start:],
    }
