"""Gradients at the parameters are those of a plain backward pass of the closed-form loss."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gmr.core.errors import ModelError
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.objectives import Objective, build_objective
from gmr.probe.gradients.parameters import choose_parameters, parameter_gradients
from gmr.probe.gradients.states import collate, read_states
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.helpers.tiny_encoders import tiny_encoder
from tests.probe.gradients.groups import coloured_groups
from tests.probe.gradients.models import adapted_model, tiny_model

NAMES = ("sft", "contrastive", "contrastive/yes_minus_no")


def objectives() -> dict[str, Objective]:
    return {name: build_objective(name) for name in NAMES}


def naive(model: RerankModel, batch: dict[str, Any], objective: Objective) -> dict[str, Tensor]:
    """Gradients by one backward pass through one graph."""
    logits = torch.cat([model(**part) for part in batch["passes"]])[batch["order"].argsort()]
    grouped = logits.new_zeros(*batch["mask"].shape, logits.shape[-1])
    grouped[batch["mask"]] = logits
    group = (grouped, batch["labels"], batch["mask"])
    loss = objective.weight.loss(*group) if objective.has_closed_form else objective(*group).surrogate
    parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
    found = torch.autograd.grad(loss, parameters.values(), allow_unused=True, materialize_grads=True)
    return dict(zip(parameters, found, strict=True))


def norm(gradients: dict[str, Tensor]) -> float:
    return sum(float(each.double().square().sum()) for each in gradients.values()) ** 0.5


def dot(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return sum(float((a[name].double() * b[name].double()).sum()) for name in a)


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("tokens_per_pass", [8192, 60])
def test_norms_and_cosines_are_those_of_plain_backward_passes(tie: bool, tokens_per_pass: int) -> None:
    model = tiny_model(tie=tie)
    batch = collate(model, coloured_groups(pictures=True), tokens_per_pass=tokens_per_pass)
    assert (len(batch["passes"]) > 1) is (tokens_per_pass == 60)
    parts = parameter_gradients(model, batch, read_states(model, batch), objectives(), which="all")
    expected = [naive(model, batch, objective) for objective in objectives().values()]
    whole = parts[0]
    assert whole.part == "all"
    for place, (a, found) in enumerate(zip(expected, whole.norms.values(), strict=True)):
        assert found == pytest.approx(norm(a), rel=1e-5)
        for other, b in enumerate(expected):
            assert whole.cosines[place][other] == pytest.approx(dot(a, b) / norm(a) / norm(b), abs=1e-5)
    layer = next(part for part in parts if part.part == "last layer")
    prefix = f"backbone.{model.facts.language}.layers.2."
    last = {name: each for name, each in expected[0].items() if name.startswith(prefix)}
    assert layer.norms["sft"] == pytest.approx(norm(last), rel=1e-5)
    assert layer.num_parameters == sum(each.numel() for each in last.values())


@pytest.mark.parametrize("language_head", [False, True])
def test_of_an_encoder_too_they_are_those_of_plain_backward_passes(language_head: bool) -> None:
    model = load_model(tiny_encoder(language_head=language_head), device="cpu")
    batch = collate(model, coloured_groups())
    parts = parameter_gradients(model, batch, read_states(model, batch), objectives(), which="all")
    found = {part.part: part.norms["sft"] for part in parts}
    expected = naive(model, batch, objectives()["sft"])
    assert found["all"] == pytest.approx(norm(expected), rel=1e-5)
    for part, number in (("first layer", 0), ("last layer", 1)):
        layer = {name: each for name, each in expected.items() if f".layer.{number}." in name}
        assert found[part] == pytest.approx(norm(layer), rel=1e-5)
    alone, *_ = parameter_gradients(model, batch, read_states(model, batch), objectives(), which="last-layer")
    assert alone.norms["sft"] == pytest.approx(found["last layer"], rel=1e-5)


def test_parts_are_of_the_whole_and_a_frozen_head_is_none() -> None:
    model = tiny_model()
    batch = collate(model, coloured_groups())
    parts = parameter_gradients(model, batch, read_states(model, batch), objectives(), which="all")
    assert [part.part for part in parts] == ["all", "embeddings", "vision", "first layer", "last layer"]
    output = model.causal_model.get_output_embeddings().weight
    everything = sum(each.numel() for each in model.parameters())
    assert parts[0].num_parameters == everything - output.numel()
    vision = next(part for part in parts if part.part == "vision")  # the texts show no picture
    assert set(vision.norms.values()) == {0.0}
    assert vision.cosines[0][0] is None


@pytest.mark.parametrize("which", ["auto", "adapter"])
def test_of_a_model_with_an_adapter_that_is_compared(which: str) -> None:
    model = adapted_model()
    label, chosen = choose_parameters(model, which)
    assert label == "adapter"
    assert chosen
    assert all("lora_" in name for name in chosen)
    batch = collate(model, coloured_groups())
    parts = parameter_gradients(model, batch, read_states(model, batch), objectives(), which=which)
    expected = [naive(model, batch, objective) for objective in objectives().values()]
    assert list(parts[0].norms.values()) == pytest.approx([norm(each) for each in expected], rel=1e-5)


def test_the_last_layer_alone_gives_what_it_gives_among_all() -> None:
    model = tiny_model()
    batch = collate(model, coloured_groups())
    states = read_states(model, batch)
    (alone,) = parameter_gradients(model, batch, states, objectives(), which="last-layer")
    among = parameter_gradients(model, batch, states, objectives(), which="all")[-1]
    assert alone.part == among.part == "last layer"
    assert list(alone.norms.values()) == pytest.approx(list(among.norms.values()), rel=1e-6)


def test_what_wants_a_gradient_is_as_before_and_none_is_left() -> None:
    model = tiny_model()
    before = {name: each.requires_grad for name, each in model.named_parameters()}
    batch = collate(model, coloured_groups())
    parameter_gradients(model, batch, read_states(model, batch), objectives(), which="last-layer")
    assert {name: each.requires_grad for name, each in model.named_parameters()} == before
    assert all(each.grad is None for each in model.parameters())


def test_none_asks_for_no_backward_pass() -> None:
    model = tiny_model()
    batch = collate(model, coloured_groups())
    assert parameter_gradients(model, batch, read_states(model, batch), objectives(), which="none") == ()


def test_parameters_that_are_not_there_are_refused() -> None:
    with pytest.raises(ModelError, match="the model has no adapter"):
        choose_parameters(tiny_model(), "adapter")
    with pytest.raises(ValueError, match="parameters is 'some': it must be one of auto, all, adapter"):
        choose_parameters(tiny_model(), "some")
    quantized = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", quantize="int8")
    with pytest.raises(ModelError, match="int8"):
        choose_parameters(quantized, "all")
