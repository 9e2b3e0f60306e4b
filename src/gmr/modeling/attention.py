"""Attention of rows: SDPA, or on a CPU for short rows the formula written out, which is faster there.

torch's flash kernel for CPUs works in small blocks. With short rows a matrix product of a block costs more than what
it computes, most of all under ``torch.set_float32_matmul_precision("medium")``, which makes all other products faster:
``python -m benchmarks.attention`` measures it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import scaled_dot_product_attention

# With these instructions torch's kernel multiplies its small blocks slowly: ``python -m benchmarks.attention``.
HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
# Most (query, key) pairs of a row for which the formula is written out: in inference, and in training, where all of
# them are kept for the backward pass.
MAX_WRITTEN_OUT = 65_536 if HAS_AVX512 else 16_384
MAX_WRITTEN_OUT_IN_TRAINING = 16_384
# Fewest queries of a turn, a call of torch's kernel with a mask. With AVX-512 its small blocks are slow, and they are
# small unless a call has that many queries.
MIN_TURN = 768 if HAS_AVX512 else 64


def is_short(queries: int, keys: int) -> bool:
    """Whether the formula is written out for rows of so many queries and keys, float32 on a CPU."""
    return queries * keys <= (MAX_WRITTEN_OUT_IN_TRAINING if torch.is_grad_enabled() else MAX_WRITTEN_OUT)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    is_causal: bool,
    scaling: float | None,
    dropout: float = 0.0,
) -> Tensor:
    """Outputs ``(rows, heads, queries, width)``.

    Args:
        query: ``(rows, heads, queries, width)``.
        key: ``(rows, key heads, keys, width)``; each key head serves as many neighbouring heads.
        value: likewise.
        mask: bool, broadcast to ``(rows, heads, queries, keys)``, True where a query sees a key. A query that sees
            none has a finite output that means nothing.
        is_causal: without a mask: query i sees keys up to i.
        scaling: factor on the products of queries and keys; None for one over the root of the width.
        dropout: probability of dropping an attention weight.
    """
    shares_heads = query.shape[1] != key.shape[1]
    short = is_short(query.shape[2], key.shape[2])
    if query.device.type != "cpu" or not short or query.dtype != torch.float32:
        output: Tensor = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=is_causal and mask is None,
            scale=scaling,
            dropout_p=dropout,
            enable_gqa=shares_heads,
        )
        return output
    rows, heads, queries, width = query.shape
    scale = width**-0.5 if scaling is None else scaling
    # Heads that share a key head are more queries of it: neither keys nor values are repeated.
    together = (query * scale).reshape(rows, key.shape[1], -1, width)
    scores = torch.matmul(together, key.transpose(-1, -2)).view(rows, heads, queries, -1)
    if mask is None and is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        # The lowest number and not minus infinity: rows of padding see nothing, and would be NaN.
        bias = torch.zeros(mask.shape, dtype=scores.dtype)
        scores = scores + bias.masked_fill_(mask.logical_not(), torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    if dropout:
        weights = drop(weights, p=dropout)
    found = torch.matmul(weights.view(rows, key.shape[1], -1, key.shape[2]), value)
    return found.view(rows, heads, queries, -1)


class Turn(NamedTuple):
    """Some queries of rows, the keys that one of them sees, and what the kernel is given of both.

    Attributes:
        queries: which of them.
        keys: which of them; the last turn sees all.
        rows: queries, keys and values, ``(rows, heads, length, width)`` each.
        bias: ``(rows or 1, 1, queries, keys)``; None: causal.
    """

    queries: slice
    keys: slice
    rows: tuple[Tensor, Tensor, Tensor]
    bias: Tensor | None


def turns(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Iterator[Turn]:
    """Queries at a time, in order, together all of them.

    A kernel with a mask computes what it hides as well. The first queries of a row do not see its last keys: what is
    computed in vain for 400 queries after 91 keys is two fifths in one turn, and a tenth in six. Without a mask it
    knows what is hidden, and one turn is all.

    Args:
        query: ``(rows, heads, queries, width)``.
        key: ``(rows, key heads, keys, width)``; the last of them are the queries' own.
        value: likewise.
        bias: ``(rows or 1, 1, queries, keys)``, minus infinity where a query does not see a key, else 0.
    """
    if bias is None:
        yield Turn(slice(None), slice(None), (query, key, value), None)
        return
    num_queries, num_keys = query.shape[2], key.shape[2]
    number = max(1, num_queries // MIN_TURN)
    for start, end in pairwise(num_queries * turn // number for turn in range(number + 1)):
        own, seen = slice(start, end), slice(num_keys - num_queries + end)
        yield Turn(own, seen, (query[:, :, own], key[:, :, seen], value[:, :, seen]), bias[:, :, own, seen])


def attend_in_turns(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor]:
    """Attention by torch's kernel for CPUs; arguments as for `turns`, ``scaling`` a factor on products.

    Returns:
        Outputs ``(rows, heads, queries, width)``, and for the backward pass the logarithms of the sums of exponentials
        ``(rows, heads, queries)``.
    """
    outputs, sums = [], []
    for turn in turns(query, key, value, bias):
        output, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            *turn.rows, 0.0, turn.bias is None, attn_mask=turn.bias, scale=scaling
        )
        outputs.append(output.transpose(1, 2))  # as it lies in memory
        sums.append(logsumexp)
    if len(sums) == 1:
        return outputs[0].transpose(1, 2), sums[0]
    return torch.cat(outputs, dim=1).transpose(1, 2), torch.cat(sums, dim=2)
