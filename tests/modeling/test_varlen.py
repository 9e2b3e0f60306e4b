"""The kernel that fits is used, one that is wrong is not, and every version of torch is called as it wants."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import varlen as torch_varlen

from gmr.modeling import varlen
from gmr.modeling.device_layout import to_device
from gmr.modeling.layout import Span, lay_out
from gmr.modeling.packed_attention import packed_attention
from gmr.modeling.varlen import BUCKETS, HALF, KERNELS, Bounds, Kernel, kernel_for, use_kernel
from tests.helpers.varlen import aligned_at_the_start, cpu_kernel, naive

SPANS = [Span(0, 40), Span(40, 7, 0, 40), Span(47, 30, 0, 40), Span(77, 3), Span(80, 1, 77, 3)]
BOUNDS = Bounds(torch.tensor([0, 3, 8], dtype=torch.int32), torch.tensor([0, 7, 12], dtype=torch.int32), 5, 7)


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    varlen._fitting.cache_clear()
    yield
    varlen._fitting.cache_clear()


def states(width: int = 16, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(tokens, heads, width, generator=generator).to(device, dtype)
        for tokens, heads in ((8, 4), (12, 2), (12, 2))
    ]


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
def test_a_cpu_keeps_the_buckets(dtype: torch.dtype) -> None:
    assert kernel_for(torch.zeros(1, 128, dtype=dtype)) == (dtype, BUCKETS)


@pytest.mark.parametrize("name", ["torch", "flash_attn"])
def test_kernels_take_half_precision_on_gpus_that_have_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(naive, lambda: True)
    assert (kernel.device, kernel.dtypes) == (KERNELS[name].device, KERNELS[name].dtypes) == ("cuda", HALF)
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert kernel.fits(gpu, torch.bfloat16, 128)
    assert not kernel.fits(gpu, torch.float32, 128)
    assert not kernel.fits(gpu, torch.bfloat16, 100)
    assert not kernel.fits(gpu, torch.bfloat16, 264)
    assert not Kernel(naive, lambda: False).fits(gpu, torch.bfloat16, 128)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not kernel.fits(gpu, torch.bfloat16, 128)


def test_the_first_that_fits_and_is_right_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Tensor:
        raise RuntimeError("no kernel image")

    def nan(*states: Any, **options: Any) -> Tensor:
        return naive(*states, **options) * torch.nan

    table = {"broken": broken, "nan": nan, "misaligned": aligned_at_the_start, "right": naive, "later": naive}
    kernels = {name: Kernel(attend, lambda: True, device="cpu") for name, attend in table.items()}
    monkeypatch.setattr(varlen, "KERNELS", kernels)
    assert kernel_for(torch.zeros(1, 8, dtype=torch.bfloat16)) == (torch.bfloat16, "right")
    broken_one, *wrong = caplog.messages
    assert broken_one == "kernel broken cannot be used here and another one is: no kernel image"
    assert [line.split(" here")[0] for line in wrong] == ["kernel nan is wrong", "kernel misaligned is wrong"]
    assert kernel_for(torch.zeros(1, 8)) == (torch.float32, BUCKETS)


def test_autocast_decides_the_type() -> None:
    layout = to_device(lay_out(SPANS, num_tokens=81), torch.device("cpu"))
    query, key, value = torch.randn(3, 1, 2, 81, 8, generator=torch.Generator().manual_seed(0))
    module = torch.nn.Module()
    module.layer_idx = 0  # type: ignore[assignment]
    expected, _ = packed_attention(module, query, key, value, None, packed_layout=layout)
    with cpu_kernel(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = packed_attention(module, query, key, value.bfloat16(), None, packed_layout=layout)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=3e-2, rtol=3e-2)


def test_a_kernel_can_be_asked_for_by_name() -> None:
    half = torch.zeros(1, 8, dtype=torch.bfloat16)
    with (
        pytest.raises(ValueError, match="kernel 'fast' is unknown; known are torch, flash_attn, buckets"),
        use_kernel("fast"),
    ):
        pass
    with use_kernel("torch"):
        assert kernel_for(half)[1] == "torch"
        with use_kernel(BUCKETS):
            assert kernel_for(half)[1] == BUCKETS
        assert kernel_for(half)[1] == "torch"
    assert kernel_for(half)[1] == BUCKETS


def first_version(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    is_causal: bool = False,
    return_aux: Any = None,
) -> Tensor:
    """torch 2.10."""
    bounds = Bounds(cu_seq_q, cu_seq_k, max_q, max_k)
    return naive(query, key, value, bounds, is_causal=is_causal, scaling=None)


def middle_version(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    """Between them: windows say what is causal, and fewer key heads need no option."""
    bounds = Bounds(cu_seq_q, cu_seq_k, max_q, max_k)
    return naive(query, key, value, bounds, is_causal=window_size == (-1, 0), scaling=scale)


def later_version(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    return_aux: Any = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    **only_with_kept_pages: Any,
) -> Tensor:
    """torch 2.13."""
    assert not only_with_kept_pages
    assert enable_gqa == (query.shape[1] != key.shape[1])
    assert window_size in ((-1, 0), (-1, -1))
    bounds = Bounds(cu_seq_q, cu_seq_k, max_q, max_k)
    return naive(query, key, value, bounds, is_causal=window_size == (-1, 0), scaling=scale)


@pytest.mark.parametrize("version", [first_version, middle_version, later_version])
@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_every_version_of_torch_is_called_as_it_wants(
    version: Any, is_causal: bool, scaling: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_varlen, "varlen_attn", version)
    expected = naive(*states(), BOUNDS, is_causal=is_causal, scaling=scaling)
    found = KERNELS["torch"].attend(*states(), BOUNDS, is_causal=is_causal, scaling=scaling)
    torch.testing.assert_close(found, expected)


def test_the_installed_torch_says_causal_in_a_way_that_is_known() -> None:
    assert {"window_size", "is_causal"} & varlen._parameters(torch_varlen.varlen_attn)


@pytest.mark.parametrize("is_causal", [True, False])
def test_flash_attn_is_called_by_its_names(is_causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def flash_attn_varlen_func(q: Tensor, k: Tensor, v: Tensor, **given: Any) -> Tensor:
        names = ("cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k")
        bounds = Bounds(*(given.pop(name) for name in names))
        causal, scale = given.pop("causal"), given.pop("softmax_scale")
        assert not given
        return naive(q, k, v, bounds, is_causal=causal, scaling=scale)

    package = ModuleType("flash_attn")
    package.flash_attn_varlen_func = flash_attn_varlen_func  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", package)
    expected = naive(*states(), BOUNDS, is_causal=is_causal, scaling=0.3)
    found = KERNELS["flash_attn"].attend(*states(), BOUNDS, is_causal=is_causal, scaling=0.3)
    torch.testing.assert_close(found, expected)


def real_kernels() -> list[str]:
    gpu = torch.device("cuda", 0)
    return [name for name, kernel in KERNELS.items() if kernel.fits(gpu, torch.bfloat16, 128)]


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@needs_gpu
def test_real_kernels_align_the_last_query_with_the_last_key() -> None:
    assert "torch" in real_kernels()
    for name in real_kernels():
        query, key, value = states(128, dtype=torch.bfloat16, device="cuda")
        bounds = Bounds(BOUNDS.queries.cuda(), BOUNDS.keys.cuda(), 5, 7)
        for is_causal in (True, False):
            options: dict[str, Any] = {"is_causal": is_causal, "scaling": None}
            found = KERNELS[name].attend(query, key, value, bounds, **options)
            expected = naive(query.cpu(), key.cpu(), value.cpu(), BOUNDS, **options)
            torch.testing.assert_close(found.cpu(), expected, atol=2e-2, rtol=2e-2)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("heads", [(16, 2), (4, 4)])
def test_real_kernels_give_output_and_gradients_of_the_buckets(heads: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, each, 81, 128) for each in (heads[0], heads[1], heads[1])]
    inputs = [torch.randn(shape, generator=generator).to("cuda", torch.bfloat16) for shape in shapes]
    layout = to_device(lay_out(SPANS, num_tokens=81), torch.device("cuda", 0))
    module = torch.nn.Module()
    module.layer_idx = 0  # type: ignore[assignment]

    def there_and_back(name: str) -> list[Tensor]:
        leaves = [each.clone().requires_grad_() for each in inputs]
        with use_kernel(name):
            output, _ = packed_attention(module, *leaves, None, packed_layout=layout)
            output.float().square().sum().backward()
        return [output.float(), *(leaf.grad.float() for leaf in leaves if leaf.grad is not None)]

    expected = there_and_back(BUCKETS)
    assert len(expected) == 4
    for name in real_kernels():
        for found, wanted in zip(there_and_back(name), expected, strict=True):
            assert float((found - wanted).norm()) <= 1e-2 * float(wanted.norm())
