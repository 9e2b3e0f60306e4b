"""Heads: products with the answer rows in float32, frozen or trained, and the other kinds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import ModelError
from gmr.modeling.heads import HEADS, HeadConfig

ROWS = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
HIDDEN = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))


def test_answer_rows_give_the_logits_of_the_full_vocabulary() -> None:
    vocabulary = torch.randn(50, 8, generator=torch.Generator().manual_seed(2))
    head = HeadConfig().build(vocabulary[[7, 3]])
    assert torch.allclose(head(HIDDEN, vocabulary[[7, 3]]), (HIDDEN @ vocabulary.T)[:, [7, 3]], atol=1e-6)


def test_frozen_rows_follow_the_live_ones_and_get_no_gradient() -> None:
    head = HeadConfig().build(ROWS)
    live = (ROWS * 2).requires_grad_()
    hidden = HIDDEN.clone().requires_grad_()
    logits = head(hidden, live)
    assert torch.allclose(logits, 2 * HIDDEN @ ROWS.T, atol=1e-6)
    logits.sum().backward()
    assert live.grad is None
    assert hidden.grad is not None
    assert list(head.parameters()) == []


def test_trained_rows_start_as_the_live_ones_and_then_stand_alone() -> None:
    head = HeadConfig(trainable=True).build(ROWS)
    assert torch.equal(head(HIDDEN, ROWS), HIDDEN @ ROWS.T)
    assert torch.equal(head(HIDDEN, torch.zeros_like(ROWS)), HIDDEN @ ROWS.T)
    head(HIDDEN, ROWS).sum().backward()
    assert torch.allclose(head.rows.grad, HIDDEN.sum(0).expand(2, -1), atol=1e-4)


def test_bfloat16_states_are_scored_in_float32() -> None:
    """A head in bfloat16 would round 200 close scores to a handful."""
    hidden = (1 + torch.arange(200)[:, None] * 1e-2 * ROWS.sum(0)).bfloat16()
    logits = HeadConfig().build(ROWS)(hidden, ROWS.bfloat16())
    assert logits.dtype == torch.float32
    in_half = hidden @ ROWS.bfloat16().mT
    assert len(logits[:, 0].unique()) > len(in_half[:, 0].unique())


def test_a_projection_starts_as_the_answer_rows() -> None:
    plain, projected = HeadConfig().build(ROWS), HeadConfig(kind="projection").build(ROWS)
    assert torch.allclose(plain(HIDDEN, ROWS), projected(HIDDEN, ROWS), atol=1e-6)
    assert [parameter.shape for parameter in projected.parameters()] == [(8, 8)]


def test_the_mlp_is_linear_relu_linear_minus_a_constant() -> None:
    head = HeadConfig(kind="mlp", hidden_size=3, bias=2.65).build(ROWS)
    first, last = head.score[0], head.score[2]
    by_hand = [
        sum(w * max(0.0, float(a)) for w, a in zip(last.weight[0].tolist(), first(row).tolist(), strict=True))
        + last.bias.item()
        - 2.65
        for row in HIDDEN
    ]
    assert head(HIDDEN, ROWS).squeeze(-1).tolist() == pytest.approx(by_hand, abs=1e-5)


def test_the_random_direction_depends_on_the_seed_alone_and_has_the_norm_of_the_rows() -> None:
    one, same, other = (HeadConfig(kind="random_projection", seed=seed).build(ROWS) for seed in (1, 1, 2))
    assert torch.equal(one.direction, same.direction)
    assert not torch.equal(one.direction, other.direction)
    assert one.direction.norm().item() == pytest.approx(float(ROWS.norm(dim=-1).mean()), rel=1e-5)
    assert one.direction.requires_grad


@settings(max_examples=50)
@given(
    kind=st.sampled_from(sorted(HEADS)),
    trainable=st.booleans(),
    hidden_size=st.none() | st.integers(1, 9),
    bias=st.floats(-3, 3),
    seed=st.integers(0, 9),
)
def test_a_head_survives_its_json(
    kind: str, trainable: bool, hidden_size: int | None, bias: float, seed: int
) -> None:
    config = HeadConfig(kind, trainable, hidden_size, bias, seed)
    assert HeadConfig(**config.to_json()) == config
    assert config.build(ROWS)(HIDDEN, ROWS).shape == (5, 1 if kind in ("mlp", "random_projection") else 2)


def test_a_random_direction_without_answer_rows_is_an_error() -> None:
    with pytest.raises(ModelError, match="no answer rows"):
        HeadConfig(kind="random_projection").build(ROWS[:0])


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"'rows' is unknown; known are answer_rows"):
        HeadConfig(kind="rows")
