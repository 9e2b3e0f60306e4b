"""Attention over sequences of different lengths in one call: the kernels that there are, and which of them is used.

The last query of a sequence sees all of its keys; causally, each query before it sees one less.
"""

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

logger = logging.getLogger(__name__)

HALF = (torch.bfloat16, torch.float16)
BUCKETS = "buckets"
# bfloat16 is right to 1e-2 here, and another alignment wrong by about 1.
_ALLOWED = 5e-2


@dataclass(frozen=True)
class Bounds:
    """Where each sequence's queries and keys begin and end.

    Attributes:
        queries: ``(sequences + 1,)`` int32, from 0 to the number of queries.
        keys: likewise for keys.
        longest_query: most queries of a sequence.
        longest_key: most keys.
    """

    queries: Tensor
    keys: Tensor
    longest_query: int
    longest_key: int


class Attend(Protocol):
    """Attention of sequences, each within itself."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bounds: Bounds,
        *,
        is_causal: bool,
        scaling: float | None,
    ) -> Tensor:
        """``(queries, heads, width)``; states are ``(tokens, heads, width)``, key heads may be fewer than heads."""


@dataclass(frozen=True)
class Kernel:
    """A variable-length kernel and where it can be used.

    Attributes:
        attend: computes it, forward and backward.
        is_installed: whether it can be imported.
        device: type of device.
        capability: least compute capability of the device.
        dtypes: types of the states.
        max_width: widest head; widths are multiples of 8.
    """

    attend: Attend
    is_installed: Callable[[], bool]
    device: str = "cuda"
    capability: tuple[int, int] = (8, 0)
    dtypes: Sequence[torch.dtype] = HALF
    max_width: int = 256

    def fits(self, device: torch.device, dtype: torch.dtype, width: int) -> bool:
        """Whether it takes such states."""
        return (
            device.type == self.device
            and dtype in self.dtypes
            and width <= self.max_width
            and width % 8 == 0
            and (device.type != "cuda" or torch.cuda.get_device_capability(device) >= self.capability)
            and self.is_installed()
        )


def _torch_varlen(
    query: Tensor, key: Tensor, value: Tensor, bounds: Bounds, *, is_causal: bool, scaling: float | None
) -> Tensor:
    """The kernel of torch. Its options are not the same in all versions: 2.10 has neither scale nor windows."""
    from torch.nn.attention.varlen import varlen_attn

    takes = _parameters(varlen_attn)
    options: dict[str, Any] = {}
    if "scale" in takes:
        options["scale"] = scaling
    elif scaling is not None:
        query = query * (scaling * query.shape[-1] ** 0.5)
    if is_causal:
        options |= {"window_size": (-1, 0)} if "window_size" in takes else {"is_causal": True}
    if "enable_gqa" in takes:
        options["enable_gqa"] = query.shape[1] != key.shape[1]
    output: Any = varlen_attn(
        query, key, value, bounds.queries, bounds.keys, bounds.longest_query, bounds.longest_key, **options
    )
    return output


def _flash_attn(
    query: Tensor, key: Tensor, value: Tensor, bounds: Bounds, *, is_causal: bool, scaling: float | None
) -> Tensor:
    """The kernel of the flash-attn package; from its version 2.1 on causal is aligned at the end."""
    from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found,unused-ignore]

    output: Tensor = flash_attn_varlen_func(
        query,
        key,
        value,
        cu_seqlens_q=bounds.queries,
        cu_seqlens_k=bounds.keys,
        max_seqlen_q=bounds.longest_query,
        max_seqlen_k=bounds.longest_key,
        softmax_scale=scaling,
        causal=is_causal,
    )
    return output


# The first that fits is used; where none does, spans of similar length share a call of SDPA ("buckets").
KERNELS: dict[str, Kernel] = {
    "torch": Kernel(_torch_varlen, lambda: find_spec("torch.nn.attention.varlen") is not None),
    "flash_attn": Kernel(_flash_attn, lambda: find_spec("flash_attn") is not None),
}

_asked: str | None = None


@contextmanager
def use_kernel(name: str) -> Iterator[None]:
    """Inside, attention is computed by the kernel of this name, whatever fits; for measurements and tests.

    Backward passes belong inside as well: gradient checkpointing computes attention again there.

    Args:
        name: a key of ``KERNELS``, or ``buckets``.

    Raises:
        ValueError: there is no such kernel.
    """
    global _asked  # noqa: PLW0603 (threads of the backward pass must see it, so no context variable)
    if name != BUCKETS and name not in KERNELS:
        raise ValueError(f"kernel {name!r} is unknown; known are {', '.join([*KERNELS, BUCKETS])}")
    before, _asked = _asked, name
    try:
        yield
    finally:
        _asked = before


def kernel_for(states: Tensor) -> tuple[torch.dtype, str]:
    """The type in which states are attended to, and the kernel: the one asked for, or the first that fits.

    Args:
        states: ``(..., width)`` queries.

    Returns:
        Under autocast its type, else that of the states; a key of ``KERNELS``, or ``buckets`` for SDPA.
    """
    kind = states.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
    return dtype, _fitting(states.device, dtype, states.shape[-1]) if _asked is None else _asked


@cache
def _fitting(device: torch.device, dtype: torch.dtype, width: int) -> str:
    for name, kernel in KERNELS.items():
        if kernel.fits(device, dtype, width) and _is_right(name, device, dtype, width):
            return name
    return BUCKETS


def _is_right(name: str, device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether the kernel gives what SDPA gives with a mask, on two small sequences with fewer queries than keys."""
    generator = torch.Generator().manual_seed(0)
    lengths = ((3, 7), (5, 5))
    num_queries, num_keys = (sum(column) for column in zip(*lengths, strict=True))
    with torch.no_grad():
        query, key, value = (
            torch.randn(tokens, heads, width, generator=generator).to(device, dtype)
            for tokens, heads in ((num_queries, 4), (num_keys, 2), (num_keys, 2))
        )
        expected = torch.cat(
            [
                _aligned_at_the_end(*states)
                for states in zip(
                    query.split([queries for queries, _ in lengths]),
                    key.split([keys for _, keys in lengths]),
                    value.split([keys for _, keys in lengths]),
                    strict=True,
                )
            ]
        )
        bounds = Bounds(
            torch.tensor([0, 3, 8], dtype=torch.int32, device=device),
            torch.tensor([0, 7, 12], dtype=torch.int32, device=device),
            5,
            7,
        )
        try:
            found = KERNELS[name].attend(query, key, value, bounds, is_causal=True, scaling=None)
        except (RuntimeError, TypeError, ValueError, ImportError) as error:
            logger.warning("kernel %s cannot be used here and another one is: %s", name, error)
            return False
    difference = float((found.float() - expected.float()).abs().max())
    if not difference <= _ALLOWED:  # a NaN is no difference that "greater than" would see
        logger.warning("kernel %s is wrong here by %.2g and another one is used", name, difference)
        return False
    return True


def _aligned_at_the_end(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mask = torch.ones(len(query), len(key), dtype=torch.bool, device=query.device).tril(len(key) - len(query))
    query, key, value = (tensor.transpose(0, 1).unsqueeze(0) for tensor in (query, key, value))
    output: Tensor = scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    return output[0].transpose(0, 1)


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
