"""Attention over a packed sequence in which prompts share prefixes; without a layout it is the plain one."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from gmr.modeling.attention import attend, attend_in_turns, is_short
from gmr.modeling.backbones import Backbone
from gmr.modeling.device_layout import Call, DeviceLayout, Keys
from gmr.modeling.last_rows import rows_read
from gmr.modeling.lean_attention import LeanAttention
from gmr.modeling.prefix_attention import attend_after_prefixes, reads_in_place
from gmr.modeling.varlen import BUCKETS, KERNELS, kernel_for

PACKED_ATTENTION = "gmr_packed"
# Keyword arguments by which a model asks for attention that is not the plain causal one.
OTHER_KINDS = ("sliding_window", "softcap", "s_aux", "position_bias")


def use_packed_attention(causal_model: Any, facts: Backbone) -> None:
    """Switch the language model (and nothing else) to `packed_attention`, once and for all.

    Around a single forward would be too late: gradient checkpointing computes layers again in the backward pass.
    """
    chosen: Any = {"text_config": PACKED_ATTENTION} if facts.takes_pictures else PACKED_ATTENTION
    causal_model.set_attn_implementation(chosen)


def packed_mask(
    *, attention_mask: Tensor | None = None, q_length: int, kv_length: int, **options: Any
) -> Tensor | None:
    """SDPA's mask; none where nothing is padded or cached, which is causal attention or a packed sequence."""
    if attention_mask is None and q_length == kv_length:
        return None
    mask: Tensor | None = sdpa_mask(
        attention_mask=attention_mask, q_length=q_length, kv_length=kv_length, **options
    )
    return mask


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed_layout: DeviceLayout | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Every token attends to its prefix and, causally, to its own span.

    Args:
        module: the calling layer; its ``layer_idx`` names its kept keys and values.
        query: ``(1, heads, tokens, width)``.
        key: ``(1, key heads, tokens, width)``.
        value: likewise.
        attention_mask: of a padded batch; None with a layout.
        scaling: factor on the products of queries and keys.
        dropout: refused with a layout when it is not 0.
        packed_layout: who attends to whom; None for an ordinary call.
        options: of SDPA.

    Returns:
        ``(1, tokens, heads, width)`` and None for the weights.

    Raises:
        NotImplementedError: with a layout, anything but plain causal attention.
    """
    if packed_layout is None:
        if attention_mask is None or attention_mask.dtype != torch.bool or _is_special(options):
            output, _ = sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
            )
            return output, None
        plain = attend(
            query, key, value, mask=attention_mask, is_causal=False, scaling=scaling, dropout=dropout
        )
        return plain.transpose(1, 2).contiguous(), None
    asked = [name for name in OTHER_KINDS if options.get(name) is not None]
    if dropout or asked or attention_mask is not None:
        found = ", ".join([*asked, *["dropout"] * bool(dropout), *["a mask"] * (attention_mask is not None)])
        raise NotImplementedError(f"packed attention is plain causal attention; the model asks for {found}")
    query, key, value = (_flat(tensor) for tensor in (query, key, value))
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    for place, length, store in packed_layout.write:
        own = slice(place - packed_layout.layout.num_kept, place - packed_layout.layout.num_kept + length)
        store[layer] = (key[own].clone(), value[own].clone())
    keys = Keys([store[layer] for store in packed_layout.read], (key, value))
    # Under autocast SDPA would cast by itself; queries and keys are float32 there after rotation, values are not.
    dtype, kernel = kernel_for(query)
    if kernel != BUCKETS:
        joined = packed_layout.joined
        key, value = keys.together
        if joined.keys is not None:
            key, value = (_take(tensor, joined.keys) for tensor in (key, value))
        query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
        output = KERNELS[kernel].attend(query, key, value, joined.bounds, is_causal=True, scaling=scaling)
    elif query.device.type != "cpu" or dtype != torch.float32:
        calls, order = packed_layout.calls, packed_layout.order
        output = _in_order([_attend(call, query, *keys.together, scaling) for call in calls], order)
    elif torch.is_grad_enabled():
        output = LeanAttention.apply(packed_layout.calls, packed_layout.order, scaling, query, *keys.together)
    elif (places := rows_read(module)) is not None:
        output = _attend_at(places, packed_layout, query, keys, scaling)
    else:
        calls, order = packed_layout.calls_by_prefix, packed_layout.order_by_prefix
        output = _in_order([_attend_by_prefix(call, query, keys, scaling) for call in calls], order)
    return output.unsqueeze(0), None


def _is_special(options: dict[str, Any]) -> bool:
    return any(options.get(name) is not None for name in OTHER_KINDS)


def _flat(states: Tensor) -> Tensor:
    """``(1, heads, tokens, width)`` as ``(tokens, heads, width)``."""
    return states[0].transpose(0, 1)


def _in_order(outputs: list[Tensor], order: Tensor) -> Tensor:
    together = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return together.index_select(0, order)


def _attend(call: Call, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Outputs of a call's real queries, ``(real, heads, width)``."""
    places = (call.queries, call.keys, call.keys)
    rows = [
        _rows(call, states, chosen).transpose(1, 2)
        for states, chosen in zip((query, key, value), places, strict=True)
    ]
    has_kernel = query.device.type == "cpu" and query.dtype == torch.float32
    if has_kernel and not is_short(rows[0].shape[2], rows[1].shape[2]):
        output, _ = attend_in_turns(*rows, bias=call.bias, scaling=scaling)
    else:
        output = attend(*rows, mask=call.mask, is_causal=True, scaling=scaling)
    return _real(call, output.transpose(1, 2))


