"""Packed attention on a CPU that keeps little for the backward pass: no copies of prefixes, no rows.

Every row of a call has a copy of its prefix's keys and values. Kept, as autograd would, they weigh more than anything
else of a layer's attention; here they are gathered again, which takes next to no time.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gmr.modeling.attention import MAX_WRITTEN_OUT_IN_TRAINING, attend, attend_in_turns, turns


class LeanAttention(torch.autograd.Function):
    """Outputs ``(tokens, heads, width)`` of all calls of a layout, in the order of the sequence.

    Arguments are the calls and the order of a ``DeviceLayout``, the factor on products, and queries, keys and values
    ``(tokens, heads, width)``, float32 on a CPU. Numbers are those of ``attend`` for short rows and those of
    ``attend_in_turns`` for others, bit for bit.
    """

    @staticmethod
    def forward(ctx: Any, calls: Any, order: Tensor, scaling: float, *states: Tensor) -> Tensor:
        """The outputs; kept are the states, the outputs and a number per query and head."""
        outputs, sums = [], []
        for call in calls:
            rows = _rows(call, states)
            if _is_short(call):
                output = attend(*rows, mask=call.mask, is_causal=True, scaling=scaling)
            else:
                output, logsumexp = attend_in_turns(*rows, bias=call.bias, scaling=scaling)
                sums.append(logsumexp)
            flat = output.transpose(1, 2).flatten(0, 1)
            outputs.append(flat if call.real is None else flat.index_select(0, call.real))
        joined = torch.cat(outputs).index_select(0, order)
        ctx.save_for_backward(*states, joined, *sums)
        ctx.calls, ctx.scaling = calls, scaling
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the states, call by call."""
        query, key, value, joined, *sums_kept = ctx.saved_tensors  # read once: a checkpoint gives them once
        states, sums = [query, key, value], iter(sums_kept)
        total = [torch.zeros_like(tensor) for tensor in states]
        for call in ctx.calls:
            rows = _rows(call, states)
            wanted = gradient.index_select(0, call.queries)
            if call.real is not None:  # repetitions at the end of a row are nobody's output
                wanted = torch.zeros_like(wanted).index_copy_(0, call.real, wanted.index_select(0, call.real))
            wanted = wanted.unflatten(0, (call.num_rows, -1)).transpose(1, 2)
            if _is_short(call):
                leaves = [tensor.detach().requires_grad_() for tensor in rows]
                with torch.enable_grad():
                    output = attend(*leaves, mask=call.mask, is_causal=True, scaling=ctx.scaling)
                found = torch.autograd.grad(output, leaves, wanted)
            else:
                output = (
                    joined.index_select(0, call.queries).unflatten(0, (call.num_rows, -1)).transpose(1, 2)
                )
                found = _back_in_turns(call, rows, (output, next(sums)), wanted, ctx.scaling)
            for added, part, places in zip(total, found, (call.queries, call.keys, call.keys), strict=True):
                flat = part.transpose(1, 2).flatten(2).flatten(0, 1)
                summed = torch.ops.aten.embedding_dense_backward(flat, places, len(added), -1, False)
                added.add_(summed.unflatten(1, added.shape[1:]))
        return (None, None, None, *total)


def _rows(call: Any, states: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """Queries, keys and values of a call, ``(rows, heads, length, width)`` each."""
    return [
        tensor.index_select(0, places).unflatten(0, (call.num_rows, -1)).transpose(1, 2)
        for tensor, places in zip(states, (call.queries, call.keys, call.keys), strict=True)
    ]


def _is_short(call: Any) -> bool:
    pairs = len(call.queries) // call.num_rows * (len(call.keys) // call.num_rows)
    return bool(pairs <= MAX_WRITTEN_OUT_IN_TRAINING)


def _back_in_turns(
    call: Any, rows: list[Tensor], kept: tuple[Tensor, Tensor], wanted: Tensor, scaling: float
) -> tuple[Tensor, ...]:
    """Gradients of queries, keys and values for those of the outputs; ``kept`` is what `attend_in_turns` gave."""
    query, key, value = rows
    found = []
    for turn in turns(query, key, value, call.bias):
        chosen = (tensor[:, :, turn.queries] for tensor in kept)
        gradients = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            wanted[:, :, turn.queries],
            *turn.rows,
            *chosen,
            0.0,
            turn.bias is None,
            attn_mask=turn.bias,
            scale=scaling,
        )
        found.append((turn.keys, *gradients))
    _, _, total_key, total_value = found[-1]
    for seen, _, by_key, by_value in found[:-1]:
        total_key[:, :, seen] += by_key
        total_value[:, :, seen] += by_value
    return torch.cat([by_query for _, by_query, _, _ in found], dim=2), total_key, total_value
