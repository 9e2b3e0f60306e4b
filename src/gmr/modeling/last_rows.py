"""The last layer's feed-forward part for the tokens alone at which scores are read.

After the last attention nothing looks at the other tokens any more. Not in training: where layers are computed
again for the backward pass, the call that this one belonged to is over, and dropout has to fall the same way twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn

# Places of the tokens and length of the sequence; of this thread's call, whatever others do with the same model.
_READ: ContextVar[tuple[Tensor, int] | None] = ContextVar("gmr_last_rows", default=None)


def follow_last_rows(layer: nn.Module) -> None:
    """Let ``layer.mlp`` heed `only_rows`; a layer without that part goes on as it is.

    Hooks and no new forward function: they belong to the module, also to a copy of it.
    """
    part = getattr(layer, "mlp", None)
    # Two rerankers may share a backbone.
    if part is not None and _take not in part._forward_pre_hooks.values():
        part.register_forward_pre_hook(_take)
        part.register_forward_hook(_put_back)


def ignore_last_rows(layer: nn.Module) -> None:
    """Undo `follow_last_rows`."""
    part = getattr(layer, "mlp", None)
    if part is not None:
        for hooks, own in ((part._forward_pre_hooks, _take), (part._forward_hooks, _put_back)):
            for key in [key for key, hook in hooks.items() if hook is own]:
                del hooks[key]


@contextmanager
def only_rows(places: Tensor, *, num_tokens: int) -> Iterator[None]:
    """Inside, the followed part computes a sequence ``(1, num_tokens, width)`` at ``places`` and gives 0 elsewhere."""
    token = _READ.set((places, num_tokens))
    try:
        yield
    finally:
        _READ.reset(token)


def _take(_: nn.Module, inputs: Any) -> Any:
    read = _READ.get()
    return None if read is None else (inputs[0].index_select(1, read[0]), *inputs[1:])


def _put_back(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
    read = _READ.get()
    if read is None:
        return None
    places, num_tokens = read
    whole = output.new_zeros(output.shape[0], num_tokens, output.shape[2])
    return whole.index_copy_(1, places, output)
