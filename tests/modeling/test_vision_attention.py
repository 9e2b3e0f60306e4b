"""Windows of equal length share one attention call, and nothing else changes."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from gmr.modeling import attention, vision_attention
from gmr.modeling.vision_attention import WINDOWED_ATTENTION, use_windowed_attention, windowed_attention
from tests.helpers.tiny_checkpoints import MERGE, PATCH, VISION_ARCHITECTURES, tiny_backbone
from tests.helpers.varlen import cpu_kernel, naive

GRIDS = torch.tensor([[1, 4, 4], [1, 2, 6], [1, 4, 4], [1, 6, 8], [1, 2, 2], [1, 6, 2]])


def pictures(grids: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(int(grids.prod(-1).sum()), 3 * 2 * PATCH * PATCH, generator=generator)


def tower_outputs(backbone: PreTrainedModel, grids: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        output = backbone.model.get_image_features(pictures(grids), grids, return_dict=True)
    features = [*output.pooler_output]
    for level in getattr(output, "deepstack_features", None) or []:
        features += level
    return features


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_the_tower_returns_the_bits_of_the_loop_over_pictures(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MAX_WRITTEN_OUT", 0)  # the loop's kernel
    backbone = tiny_backbone(architecture)
    looped = tower_outputs(backbone, GRIDS)
    use_windowed_attention(backbone)
    batched = tower_outputs(backbone, GRIDS)
    assert len(looped) == len(batched) >= len(GRIDS)
    for expected, actual in zip(looped, batched, strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_attention_written_out_differs_from_the_loop_by_rounding(architecture: str) -> None:
    backbone = tiny_backbone(architecture)
    looped = tower_outputs(backbone, GRIDS)
    use_windowed_attention(backbone)
    for expected, actual in zip(looped, tower_outputs(backbone, GRIDS), strict=True):
        torch.testing.assert_close(expected, actual, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_a_kernel_takes_one_call_per_layer_and_differs_by_rounding(architecture: str) -> None:
    backbone = tiny_backbone(architecture)
    looped = tower_outputs(backbone, GRIDS)
    use_windowed_attention(backbone)
    calls = []

    def counted(*states: Any, is_causal: bool, **options: Any) -> torch.Tensor:
        calls.append(is_causal)
        return naive(*states, is_causal=is_causal, **options)

    with cpu_kernel(counted):
        found = tower_outputs(backbone, GRIDS)
    assert calls == [False] * backbone.config.vision_config.depth
    for expected, actual in zip(looped, found, strict=True):
        torch.testing.assert_close(expected, actual, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_equal_pictures_take_one_attention_call_per_layer(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = tiny_backbone(architecture)
    use_windowed_attention(backbone)
    calls = []
    original = vision_attention.attend

    def counted(*args: torch.Tensor, **kwargs: float) -> torch.Tensor:
        calls.append(args[0].shape[0])
        return original(*args, **kwargs)

    monkeypatch.setattr(vision_attention, "attend", counted)
    tower_outputs(backbone, torch.tensor([[1, 4, 4]] * 12))
    assert calls == [12] * backbone.config.vision_config.depth


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_only_the_vision_tower_changes_its_attention(architecture: str) -> None:
    backbone = tiny_backbone(architecture)
    before = backbone.config.text_config._attn_implementation
    use_windowed_attention(backbone)
    assert backbone.config.vision_config._attn_implementation == WINDOWED_ATTENTION
    assert backbone.config.text_config._attn_implementation == before != WINDOWED_ATTENTION


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=9), st.integers(0, 1000))
def test_windows_see_themselves_only(lengths: list[int], seed: int) -> None:
    """Against softmax attention written out in float64, one window at a time."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 1, 2, sum(lengths), 4, dtype=torch.float64, generator=generator)
    bounds = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    output, _ = windowed_attention(
        torch.nn.Identity(), query, key, value, None, scaling=0.3, cu_seq_lens_q=bounds
    )
    expected = [
        torch.softmax(0.3 * q @ k.mT, dim=-1) @ v
        for q, k, v in zip(*(states[0].split(lengths, dim=1) for states in (query, key, value)), strict=True)
    ]
    assert output.shape == (1, sum(lengths), 2, 4)
    assert torch.allclose(output[0], torch.cat(expected, dim=1).transpose(0, 1), atol=1e-12)


def test_more_windows_than_a_kernel_takes_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = torch.randn(3, 1, 2, 14, 4, generator=torch.Generator().manual_seed(0))
    for bounds in (torch.arange(0, 15, 2), torch.tensor([0, 2, 3, 5, 7, 8, 11, 14])):
        whole, _ = windowed_attention(
            torch.nn.Identity(), query, key, value, None, scaling=0.3, cu_seq_lens_q=bounds
        )
        with monkeypatch.context() as patch:
            patch.setattr(vision_attention, "_MAX_WINDOWS", 2)
            split, _ = windowed_attention(
                torch.nn.Identity(), query, key, value, None, scaling=0.3, cu_seq_lens_q=bounds
            )
        assert torch.equal(split, whole)


def test_gradients_pass_through_the_reordering() -> None:
    states = torch.randn(3, 1, 2, 9, 4, dtype=torch.float64, requires_grad=True)
    bounds = torch.tensor([0, 3, 5, 8, 9])

    def attend(states: torch.Tensor) -> torch.Tensor:
        return windowed_attention(torch.nn.Identity(), *states, None, scaling=0.5, cu_seq_lens_q=bounds)[0]

    assert torch.autograd.gradcheck(attend, (states,))


def test_a_mask_is_refused() -> None:
    states = torch.zeros(1, 1, MERGE, 2)
    with pytest.raises(ValueError, match="no mask"):
        windowed_attention(
            torch.nn.Identity(),
            states,
            states,
            states,
            torch.zeros(1),
            scaling=1.0,
            cu_seq_lens_q=torch.tensor([0, MERGE]),
        )
