"""A variable-length kernel for CPUs: a loop over sequences, each with its mask written out, in float64."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from gmr.modeling.varlen import KERNELS, Bounds, Kernel, use_kernel


def naive(
    query: Tensor, key: Tensor, value: Tensor, bounds: Bounds, *, is_causal: bool, scaling: float | None
) -> Tensor:
    """What kernels compute; the longest lengths must be right, too."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    lengths = [
        [end - start for start, end in pairwise(each.tolist())] for each in (bounds.queries, bounds.keys)
    ]
    assert [max(each) for each in lengths] == [bounds.longest_query, bounds.longest_key]
    assert [sum(each) for each in lengths] == [len(query), len(key)] == [len(query), len(value)]
    assert bounds.queries.dtype == bounds.keys.dtype == torch.int32
    repeats = query.shape[1] // key.shape[1]
    outputs = []
    for q, k, v in zip(query.split(lengths[0]), key.split(lengths[1]), value.split(lengths[1]), strict=True):
        all_k, all_v = (states.double().repeat_interleave(repeats, 1) for states in (k, v))
        weights = scale * torch.einsum("qhw,khw->hqk", q.double(), all_k)
        if is_causal:
            hidden = torch.arange(len(q))[:, None] + len(k) - len(q) < torch.arange(len(k))
            weights = weights.masked_fill(hidden, -torch.inf)
        outputs.append(torch.einsum("hqk,khw->qhw", weights.softmax(-1), all_v).to(query.dtype))
    return torch.cat(outputs)


def aligned_at_the_start(*states: Any, is_causal: bool, **options: Any) -> Tensor:
    """The mistake that a kernel can make: the first query sees the first key only."""
    query, key, value, bounds = states
    del is_causal
    cut = [
        (start, start + end - begin)
        for (start, _), (begin, end) in zip(
            pairwise(bounds.keys.tolist()), pairwise(bounds.queries.tolist()), strict=True
        )
    ]
    key, value = (torch.cat([each[start:end] for start, end in cut]) for each in (key, value))
    square = Bounds(bounds.queries, bounds.queries, bounds.longest_query, bounds.longest_query)
    return naive(query, key, value, square, is_causal=True, **options)


@contextmanager
def cpu_kernel(attend: Any = naive) -> Iterator[None]:
    """Inside, all attention goes through ``attend``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KERNELS, "on the CPU", Kernel(attend, lambda: True, device="cpu"))
        with use_kernel("on the CPU"):
            yield
