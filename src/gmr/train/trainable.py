"""Which parameters of a model are trained, and how fast each."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from gmr.core.errors import ConfigError
from gmr.modeling.adapters import add_lora
from gmr.modeling.model import RerankModel
from gmr.modeling.quantization import refuse_quantized
from gmr.train.optimizers import is_for_muon
from gmr.train.recipe import Recipe

PROJECTORS = ("merger", "deepstack_merger_list")
"""Modules of a Qwen vision tower that map its states to the width of the language model."""


def choose_trainable(model: RerankModel, recipe: Recipe, *, mixed_precision: bool) -> None:
    """Freeze, wrap and cast a model in place, as the recipe's ``lora``, ``freeze`` and ``model`` say.

    The LM head's own matrix is never trained: its answer rows belong to the head, which has a copy when
    ``head.trainable`` is on. Tied embeddings are trained unless ``freeze.embeddings`` is on.

    Args:
        model: The model as it was loaded.
        recipe: The recipe.
        mixed_precision: Whether the training loop runs the model under autocast.

    Raises:
        ConfigError: Full fine-tuning of half-precision weights, or a recipe that leaves nothing to train.
        ModelError: Adapters that match no layer, or a base that has adapters already or int8 weights.
    """
    refuse_quantized(model, use="trained")
    if recipe.lora.enabled:
        lora = recipe.lora
        add_lora(model, rank=lora.r, alpha=lora.alpha, dropout=lora.dropout, targets=lora.targets)
    else:
        freeze(model, recipe)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ConfigError(f"recipe {recipe.name!r}: everything is frozen, nothing is left to train")
    half = [parameter for parameter in trained if parameter.dtype != torch.float32]
    if half and not mixed_precision:
        raise ConfigError(
            f"recipe {recipe.name!r}: weights in model.dtype = {recipe.model.dtype!r} would lose small "
            "updates; use float32, or training.bf16 = true, which trains a float32 copy"
        )
    if recipe.model.gradient_checkpointing:
        checkpoint_activations(model)
    for parameter in half:
        parameter.data = parameter.data.float()


def checkpoint_activations(model: RerankModel) -> None:
    """Compute the activations of every layer again in the backward pass, in place of keeping them."""
    model.causal_model.gradient_checkpointing_enable({"use_reentrant": False})
    # transformers makes embeddings want a gradient, patches of pictures included, for the sake of reentrant
    # checkpoints. Every gradient would go on through a tower that is frozen, in vain.
    model.causal_model.disable_input_require_grads()


def freeze(model: RerankModel, recipe: Recipe) -> None:
    """Freeze the LM head's own matrix and the parts of the backbone that the recipe names."""
    base: Any = model.causal_model
    embeddings = base.get_input_embeddings().weight
    output = base.get_output_embeddings()  # None of an encoder without a language-model head
    if output is not None and output.weight is not embeddings:
        output.weight.requires_grad_(False)
    if recipe.freeze.embeddings:
        embeddings.requires_grad_(False)
    if model.facts.vision is None:
        return
    for name, parameter in base.get_submodule(model.facts.vision).named_parameters():
        is_projector = name.split(".")[0] in PROJECTORS
        if recipe.freeze.projector if is_projector else recipe.freeze.vision_tower:
            parameter.requires_grad_(False)


def trains_tower(model: RerankModel) -> bool:
    """Whether a gradient is wanted of anything in the vision tower, its projector included."""
    if model.facts.vision is None:
        return False
    tower = model.causal_model.get_submodule(model.facts.vision)
    return any(parameter.requires_grad for parameter in tower.parameters())


def part_of(model: RerankModel, name: str) -> str:
    """The part a parameter belongs to, by its name in the model: ``head``, ``vision`` or ``language``."""
    if name.startswith("head."):
        return "head"
    tower = (model.facts.vision or "").rpartition(".")[-1]
    return "vision" if tower and f".{tower}." in name else "language"


def parameter_groups(
    model: RerankModel,
    *,
    decayed: Collection[str],
    weight_decay: float,
    learning_rate: float,
    learning_rates: Mapping[str, float],
    muon: bool = False,
) -> list[dict[str, Any]]:
    """The trained parameters as optimizer groups, one for each learning rate and weight decay in use.

    Args:
        model: The model, frozen as wanted.
        decayed: Names of the parameters that weight decay is for.
        weight_decay: Decay of those; the others get none.
        learning_rate: Of all parts that ``learning_rates`` does not name.
        learning_rates: By part: ``head``, ``vision``.
        muon: Keep the matrices that Muon takes apart from the others, and say so in each group.
    """
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = learning_rates.get(part_of(model, name), learning_rate)
            key = (rate, weight_decay if name in decayed else 0.0, muon and is_for_muon(name, parameter))
            groups.setdefault(key, []).append(parameter)
    # The rate that is logged is the first group's: let that be the recipe's main one.
    ordered = sorted(groups.items(), key=lambda group: group[0][0] != learning_rate)
    return [
        {"params": params, "lr": rate, "weight_decay": decay, **({"muon": for_muon} if muon else {})}
        for (rate, decay, for_muon), params in ordered
    ]
