"""Faster float32 matrix products on CPUs whose faster kernel is as accurate.

``torch.set_float32_matmul_precision("medium")`` allows a CPU to multiply in bfloat16, by oneDNN's kernels.
Where a processor has no fast bfloat16 products, oneDNN keeps float32, and is often faster than the
default (``python -m benchmarks.attention``). Which of both it is cannot be asked, but it can be measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

# Relative error of a product in float32 is about 3e-7, in bfloat16 3e-3.
ALLOWED_ERROR = 2e-6


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """Inside, a CPU multiplies by its fastest kernel of float32 accuracy; on a GPU nothing changes."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if _medium_is_accurate() else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def _medium_is_accurate() -> bool:
    """Whether "medium" keeps float32 accuracy here, on products of the shapes that models make."""
    generator = torch.Generator().manual_seed(0)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        for rows, inner, columns in ((1, 256, 64), (64, 256, 384)):
            left = torch.randn(rows, inner, generator=generator)
            right = torch.randn(columns, inner, generator=generator)
            exact = left.double() @ right.double().T
            error = torch.nn.functional.linear(left, right).double() - exact
            if float(error.norm()) > ALLOWED_ERROR * float(exact.norm()):
                return False
    finally:
        torch.set_float32_matmul_precision(before)
    return True
