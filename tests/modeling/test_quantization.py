"""int8 weights are the nearest there are, in every engine alike, and nobody trains or saves them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gmr.core.errors import ModelError
from gmr.inference.scoring import score_pairs
from gmr.metrics.agreement import kendall_tau
from gmr.modeling.adapters import add_lora
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.quantization import Int8Linear, to_int8, weight_bytes
from gmr.modeling.saving import save_model
from gmr.modeling.self_check import check_model, check_packed
from gmr.suites import load as load_suite
from gmr.train.recipe import load_recipe
from gmr.train.trainable import choose_trainable
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, build_tiny_checkpoint, tiny_checkpoint


def load(architecture: str, **options: Any) -> RerankModel:
    return load_model(tiny_checkpoint(architecture), device="cpu", **options)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 40)),
    magnitude=st.sampled_from([1e-30, 1e-3, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_no_weight_is_more_than_half_a_step_off(
    seed: int, shape: tuple[int, int], magnitude: float, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = (magnitude * torch.randn(shape, generator=generator)).to(dtype)
    weight[0] = 0
    integers, scale = to_int8(weight)
    assert integers.dtype == torch.int8
    assert int(integers.min()) >= -127
    error = (integers.double() * scale.double() - weight.double()).abs()
    assert bool((error <= scale.double() / 2 * (1 + 1e-4)).all())
    rows = slice(1, None)  # a row's largest weight is the largest integer: no step is wasted
    assert bool((integers[rows].abs().amax(dim=1) == 127).all())
    assert not integers[0].any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_are_those_of_a_float_model_with_rounded_weights(architecture: str) -> None:
    """The linear layers of the decoder layers, which are those that LoRA adapts, and nothing else is rounded."""
    model = load(architecture)
    expected = 0
    for name, module in model.causal_model.named_modules():
        if re.fullmatch(model.facts.lora_targets, name):
            weight = module.weight.detach().numpy()
            step = np.abs(weight).max(axis=1, keepdims=True) / np.float32(127)
            module.weight.data = torch.from_numpy(np.rint(weight / step) * step)
            expected += 1
    quantized = load(architecture, quantize="int8")
    layers = [name for name, m in quantized.causal_model.named_modules() if isinstance(m, Int8Linear)]
    assert len(layers) == expected == 7 * model.config.get_text_config().num_hidden_layers
    pairs = pairs_for(architecture)
    rounded = score_pairs(model, pairs, engine="padded")
    np.testing.assert_allclose(score_pairs(quantized, pairs, engine="padded"), rounded, atol=1e-5, rtol=5e-6)
    exact = score_pairs(load(architecture), pairs, engine="padded")
    assert 1e-4 < np.abs(rounded - exact).max() < 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_engine_proves_itself_at_load(architecture: str, dtype: str) -> None:
    model = load(architecture, quantize="int8", dtype=dtype)
    assert model.engine == "packed"
    check_model(model)
    check_packed(model)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_engines_agree_as_in_float32(architecture: str) -> None:
    model, pairs = load(architecture, quantize="int8"), pairs_for(architecture)
    packed = score_pairs(model, pairs, engine="packed", batch_tokens=700)
    np.testing.assert_allclose(packed, score_pairs(model, pairs, engine="padded"), atol=1e-5, rtol=5e-6)


def test_memory_is_a_byte_for_a_weight_and_a_float_for_a_row() -> None:
    model, quantized = load("qwen2_5_vl"), load("qwen2_5_vl", quantize="int8")
    layers = [
        module
        for name, module in model.causal_model.named_modules()
        if re.fullmatch(model.facts.lora_targets, name)
    ]
    saved = sum(3 * module.weight.numel() - 4 * module.out_features for module in layers)
    assert weight_bytes(model) - weight_bytes(quantized) == saved > 0
    whole = sum(p.numel() for p in model.parameters()) * 4 + sum(b.numel() for b in model.buffers()) * 4
    assert weight_bytes(model) == whole


def test_float16_does_not_overflow_where_integers_would() -> None:
    layer = torch.nn.Linear(1024, 1, bias=False, dtype=torch.float16)
    layer.weight.data.fill_(0.01)
    inputs = torch.ones(1, 1024, dtype=torch.float16)
    assert float(Int8Linear(layer)(inputs)) == pytest.approx(10.24, rel=1e-3)  # 127 * 1024 is no float16


def test_the_order_of_real_data_is_kept() -> None:
    """gmr-nano on 2 queries of each of the nine tasks: tau at least 0.95 for each query, 0.985 in the mean."""
    model = load_model("gmr-nano", device="cpu")
    quantized = load_model("gmr-nano", device="cpu", quantize="int8")
    taus, largest = [], 0.0
    for task in load_suite("glyphs", limit=2):
        for query_id, candidates in task.first_stage.items():
            pairs = [(task.queries[query_id], task.corpus[doc_id]) for doc_id in candidates]
            exact, rounded = score_pairs(model, pairs), score_pairs(quantized, pairs)
            taus.append(kendall_tau(exact, rounded))
            largest = max(largest, float(np.abs(exact - rounded).max()))
    assert len(taus) == 18
    assert all(tau is not None and tau >= 0.95 for tau in taus), taus
    assert np.mean([tau for tau in taus if tau is not None]) >= 0.985
    assert 1e-3 < largest < 0.5, "log-odds that spread by 2 to 7"


def test_an_adapter_is_merged_before_the_rounding(tmp_path: Path) -> None:
    base = tiny_checkpoint("qwen3")
    adapted = load_model(base, device="cpu")
    add_lora(adapted, rank=4, alpha=8.0)
    torch.manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapter = save_model(adapted, tmp_path / "adapter", base_model=str(base))
    merged = save_model(adapted, tmp_path / "merged", merge_adapter=True)
    pairs = pairs_for("qwen3")
    scores = score_pairs(load_model(adapter, device="cpu", quantize="int8"), pairs)
    assert np.array_equal(scores, score_pairs(load_model(merged, device="cpu", quantize="int8"), pairs))
    assert np.abs(scores - score_pairs(load_model(base, device="cpu", quantize="int8"), pairs)).max() > 0.01


def test_who_would_train_or_save_it_is_refused(tmp_path: Path) -> None:
    model = load("qwen3", quantize="int8")
    assert not [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    with pytest.raises(ModelError, match="a model with int8 weights cannot be trained; load it without"):
        model.train()
    with pytest.raises(ModelError, match="cannot be trained"):
        choose_trainable(model, load_recipe("gmr-nano-sft", []), mixed_precision=False)
    with pytest.raises(ModelError, match="cannot be given adapters"):
        add_lora(model)
    with pytest.raises(ModelError, match="cannot be saved"):
        save_model(model, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_another_rounding_is_refused() -> None:
    with pytest.raises(ModelError, match="quantize 'int4' is unknown; known are int8"):
        load("qwen3", quantize="int4")


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    folder = build_tiny_checkpoint(tmp_path / "model", "qwen3")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][2, 3] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight: not finite"):
        load_model(folder, device="cpu", quantize="int8", self_check=False)
