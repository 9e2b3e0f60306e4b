"""Attention of a packed sequence by one mask over all of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gmr.modeling.layout import Span


def dense_attention(states: Sequence[Tensor], spans: Sequence[Span]) -> Tensor:
    """Outputs ``(1, tokens, heads, width)``: each token sees its span up to itself, and its span's prefix."""
    query, key, value = states
    mask = torch.zeros(query.shape[2], query.shape[2], dtype=torch.bool)
    for span in spans:
        rows = slice(span.start, span.start + span.length)
        mask[rows, rows] = torch.ones(span.length, span.length, dtype=torch.bool).tril()
        mask[rows, span.prefix_start : span.prefix_start + span.prefix_length] = True
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, enable_gqa=query.shape[1] != key.shape[1]
    )
    return output.transpose(1, 2)
