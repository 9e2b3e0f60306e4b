"""Memory of a process that trains on a CPU, given back to the system as it goes."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

EVERY = 3


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


class GiveBackMemory(TrainerCallback):
    """Every few steps the C library gives free memory back.

    Hardly two packed batches are of one length, so freed blocks seldom fit again, and glibc keeps them: the small
    model's training would grow with every step.
    """

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Trim, on a CPU."""
        del control, kwargs
        trim = _malloc_trim()
        if args.device.type == "cpu" and state.global_step % EVERY == 0 and trim is not None:
            trim(0)
