"""What a model was asked to do, and what it did: counted where it does it, whatever the engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gmr.modeling.model import RerankModel


@dataclass
class Tally:
    """What was asked for, summed over calls.

    Attributes:
        num_pairs: pairs.
        num_prompt_tokens: tokens of their prompts, each pair on its own.
        num_cut: pairs whose texts were cut to fit.
        num_lost: those of them of whose document nothing was left.
        first_cut: the first pair that was cut, or lost its document, in words.
    """

    num_pairs: int = 0
    num_prompt_tokens: int = 0
    num_cut: int = 0
    num_lost: int = 0
    first_cut: str = ""

    def cuts(self, max_tokens: int) -> str:
        """What was cut, in words; empty where nothing was."""
        if not self.num_cut:
            return ""
        lost = f", {self.num_lost} of them to nothing of the document" if self.num_lost else ""
        return f"{self.num_cut:,} of {self.num_pairs:,} pairs were cut to {max_tokens:,} tokens (max_tokens){lost}"


@dataclass
class Counts:
    """Work of a model: tokens through its language model, patches and pictures through its vision tower."""

    num_tokens: int = 0
    num_patches: int = 0
    num_pictures: int = 0


@contextmanager
def counting(model: RerankModel) -> Iterator[Counts]:
    """Counts what goes through the model inside."""
    counts = Counts()

    def language(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        given = options.get("inputs_embeds")
        given = options.get("input_ids", *arguments[:1]) if given is None else given
        counts.num_tokens += given.shape[0] * given.shape[1]

    def vision(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        counts.num_patches += len(options.get("hidden_states", *arguments[:1]))
        counts.num_pictures += len(options.get("grid_thw", *arguments[1:2]))

    hooks = [model.text_model.register_forward_pre_hook(language, with_kwargs=True)]
    if model.facts.vision:
        tower = model.causal_model.get_submodule(model.facts.vision)
        hooks.append(tower.register_forward_pre_hook(vision, with_kwargs=True))
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()
