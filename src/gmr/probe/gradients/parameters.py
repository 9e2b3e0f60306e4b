"""The gradient that objectives send into the parameters of a model: one backward pass for each of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from typing import Any

import torch
from torch import Tensor, nn

from gmr.core.errors import ModelError
from gmr.modeling.model import RerankModel
from gmr.modeling.quantization import refuse_quantized
from gmr.objectives import Objective
from gmr.probe.gradients.results import PartGradient
from gmr.probe.gradients.states import States

PARAMETERS: dict[str, str] = {
    "auto": "the adapter of a model that has one, else all of a small model, else the last layer",
    "all": "every parameter that the scores depend on, but for a frozen language-model head",
    "adapter": "LoRA matrices",
    "last-layer": "the last layer of the language model",
    "none": "no backward pass",
}
SMALL = 200_000_000
"""Parameters up to which ``auto`` compares the gradients of all: there is one copy for every objective."""

LAST_LAYER = "last layer"

Named = dict[str, nn.Parameter]


def parameter_gradients(
    model: RerankModel,
    batch: Mapping[str, Any],
    states: States,
    objectives: Mapping[str, Objective],
    *,
    which: str = "auto",
) -> tuple[PartGradient, ...]:
    """Norms and cosines of the objectives' gradients, part by part of the parameters.

    Args:
        model: in evaluation mode, so that both passes over the batch are the same.
        batch: as `collate` gives it.
        states: as `read_states` gives them, of the same batch.
        objectives: by name.
        which: a key of ``PARAMETERS``.

    Raises:
        ModelError: the model is quantized, or has no such parameters.
        ValueError: ``which`` is unknown.
    """
    label, chosen = choose_parameters(model, which)
    if not chosen:
        return ()
    wanted = [logit_gradient(objective, states) for objective in objectives.values()]
    gradients = backward_each(model, batch, wanted, chosen)
    return tuple(
        _part(part, [gradients[name] for name in names], list(objectives))
        for part, names in parts_of(model, chosen, label=label).items()
    )


def choose_parameters(model: RerankModel, which: str) -> tuple[str, Named]:
    """What the chosen parameters are called together, and the parameters by name.

    Raises:
        ModelError: the model is quantized, or has no such parameters.
        ValueError: ``which`` is unknown.
    """
    if which not in PARAMETERS:
        raise ValueError(f"parameters is {which!r}: it must be one of {', '.join(PARAMETERS)}")
    if which == "none":
        return which, {}
    refuse_quantized(model, use="differentiated")
    named = dict(model.named_parameters())
    adapter = {name: each for name, each in named.items() if "lora_" in name}
    head = {name: each for name, each in named.items() if name.startswith("head.")}
    if which == "auto":
        is_small = sum(each.numel() for each in named.values()) <= SMALL
        which = "adapter" if adapter else "all" if is_small else "last-layer"
    if which == "adapter":
        if not adapter:
            raise ModelError(
                "the model has no adapter whose gradients could be compared; ask for another part"
            )
        return "adapter", adapter | head
    if which == "last-layer":
        ids = {id(each) for each in model.layers[-1].parameters()}
        return LAST_LAYER, {name: each for name, each in named.items() if id(each) in ids} | head
    head_above = (
        model.causal_model.get_output_embeddings()
    )  # None of an encoder without a language-model head
    output = None if head_above is None else head_above.weight
    inputs = model.causal_model.get_input_embeddings().weight
    # The answer rows are read from the output matrix without a gradient; tied, it is the input matrix as well.
    return "all", {name: each for name, each in named.items() if each is not output or output is inputs}


def logit_gradient(objective: Objective, states: States) -> Tensor:
    """Gradient ``(prompts, answers)`` of the mean over queries with respect to the answer logits, float32."""
    with torch.no_grad():
        logits = states.head(states.hidden, states.rows)
    logits = logits.detach().requires_grad_()
    group = (logits, states.labels, states.mask, states.teacher)
    with torch.enable_grad():
        loss = objective.weight.loss(*group) if objective.has_closed_form else objective(*group).surrogate
        (gradient,) = torch.autograd.grad(loss, logits)
    return gradient[states.mask]


def backward_each(
    model: RerankModel, batch: Mapping[str, Any], wanted: Sequence[Tensor], chosen: Named
) -> dict[str, Tensor]:
    """Gradients of the chosen parameters, ``(objectives, *shape)`` each, on the CPU in float32.

    Args:
        model: run forward once for each pass of the batch, with a graph.
        batch: as `collate` gives it.
        wanted: for each objective the gradient at the answer logits, ``(prompts, answers)``.
        chosen: parameters by name.
    """
    order: Tensor = batch["order"]
    sums = {
        name: torch.zeros(len(wanted), *parameter.shape, dtype=torch.float32)
        for name, parameter in chosen.items()
    }
    start = 0
    with wanting_gradients(model, chosen), torch.enable_grad():
        for part in batch["passes"]:
            logits = model(**part)
            rows = order[start : start + len(logits)]
            start += len(logits)
            for number, gradient in enumerate(wanted):
                found = torch.autograd.grad(
                    logits,
                    list(chosen.values()),
                    grad_outputs=gradient[rows],
                    retain_graph=number < len(wanted) - 1,
                    allow_unused=True,  # a tower without pictures, the rows of a head that are not read
                )
                for name, each in zip(chosen, found, strict=True):
                    if each is not None:
                        sums[name][number] += each.float().cpu()
    return sums


@contextmanager
def wanting_gradients(model: RerankModel, chosen: Named) -> Iterator[None]:
    """While inside, the chosen parameters want gradients and no others do."""
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    try:
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before[name])


def parts_of(model: RerankModel, chosen: Named, *, label: str = "all") -> dict[str, list[str]]:
    """Names of the chosen parameters by part: all of them under ``label``, then parts that have any and overlap."""
    causal = model.causal_model
    modules = {
        "embeddings": causal.get_input_embeddings(),
        "vision": causal.get_submodule(model.facts.vision) if model.facts.vision else nn.Module(),
        "first layer": model.layers[0],
        LAST_LAYER: model.layers[-1],
        "head": model.head,
    }
    ids = {part: {id(each) for each in module.parameters()} for part, module in modules.items()}
    found = {label: list(chosen)}
    found |= {part: [name for name, each in chosen.items() if id(each) in ids[part]] for part in modules}
    return {part: names for part, names in found.items() if names}


def _part(part: str, gradients: Sequence[Tensor], names: Sequence[str]) -> PartGradient:
    products = torch.zeros(len(names), len(names), dtype=torch.float64)
    for each in gradients:
        rows = each.flatten(1).double()
        products += rows @ rows.mT
    norms = products.diagonal().sqrt()
    cosines = (products / norms[:, None] / norms).clamp(-1.0, 1.0)
    return PartGradient(
        part=part,
        num_parameters=sum(each[0].numel() for each in gradients),
        norms=dict(zip(names, norms.tolist(), strict=True)),
        cosines=tuple(tuple(None if isnan(value) else value for value in row) for row in cosines.tolist()),
    )
