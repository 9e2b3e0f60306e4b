"""The language model's layers compiled one by one by ``torch.compile``; attention stays as it is.

A layer is matrix products and much small work between them, and the small work is what a compiler joins. Attention
calls follow the layout of a packed sequence: compiled, each layout would be compiled anew.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from gmr.core.errors import ModelError
from gmr.modeling.last_rows import ignore_last_rows
from gmr.modeling.lean_feed_forward import use_plain_feed_forward
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_attention import packed_attention, packed_mask

# A name of its own: other models, loaded later, register the function that is not opaque under the usual one.
OPAQUE_ATTENTION = "gmr_packed_opaque"


def compile_layers(model: RerankModel, *, backend: str | Callable[..., Any] = "inductor") -> None:
    """Let each decoder layer of the language model be compiled when it is first called, for any length.

    Weights, their names and what is saved stay as they are. A process should hold one such model: torch keeps eight
    graphs of a piece of code, whichever model they are for, and computes without a compiler beyond that.

    Args:
        model: changed in place.
        backend: of ``torch.compile``.

    Raises:
        ModelError: the backend is unknown, or there is no compiler for this Python.
    """
    if model.packs:
        AttentionInterface.register(OPAQUE_ATTENTION, torch.compiler.disable(packed_attention))
        AttentionMaskInterface.register(OPAQUE_ATTENTION, packed_mask)
        chosen: Any = {"text_config": OPAQUE_ATTENTION} if model.facts.takes_pictures else OPAQUE_ATTENTION
        model.causal_model.set_attn_implementation(chosen)
    layers = model.layers
    # A compiler would have to see through its hooks and the thread's own state that they read.
    ignore_last_rows(layers[-1])
    use_plain_feed_forward(layers)
    try:
        for layer in layers:
            layer.compile(backend=backend, dynamic=True)
    except RuntimeError as error:
        raise _cannot_compile(error) from error


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Inside, a compiler that fails when a layer is first called is one line.

    Raises:
        ModelError: saying what the compiler lacks.
    """
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException

        if not isinstance(error, TorchDynamoException):
            raise
        raise _cannot_compile(error) from error


def _cannot_compile(error: RuntimeError) -> ModelError:
    cause = str(getattr(error, "inner_exception", None) or error).strip() or type(error).__name__
    return ModelError(f"the layers cannot be compiled here: {cause.splitlines()[0]}; load without compile")
