"""The last layer in inference for the tokens alone at which scores are read: queries, attention, all that follows.

Keys and values are computed for all tokens. After the last attention nothing looks at the others any more. Not in
training: where layers are computed again for the backward pass, the call that this one belonged to is over, and dropout
has to fall the same way twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn

# Places of the tokens, length of the sequence, and the layer's modules that heed them; of this thread's call, whatever
# others do with the same model.
_READ: ContextVar[tuple[Tensor, int, frozenset[int]] | None] = ContextVar("gmr_last_rows", default=None)
# Parts of a layer whose output at a token depends on their input there alone.
PARTS = ("self_attn.q_proj", "self_attn.o_proj", "mlp")
# What marks the layer's attention.
_FOLLOWS = "_gmr_follows_last_rows"


def follow_last_rows(layer: nn.Module) -> None:
    """Let the ``PARTS`` of a layer heed `only_rows`; a layer without them goes on as it is.

    Hooks and no new forward function: they belong to the module, also to a copy of it.
    """
    for part in _parts(layer):
        # Two rerankers may share a backbone.
        if _take not in part._forward_pre_hooks.values():
            part.register_forward_pre_hook(_take)
            part.register_forward_hook(_put_back)
    attention = getattr(layer, "self_attn", None)
    if attention is not None:
        setattr(attention, _FOLLOWS, True)


def ignore_last_rows(layer: nn.Module) -> None:
    """Undo `follow_last_rows`."""
    for part in _parts(layer):
        for hooks, own in ((part._forward_pre_hooks, _take), (part._forward_hooks, _put_back)):
            for key in [key for key, hook in hooks.items() if hook is own]:
                del hooks[key]
    attention = getattr(layer, "self_attn", None)
    if attention is not None:
        vars(attention).pop(_FOLLOWS, None)


@contextmanager
def only_rows(layer: nn.Module, places: Tensor, *, num_tokens: int) -> Iterator[None]:
    """Inside, the layer's followed parts compute a sequence ``(1, num_tokens, width)`` at ``places``, 0 elsewhere.

    Marks may be on other layers as well: on a copy that was put behind this one, or on one that was moved.
    """
    modules = [*_parts(layer), getattr(layer, "self_attn", None)]
    token = _READ.set((places, num_tokens, frozenset(map(id, modules))))
    try:
        yield
    finally:
        _READ.reset(token)


def rows_read(attention: nn.Module) -> Tensor | None:
    """``(places,)`` at which alone the output of this attention is read; None: at all tokens."""
    read = _READ.get()
    is_meant = read is not None and id(attention) in read[2] and hasattr(attention, _FOLLOWS)
    return read[0] if read is not None and is_meant else None


def _parts(layer: nn.Module) -> list[nn.Module]:
    modules = dict(layer.named_modules())
    return [modules[name] for name in PARTS if name in modules]


def _take(part: nn.Module, inputs: Any) -> Any:
    read = _READ.get()
    if read is None or id(part) not in read[2]:
        return None
    return (inputs[0].index_select(1, read[0]), *inputs[1:])


def _put_back(part: nn.Module, _: Any, output: Tensor) -> Tensor | None:
    read = _READ.get()
    if read is None or id(part) not in read[2]:
        return None
    places, num_tokens, _ = read
    whole = output.new_zeros(output.shape[0], num_tokens, output.shape[2])
    return whole.index_copy_(1, places, output)
