"""A layout on the model's device, and the keys and values that are kept from and for other sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gmr.modeling.layout import Bucket, Layout
from gmr.modeling.varlen import Bounds

# Keys and values by layer, each (tokens, heads, width), after rotation.
KeptLayers = dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Call:
    """A ``Bucket`` as tensors on the model's device."""

    bucket: Bucket
    device: torch.device

    @property
    def num_rows(self) -> int:
        """Rows of the call."""
        return len(self.bucket.spans)

    @cached_property
    def queries(self) -> Tensor:
        """``(rows x length,)``."""
        return _tensor(self.bucket.queries.reshape(-1), self.device)

    @cached_property
    def keys(self) -> Tensor:
        """``(rows x keys,)``."""
        return _tensor(self.bucket.keys.reshape(-1), self.device)

    @cached_property
    def mask(self) -> Tensor | None:
        """``(rows or 1, 1, length, keys)``."""
        return None if self.bucket.mask is None else _tensor(self.bucket.mask, self.device)

    @cached_property
    def bias(self) -> Tensor | None:
        """The mask as float32 numbers to add: 0, or minus infinity where a query does not see a key."""
        mask = self.mask
        if mask is None:
            return None
        return torch.zeros(mask.shape, device=self.device).masked_fill_(mask.logical_not(), -torch.inf)

    @cached_property
    def real(self) -> Tensor | None:
        """``(real,)``."""
        return None if self.bucket.real is None else _tensor(self.bucket.real, self.device)


@dataclass(frozen=True)
class JoinedCall:
    """A ``Joined`` as tensors on the model's device."""

    keys: Tensor | None
    bounds: Bounds


@dataclass(frozen=True)
class DeviceLayout:
    """A ``Layout`` on the model's device, with the keys and values that are kept from and for other sequences.

    Attributes:
        layout: who attends to whom.
        device: where its tensors go when the first layer asks for them.
        read: kept prefixes of the sequence, in the order of their parts.
        write: place and length, among the keys, of prefixes to keep, and where to put them.
    """

    layout: Layout
    device: torch.device
    read: tuple[KeptLayers, ...] = ()
    write: tuple[tuple[int, int, KeptLayers], ...] = field(default=())

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The calls of SDPA, or of the formula written out."""
        return tuple(Call(bucket, self.device) for bucket in self.layout.buckets)

    @cached_property
    def order(self) -> Tensor:
        """``(tokens,)`` where each token's output stands among the calls' outputs."""
        return _tensor(self.layout.order, self.device)

    @cached_property
    def calls_by_prefix(self) -> tuple[Call, ...]:
        """The calls with rows of the same prefix side by side."""
        return tuple(Call(bucket, self.device) for bucket in self.layout.by_prefix)

    @cached_property
    def order_by_prefix(self) -> Tensor:
        """``order`` for them."""
        return _tensor(self.layout.order_by_prefix, self.device)

    @cached_property
    def joined(self) -> JoinedCall:
        """The one call of a variable-length kernel."""
        joined = self.layout.joined
        return JoinedCall(
            None if joined.keys is None else _tensor(joined.keys, self.device),
            Bounds(
                _tensor(joined.query_bounds, self.device),
                _tensor(joined.key_bounds, self.device),
                joined.longest_query,
                joined.longest_key,
            ),
        )


def _tensor(values: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def to_device(
    layout: Layout,
    device: torch.device,
    *,
    read: tuple[KeptLayers, ...] = (),
    write: tuple[tuple[int, int, KeptLayers], ...] = (),
) -> DeviceLayout:
    """The layout for a model on ``device``; ``read`` and ``write`` as for `DeviceLayout`."""
    return DeviceLayout(layout, device, read, write)


class Keys:
    """Keys and values of one layer: those of kept prefixes, and behind them the sequence's own.

    Args:
        kept: keys and values by kept prefix, ``(tokens, heads, width)`` each.
        own: keys and values of the sequence, likewise.
    """

    def __init__(self, kept: Sequence[tuple[Tensor, Tensor]], own: tuple[Tensor, Tensor]) -> None:
        self.kept = kept
        self.own = own

    @cached_property
    def together(self) -> tuple[Tensor, Tensor]:
        """All of them, one behind the other."""
        if not self.kept:
            return self.own
        keys, values = (torch.cat(parts) for parts in zip(*self.kept, self.own, strict=True))
        return keys, values

    def at(self, start: int, length: int) -> tuple[Tensor, Tensor]:
        """Those from ``start`` on, as views where they are of one prefix or of the sequence."""
        first = 0
        for part in (*self.kept, self.own):
            place, first = start - first, first + len(part[0])
            if start < first:
                if start + length <= first:
                    return part[0][place : place + length], part[1][place : place + length]
                break
        keys, values = self.together
        return keys[start : start + length], values[start : start + length]
