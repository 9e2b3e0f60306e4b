"""Attention written out is SDPA's, and products are fast only where they are exact enough."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from gmr.modeling import attention, precision
from gmr.modeling.attention import attend, attend_in_turns, turns
from gmr.modeling.precision import exact_products, float32_products


def states(queries: int, keys: int, heads: int, key_heads: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(queries + keys)
    shapes = [(3, heads, queries, 8), (3, key_heads, keys, 8), (3, key_heads, keys, 8)]
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float32).requires_grad_() for shape in shapes
    ]


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("kind", ["causal", "mask", "mask by row", "all"])
def test_outputs_and_gradients_are_those_of_sdpa(kind: str, key_heads: int) -> None:
    ours = states(5, 5 if kind == "causal" else 9, 4, key_heads)
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    mask = None
    if kind.startswith("mask"):
        mask = torch.ones(3 if kind == "mask by row" else 1, 1, 5, 9, dtype=torch.bool).tril(4)
        mask[..., 2] = kind == "mask"
    found = attend(*ours, mask=mask, is_causal=kind == "causal", scaling=0.3)
    expected = scaled_dot_product_attention(
        *theirs, attn_mask=mask, is_causal=kind == "causal", scale=0.3, enable_gqa=key_heads != 4
    )
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    for output in (found, expected):
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_long_rows_and_other_types_go_through_sdpa(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(query: torch.Tensor, *rest: torch.Tensor, **options: object) -> torch.Tensor:
        calls.append(query.dtype)
        return query

    monkeypatch.setattr(attention, "scaled_dot_product_attention", counted)
    monkeypatch.setattr(attention, "MAX_WRITTEN_OUT", 20)
    with torch.no_grad():
        attend(*states(4, 5, 2, 2), mask=None, is_causal=False, scaling=None)
        assert not calls
        attend(*states(5, 5, 2, 2), mask=None, is_causal=True, scaling=None)
        half = [tensor.bfloat16() for tensor in states(2, 2, 2, 2)]
        attend(*half, mask=None, is_causal=True, scaling=None)
    assert calls == [torch.float32, torch.bfloat16]
    monkeypatch.setattr(attention, "MAX_WRITTEN_OUT_IN_TRAINING", 19)
    attend(*states(4, 5, 2, 2), mask=None, is_causal=False, scaling=None)
    assert len(calls) == 3, "with gradients, all pairs are kept until the backward pass"


@given(st.integers(1, 5000), st.integers(1, 800))
def test_turns_are_all_queries_in_order_and_none_is_short(queries: int, least: int) -> None:
    query, key = torch.zeros(1, 1, queries, 1), torch.zeros(1, 1, queries + 7, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "MIN_TURN", least)
        found = list(turns(query, key, key, torch.zeros(1, 1, 1, 1).expand(1, 1, queries, queries + 7)))
    assert [index for turn in found for index in range(queries)[turn.queries]] == list(range(queries))
    lengths = [turn.rows[0].shape[2] for turn in found]
    assert min(lengths) >= min(least, queries)
    assert max(lengths) <= 2 * least
    for turn in found:
        assert turn.rows[1].shape[2] == 7 + turn.queries.stop
        assert turn.bias is not None
        assert turn.bias.shape[2:] == (turn.rows[0].shape[2], turn.rows[1].shape[2])


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("prefix", [0, 5])
@pytest.mark.parametrize("rows", [1, 3], ids=["one mask", "a mask for each row"])
def test_queries_in_turns_see_what_they_see_at_once(
    rows: int, prefix: int, key_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MIN_TURN", 2)
    given_states = [tensor.detach() for tensor in states(9, prefix + 9, 4, key_heads)]
    bias = torch.zeros(rows, 1, 9, prefix + 9)
    bias.masked_fill_(torch.ones(9, prefix + 9, dtype=torch.bool).triu(prefix + 1), -torch.inf)
    if prefix:
        bias[-1, :, :, 3:prefix] = -torch.inf  # the last row's prefix is shorter
    found, sums = attend_in_turns(*given_states, bias=bias, scaling=0.3)
    query, key, value = (tensor.double() for tensor in given_states)
    key, value = (tensor.repeat_interleave(4 // key_heads, dim=1) for tensor in (key, value))
    scores = query @ key.transpose(-1, -2) * 0.3 + bias
    torch.testing.assert_close(found.double(), scores.softmax(dim=-1) @ value, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(sums.double(), scores.logsumexp(dim=-1), atol=1e-6, rtol=1e-5)


def test_in_turns_less_is_computed_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MIN_TURN", 64)
    query, key, value = states(400, 491, 2, 2)
    found = list(turns(query, key, value, torch.zeros(1, 1, 400, 491)))
    computed = sum(turn.rows[0].shape[2] * turn.rows[1].shape[2] for turn in found)
    seen = 400 * 91 + 400 * 401 // 2
    assert len(found) == 6
    assert computed <= 1.15 * seen < 0.7 * 400 * 491


def test_a_query_that_sees_nothing_is_finite_and_spoils_no_gradient() -> None:
    query, key, value = states(3, 3, 2, 2)
    mask = torch.ones(3, 1, 3, 3, dtype=torch.bool).tril()
    mask[0, :, :2] = False
    output = attend(query, key, value, mask=mask, is_causal=False, scaling=None)
    output[0, :, 2].sum().backward()
    assert output.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in (query, key, value))


def test_dropout_drops_weights() -> None:
    query, key, value = states(4, 6, 2, 2)
    options = {"mask": None, "is_causal": False, "scaling": None}
    assert not torch.equal(
        attend(query, key, value, dropout=0.5, **options), attend(query, key, value, **options)
    )


def test_products_inside_are_as_exact_as_float32_and_the_setting_is_restored() -> None:
    before = torch.get_float32_matmul_precision()
    left, right = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(1))
    with float32_products(torch.device("cpu")):
        found = left @ right
    exact = left.double() @ right.double()
    assert float((found - exact).norm()) <= precision.ALLOWED_ERROR * float(exact.norm())
    assert torch.get_float32_matmul_precision() == before


def test_a_kernel_that_loses_accuracy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.nn.functional.linear

    def rounded(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return original(left.bfloat16(), right.bfloat16()).float()

    precision._medium_is_accurate.cache_clear()
    monkeypatch.setattr(torch.nn.functional, "linear", rounded)
    try:
        with float32_products(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
    finally:
        precision._medium_is_accurate.cache_clear()


def precisions() -> tuple[str, str]:
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


def test_a_gpu_keeps_its_products_and_convolves_as_it_multiplies() -> None:
    before = precisions()
    assert before[1] == "tf32"  # the default that makes scores depend on the batch
    with float32_products(torch.device("cuda")):
        assert precisions() == (before[0], "ieee")
        assert torch.get_float32_matmul_precision() == "highest"
    assert precisions() == before


@pytest.mark.parametrize("where", [torch.backends, torch.backends.cuda.matmul], ids=["all", "products"])
def test_who_asked_for_tf32_gets_it_except_in_checks(where: Any) -> None:
    matmul = torch.backends.cuda.matmul
    at_first = where.fp32_precision, matmul.fp32_precision
    matmul.fp32_precision = (
        "none"  # as in a fresh process: torch's own answer to earlier tests is a setting here
    )
    where.fp32_precision = "tf32"
    try:
        before = precisions()
        with float32_products(torch.device("cuda")):
            assert precisions() == (before[0], "tf32")
            with exact_products(torch.device("cuda")):
                assert precisions() == ("ieee", "ieee")
            assert precisions() == (before[0], "tf32")
        assert precisions() == before
    finally:
        where.fp32_precision, matmul.fp32_precision = at_first


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_convolution_on_a_gpu_is_as_exact_as_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    patches, kernel = (torch.randn(rows, 3, 14, 14, generator=generator) for rows in (512, 256))
    exact = torch.nn.functional.conv2d(patches.double(), kernel.double()).flatten()
    with float32_products(torch.device("cuda")):
        found = torch.nn.functional.conv2d(patches.cuda(), kernel.cuda()).cpu().double().flatten()
    assert float((found - exact).norm()) <= 2e-6 * float(exact.norm())