def _attend_by_prefix(call: Call, query: Tensor, keys: Keys, scaling: float) -> Tensor:
    """The same, in inference on a CPU, without copies of prefixes where that is faster."""
    bucket = call.bucket
    if not bucket.prefixes or not reads_in_place(bucket.length, bucket.prefix_length):
        return _attend(call, query, *keys.together, scaling)
    prefixes = [(number, *keys.at(start, length)) for number, start, length in bucket.prefixes]
    query, key, value = (_rows(call, tensor, call.queries) for tensor in (query, *keys.own))
    return _real(call, attend_after_prefixes(query, key, value, prefixes, scaling=scaling))


def _attend_at(places: Tensor, layout: DeviceLayout, query: Tensor, keys: Keys, scaling: float) -> Tensor:
    """Outputs ``(tokens, heads, width)`` in inference on a CPU, computed at ``places`` ``(reads,)`` and 0 elsewhere."""
    output = torch.zeros_like(query)
    for bucket in layout.layout.read_at(places.tolist()):
        own, num_seen = torch.from_numpy(bucket.queries), torch.from_numpy(bucket.lengths)
        last = own[:, -1]
        rows = query.index_select(0, last).unsqueeze(1)
        key, value = (_take(tensor, own.flatten()).unflatten(0, own.shape) for tensor in keys.own)
        if bucket.prefixes:
            prefixes = [(number, *keys.at(start, length)) for number, start, length in bucket.prefixes]
            found = attend_after_prefixes(rows, key, value, prefixes, scaling=scaling, num_seen=num_seen)
        else:
            mask = (torch.arange(own.shape[1]) < num_seen)[:, None, None]
            heads_first = (tensor.transpose(1, 2) for tensor in (rows, key, value))
            found = attend(*heads_first, mask=mask, is_causal=False, scaling=scaling).transpose(1, 2)
        output.index_copy_(0, last, found[:, 0])
    return output


def _rows(call: Call, states: Tensor, places: Tensor) -> Tensor:
    """``(rows, length, heads, width)``."""
    chosen: Tensor = _take(states, places).unflatten(0, (call.num_rows, -1))
    return chosen


def _real(call: Call, output: Tensor) -> Tensor:
    """Outputs of real queries, ``(real, heads, width)``, from those of all rows, ``(rows, length, heads, width)``."""
    flat = output.flatten(0, 1)
    return flat if call.real is None else flat.index_select(0, call.real)


def _take(states: Tensor, places: Tensor) -> Tensor:
    """``states[places]`` for ``(tokens, heads, width)``; as a look-up, whose backward pass adds up rows fastest."""
    return torch.nn.functional.embedding(places, states.flatten(1)).unflatten(1, states.shape[1:])


# When the module is imported: a model that is unpickled elsewhere asks for it by name.
AttentionInterface.register(PACKED_ATTENTION, packed_attention)
# Without a registered mask function padded batches would run unmasked in silence.
AttentionMaskInterface.register(PACKED_ATTENTION, packed_mask)
