"""Attention of the vision tower over many windows at once: one kernel call, or one per distinct window length.

transformers' SDPA path calls attention once per picture (or per window of a picture) and layer. Windows of
equal length are independent rows of one batch, so they can share a call. The output is the loop's, bit for
bit. Where there is a variable-length kernel all windows share one call.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

from gmr.modeling.attention import attend
from gmr.modeling.varlen import BUCKETS, KERNELS, Bounds, kernel_for

# The towers hand over `cu_seqlens` instead of looping when "flash" is in the name of the implementation.
WINDOWED_ATTENTION = "gmr_flash_windows"
# CUDA kernels take at most 65,535 rows; one call more changes nothing else.
_MAX_WINDOWS = 32_768


def use_windowed_attention(backbone: PreTrainedModel) -> None:
    """Switch the vision tower of ``backbone`` (and nothing else) to `windowed_attention`."""
    backbone.set_attn_implementation({"vision_config": WINDOWED_ATTENTION})


def windowed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within consecutive windows of one packed sequence.

    Args:
        module: the calling layer; not read.
        query: ``(1, heads, tokens, width)``.
        key: likewise.
        value: likewise.
        attention_mask: always None here; anything else is refused.
        scaling: factor on the products of queries and keys.
        cu_seq_lens_q: ``(windows + 1,)`` bounds of the windows, from 0 to ``tokens``.
        dropout: probability of dropping an attention weight.

    Returns:
        ``(1, tokens, heads, width)`` and None for the weights.
    """
    del module
    if attention_mask is not None:
        raise ValueError("attention inside windows takes no mask")
    dtype, kernel = kernel_for(query)
    if kernel != BUCKETS and not dropout:
        query, key, value = (states[0].transpose(0, 1).to(dtype) for states in (query, key, value))
        bounds = _bounds(cu_seq_lens_q)
        output = KERNELS[kernel].attend(query, key, value, bounds, is_causal=False, scaling=scaling)
        return output.unsqueeze(0), None
    outputs = []
    groups, inverse = _windows_by_length(cu_seq_lens_q)
    for tokens, length in groups:
        rows = [_window_rows(states, tokens, length).split(_MAX_WINDOWS) for states in (query, key, value)]
        for rows_q, rows_k, rows_v in zip(*rows, strict=True):
            output = attend(
                rows_q, rows_k, rows_v, mask=None, is_causal=False, scaling=scaling, dropout=dropout
            )
            # (windows, heads, length, width) -> (windows * length, heads, width)
            outputs.append(output.transpose(1, 2).flatten(0, 1))
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return (joined if inverse is None else joined[inverse]).unsqueeze(0), None


def _bounds(bounds: Tensor) -> Bounds:
    """The windows as sequences that attend to themselves."""
    # Every layer asks with the same tensor: the answer stays with it, so that a GPU is waited for once.
    longest: int | None = getattr(bounds, "_gmr_longest", None)
    if longest is None:
        longest = int(bounds.diff().max())
        bounds._gmr_longest = longest  # type: ignore[attr-defined]
    whole = bounds.to(torch.int32)
    return Bounds(whole, whole, longest, longest)


def _window_rows(states: Tensor, tokens: Tensor | None, length: int) -> Tensor:
    """Windows of ``states`` ``(1, heads, tokens, width)`` as rows ``(windows, heads, length, width)``."""
    chosen = states[0] if tokens is None else states[0].index_select(1, tokens)
    return chosen.unflatten(1, (-1, length)).transpose(0, 1)


def _windows_by_length(bounds: Tensor) -> tuple[list[tuple[Tensor | None, int]], Tensor | None]:
    """Token indices of the windows of each distinct length, and the permutation that undoes the grouping.

    Windows of one single length need no reordering: their indices and the permutation are None.
    """
    # Every layer asks with the same tensor: the answer stays with it, so that a GPU is waited for once.
    known: tuple[list[tuple[Tensor | None, int]], Tensor | None] | None = getattr(
        bounds, "_gmr_windows", None
    )
    if known is not None:
        return known
    starts = bounds.tolist()
    lengths = [end - start for start, end in pairwise(starts)]
    distinct = sorted(set(lengths))
    grouping: tuple[list[tuple[Tensor | None, int]], Tensor | None]
    if len(distinct) == 1:
        grouping = ([(None, distinct[0])], None)
    else:
        first_tokens = torch.tensor(starts[:-1])
        all_lengths = torch.tensor(lengths)
        groups: list[Tensor] = [
            (first_tokens[all_lengths == length, None] + torch.arange(length)).flatten()
            for length in distinct
        ]
        inverse = torch.argsort(torch.cat(groups)).to(bounds.device)
        grouping = (
            [(tokens.to(bounds.device), length) for tokens, length in zip(groups, distinct, strict=True)],
            inverse,
        )
    bounds._gmr_windows = grouping  # type: ignore[attr-defined]
    return grouping


# When the module is imported: a model that is unpickled elsewhere asks for it by name.
AttentionInterface.register(WINDOWED_ATTENTION, windowed_attention)
# Without a registered mask function a model runs unmasked in silence; a tower builds no mask, but other code that
# meets this name might.
AttentionMaskInterface.register(WINDOWED_ATTENTION, sdpa_mask)
