"""Weights of the language model's layers in int8: a quarter of float32's memory, products in the usual precision.

For inference alone. Rounding changes the scores, alike in every engine: by how much, ``gmr bench engine`` says.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gmr.core.errors import ModelError
from gmr.modeling.last_rows import follow_last_rows
from gmr.modeling.model import RerankModel

LARGEST = 127


class Int8Linear(nn.Module):
    """A linear layer whose weight is int8 with one scale for each output; not trained.

    Attributes:
        weight: ``(outputs, inputs)`` int8, from -127 to 127.
        scale: ``(outputs, 1)`` float32; a weight is an integer times its row's scale.
        bias: ``(outputs,)`` in the type of the layer that this one replaces, or None.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight, scale = to_int8(layer.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())
        self.training = False

    def forward(self, inputs: Tensor) -> Tensor:
        """``(..., inputs)`` to ``(..., outputs)``, in the type of the inputs."""
        # The weight is made whole first: in float16, a product with integers up to 127 could overflow.
        return linear(inputs, (self.weight * self.scale).to(inputs.dtype), self.bias)

    def train(self, mode: bool = True) -> "Int8Linear":
        """Evaluation mode alone.

        Raises:
            ModelError: training mode is asked for.
        """
        if mode:
            refuse_quantized(self, use="trained")
        return self


def to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest integers to the weights over their row's scale, and the scales.

    Args:
        weight: ``(outputs, inputs)``, any float dtype, finite.

    Returns:
        ``(outputs, inputs)`` int8 and ``(outputs, 1)`` float32. Their product is at most half a scale from the weight.
    """
    exact = weight.float()
    largest = exact.abs().amax(dim=1, keepdim=True)
    # A row of zeros has any scale; the smallest normal number keeps the quotient finite.
    scale = (largest / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return (exact / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale


def quantize_model(model: RerankModel) -> None:
    """Put int8 weights into the linear layers of the language model's decoder layers, in place.

    Adapters are merged first. Embeddings, norms, heads and the vision tower are left alone, and nothing of the model
    can be trained any more.

    Raises:
        ModelError: a weight is not finite; by name.
    """
    if hasattr(model.backbone, "peft_config"):
        model.backbone = model.backbone.merge_and_unload()
    layers = model.layers
    for name, module in list(layers.named_modules()):
        if not isinstance(module, nn.Linear):
            continue
        if not bool(module.weight.isfinite().all()):
            raise ModelError(f"layers.{name}.weight: not finite, so it cannot be rounded to int8")
        parent, _, child = name.rpartition(".")
        # One after the other: the float weight of a layer is freed before the next is rounded.
        setattr(layers.get_submodule(parent), child, Int8Linear(module))
    if model.packs:  # hooks went with the layers that were replaced
        follow_last_rows(layers[-1])
    model.requires_grad_(False)


def refuse_quantized(model: nn.Module, *, use: str) -> None:
    """Nothing, for a model with float weights.

    Args:
        model: any module.
        use: what it cannot be if it has int8 weights, such as ``saved``.

    Raises:
        ModelError: a layer has int8 weights.
    """
    if any(isinstance(module, Int8Linear) for module in model.modules()):
        raise ModelError(f"a model with int8 weights cannot be {use}; load it without quantize")


def weight_bytes(model: nn.Module) -> int:
    """Memory of all parameters and buffers; what is tied counts once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))


QUANTIZATIONS: dict[str, Callable[[RerankModel], None]] = {"int8": quantize_model}
