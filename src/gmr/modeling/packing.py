"""Many prompts as one sequence without padding, in which a prefix that prompts share stands once.

    [ prefix A | rest A1 | rest A2 | prefix B | rest B1 | ... ]

This file says who stands where, and ``layout`` who attends to whom. Nothing here knows a template: prompts share what
their token ids and pictures have in common from the left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gmr.modeling.layout import Layout, Span, lay_out
from gmr.modeling.processor import Prompt


@dataclass(frozen=True)
class Part:
    """Prompts that share their first tokens, as far as one packed sequence holds them.

    Attributes:
        prompts: whole prompts.
        num_shared: tokens that all of them begin with; at least one token of each prompt comes after them.
        is_kept: the shared tokens were in an earlier sequence, and their keys and values are kept.
    """

    prompts: Sequence[Prompt]
    num_shared: int
    is_kept: bool = False


@dataclass(frozen=True)
class PackedSequence:
    """One packed sequence.

    Attributes:
        segments: its stretches of tokens with their pictures, in order, as prompts.
        sources: for each segment the prompt it is cut from and the place of its first token there.
        last: for each prompt, in the order of the parts, the place of its last token.
        prefixes: for each part the place and length of its shared tokens among the keys.
        spans: who attends to whom.
        num_kept: kept tokens before the sequence.
    """

    segments: tuple[Prompt, ...]
    sources: tuple[tuple[Prompt, int], ...]
    last: tuple[int, ...]
    prefixes: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...]
    num_kept: int

    @property
    def num_tokens(self) -> int:
        """Length of the sequence."""
        return sum(span.length for span in self.spans)

    def layout(self) -> Layout:
        """Who attends to whom, on its own."""
        return lay_out(self.spans, num_tokens=self.num_tokens, num_kept=self.num_kept)


def keyed_ids(prompt: Prompt, placeholder: int | None, numbers: Mapping[str, int]) -> list[int]:
    """Token ids in which each picture's placeholders are the picture's own number: equal ids, equal input.

    Args:
        prompt: one prompt.
        placeholder: id of a picture's placeholder; None for a model that reads text only.
        numbers: a negative number for each picture's key.
    """
    if not prompt.images:
        return prompt.input_ids
    ids = list(prompt.input_ids)
    place = 0
    for start, length, number in zip(
        *_runs(ids, placeholder), [numbers[image.key] for image in prompt.images], strict=True
    ):
        place = start + length
        ids[start:place] = [number] * length
    return ids


def _runs(ids: Sequence[int], placeholder: int | None) -> tuple[list[int], list[int]]:
    """Start and length of each run of placeholders; a vision-end token always parts two pictures."""
    is_picture = np.asarray(ids) == placeholder
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_picture, [False]))))
    starts, ends = edges[::2], edges[1::2]
    return starts.tolist(), (ends - starts).tolist()


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of ids that two prompts have in common from the left."""
    longest = min(len(first), len(second))
    if first[:longest] == second[:longest]:
        return longest
    low, high = 0, longest  # halves are compared in C: much faster than id by id
    while high - low > 1:
        middle = (low + high) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle
    return low


def pack(parts: Sequence[Part], *, placeholder: int | None) -> PackedSequence:
    """The parts one after the other.

    Args:
        parts: at least one, each with at least one prompt.
        placeholder: id of a picture's placeholder; None for a model that reads text only.
    """
    segments: list[Prompt] = []
    sources: list[tuple[Prompt, int]] = []
    spans: list[Span] = []
    prefixes: list[tuple[int, int]] = []
    last: list[int] = []
    num_kept = sum(part.num_shared for part in parts if part.is_kept)
    kept = place = 0

    def add(prompt: Prompt, start: int, end: int, prefix: tuple[int, int]) -> None:
        nonlocal place
        segments.append(cut_prompt(prompt, start, end, placeholder))
        sources.append((prompt, start))
        spans.append(Span(place, end - start, *prefix))
        place += end - start

    for part in parts:
        shared = part.num_shared
        if part.is_kept:
            prefix = (kept, shared)
            kept += shared
        else:
            prefix = (num_kept + place, shared)
            if shared:
                add(part.prompts[0], 0, shared, (0, 0))
        prefixes.append(prefix)
        for prompt in part.prompts:
            add(prompt, shared, len(prompt.input_ids), prefix if shared else (0, 0))
            last.append(place - 1)
    return PackedSequence(
        tuple(segments), tuple(sources), tuple(last), tuple(prefixes), tuple(spans), num_kept
    )


def cut_prompt(prompt: Prompt, start: int, end: int, placeholder: int | None) -> Prompt:
    """Tokens ``start`` to ``end`` of a prompt with the pictures that stand there."""
    if not prompt.images:
        return Prompt(prompt.input_ids[start:end])
    starts, _ = _runs(prompt.input_ids, placeholder)
    first, stop = (int(np.searchsorted(starts, place)) for place in (start, end))
    return Prompt(prompt.input_ids[start:end], prompt.images[first:stop], prompt.grids[first:stop])
