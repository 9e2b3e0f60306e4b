"""A batch forward and backward in several passes, with the gradient of the whole batch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from gmr.train.pictures import EncodedPictures
from gmr.train.randomness import random_state, set_random_state


def backward_in_passes(
    model: Callable[..., Tensor],
    passes: Sequence[Mapping[str, Any]],
    *,
    loss_of: Callable[[Tensor], Tensor],
    backward: Callable[[Tensor], None],
    device: torch.device,
    deferred: Callable[[], AbstractContextManager[Any]] = nullcontext,
    pictures: EncodedPictures | None = None,
) -> Tensor:
    """Add a batch's gradient to that of the weights, with one pass in memory at a time.

    The loss's gradient with respect to the answer logits is found from a first pass without gradients; then each
    part of the batch is run again and its share sent back. Dropout falls the same way in both.

    Args:
        model: From a pass to its answer logits ``(rows, answers)``.
        passes: Its arguments.
        loss_of: The loss of all answer logits, in the order of the passes.
        backward: Sends a scalar back.
        device: Where the model draws random numbers.
        deferred: The context of every backward pass but the last; a wrapper for several processes reduces there.
        pictures: Those that the passes show, where they do not bring pixels of their own.

    Returns:
        The loss.
    """

    def run(number: int) -> Tensor:
        return model(**passes[number], **(pictures.inputs(number) if pictures else {}))

    states, parts = [], []
    with torch.no_grad():
        for number in range(len(passes)):
            states.append(random_state(device))
            parts.append(run(number))
    logits = torch.cat(parts).requires_grad_()
    loss = loss_of(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    after = random_state(device)
    for number, wanted in enumerate(gradient.split([len(part) for part in parts])):
        set_random_state(states[number], device)
        with deferred() if number < len(passes) - 1 else nullcontext():
            backward((run(number) * wanted).sum())
    if pictures:
        pictures.send_back()
    set_random_state(after, device)
    return loss.detach()
