"""Float32 products that are as exact as float32, and as fast as that allows, whatever torch's defaults are.

``torch.set_float32_matmul_precision("medium")`` allows a CPU to multiply in bfloat16, by oneDNN's kernels.
Where a processor has no fast bfloat16 products, oneDNN keeps float32, and is often faster than the
default (``python -m benchmarks.attention``). Which of both it is cannot be asked, but it can be measured.

On a GPU torch multiplies float32 as float32 by default, but lets cuDNN convolve in TF32: patches of pictures would be
embedded with errors of 1e-3, which differ from batch to batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import torch

# Relative error of a product in float32 is about 3e-7, in bfloat16 3e-3.
ALLOWED_ERROR = 2e-6
# What torch calls them.
IEEE, TF32, UNSET = "ieee", "tf32", "none"


@contextmanager
def float32_products(device: torch.device) -> Iterator[None]:
    """Inside, a CPU multiplies by its fastest kernel of float32 accuracy, and a GPU convolves as it multiplies.

    Who asked for TF32 products, such as by ``training.tf32``, gets them in both.
    """
    if device.type == "cuda":
        with _on_cuda(products=None):
            yield
        return
    if device.type == "cpu" and _medium_is_accurate():
        with _MEDIUM.held():
            yield
        return
    yield


class _Medium:
    """The setting is the process's: the first thread that wants it sets it, the last one restores it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._num_inside = 0
        self._before = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._num_inside:
                self._before = torch.get_float32_matmul_precision()
                torch.set_float32_matmul_precision("medium")
            self._num_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_inside -= 1
                if not self._num_inside:
                    torch.set_float32_matmul_precision(self._before)


_MEDIUM = _Medium()


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """As ``float32_products``, but on a GPU without TF32 whoever asked for it: for checks that compare."""
    if device.type == "cuda":
        with _on_cuda(products=IEEE):
            yield
        return
    with float32_products(device):
        yield


@contextmanager
def _on_cuda(*, products: str | None) -> Iterator[None]:
    """Products as told, or as they are; convolutions likewise."""
    backends: Any = torch.backends  # these settings are not declared in it
    matmul, conv = backends.cuda.matmul, backends.cudnn.conv
    before = matmul.fp32_precision, conv.fp32_precision
    inherited = backends.fp32_precision if before[0] == UNSET else before[0]
    wanted = products or (TF32 if inherited == TF32 else IEEE)
    if products is not None:
        matmul.fp32_precision = products
    conv.fp32_precision = wanted
    try:
        yield
    finally:
        if products is not None:
            matmul.fp32_precision = before[0]
        conv.fp32_precision = before[1]


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
