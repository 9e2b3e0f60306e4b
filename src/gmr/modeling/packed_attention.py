"""Attention over a packed sequence in which prompts share prefixes; without a layout it is the plain one."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from gmr.modeling.attention import attend
from gmr.modeling.backbones import Backbone
from gmr.modeling.lean_attention import LeanAttention
from gmr.modeling.packing import Layout

PACKED_ATTENTION = "gmr_packed"
# Keyword arguments by which a model asks for attention that is not the plain causal one.
OTHER_KINDS = ("sliding_window", "softcap", "s_aux", "position_bias")

# Keys and values by layer, each (tokens, heads, width), after rotation.
KeptLayers = dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Call:
    """A ``Bucket`` as tensors on the model's device."""

    queries: Tensor
    keys: Tensor
    mask: Tensor | None
    real: Tensor | None
    num_rows: int


@dataclass(frozen=True)
class DeviceLayout:
    """A ``Layout`` on the model's device, with the keys and values that are kept from and for other sequences.

    Attributes:
        calls: the attention calls.
        order: ``(tokens,)`` where each token's output stands among the calls' outputs.
        read: kept prefixes of the sequence, in the order of their parts.
        write: place and length, among the keys, of prefixes to keep, and where to put them.
    """

    calls: tuple[Call, ...]
    order: Tensor
    read: tuple[KeptLayers, ...] = ()
    write: tuple[tuple[int, int, KeptLayers], ...] = field(default=())


def to_device(
    layout: Layout,
    device: torch.device,
    *,
    read: tuple[KeptLayers, ...] = (),
    write: tuple[tuple[int, int, KeptLayers], ...] = (),
) -> DeviceLayout:
    """The layout's indices and masks as tensors."""

    def tensor(values: Any) -> Any:
        return None if values is None else torch.from_numpy(values).to(device, non_blocking=True)

    calls = tuple(
        Call(
            tensor(bucket.queries.reshape(-1)),
            tensor(bucket.keys.reshape(-1)),
            tensor(bucket.mask),
            tensor(bucket.real),
            len(bucket.queries),
        )
        for bucket in layout.buckets
    )
    return DeviceLayout(calls, tensor(layout.order), read, write)


def use_packed_attention(causal_model: Any, facts: Backbone) -> None:
    """Switch the language model (and nothing else) to `packed_attention`, once and for all.

    Around a single forward would be too late: gradient checkpointing computes layers again in the backward pass.
    """
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    # Without a registered mask function padded batches would run unmasked in silence.
    AttentionMaskInterface.register(PACKED_ATTENTION, packed_mask)
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
    states = [_flat(tensor) for tensor in (query, key, value)]
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    if packed_layout.read:
        for index in (1, 2):
            kept = [store[layer][index - 1] for store in packed_layout.read]
            states[index] = torch.cat([*kept, states[index]])
    for place, length, store in packed_layout.write:
        store[layer] = (states[1][place : place + length].clone(), states[2][place : place + length].clone())
    is_plain = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in states)
    if is_plain and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        lean: Tensor = LeanAttention.apply(packed_layout.calls, packed_layout.order, scale, *states)
        return lean.unsqueeze(0), None
    outputs = [_attend(call, *states, scaling=scaling) for call in packed_layout.calls]
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined.index_select(0, packed_layout.order).unsqueeze(0), None


def _is_special(options: dict[str, Any]) -> bool:
    return any(options.get(name) is not None for name in OTHER_KINDS)


def _flat(states: Tensor) -> Tensor:
    """``(1, heads, tokens, width)`` as ``(tokens, heads, width)``."""
    return states[0].transpose(0, 1)


def _attend(call: Call, query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None) -> Tensor:
    """Outputs of a call's real queries, ``(real, heads, width)``."""

    def rows(states: Tensor, places: Tensor) -> Tensor:
        chosen: Tensor = _take(states, places).unflatten(0, (call.num_rows, -1)).transpose(1, 2)
        return chosen

    output = attend(
        rows(query, call.queries),
        rows(key, call.keys),
        rows(value, call.keys),
        mask=call.mask,
        is_causal=True,
        scaling=scaling,
    )
    flat = output.transpose(1, 2).flatten(0, 1)
    return flat if call.real is None else flat.index_select(0, call.real)


def _take(states: Tensor, places: Tensor) -> Tensor:
    """``states[places]`` for ``(tokens, heads, width)``; as a look-up, whose backward pass adds up rows fastest."""
    return torch.nn.functional.embedding(places, states.flatten(1)).unflatten(1, states.shape[1:])
