"""Which prompts share a prefix, and which share a forward pass. Knows no template."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from gmr.modeling.layout import Indices
from gmr.modeling.packing import Part, common_length, keyed_ids
from gmr.modeling.processor import Prompt


@dataclass(frozen=True)
class SharedGroup:
    """Prompts that are computed with one prefix.

    Attributes:
        rows: places of the prompts, in the order of their ids.
        num_shared: tokens of the prefix.
    """

    rows: tuple[int, ...]
    num_shared: int


def share_prefixes(prompts: Sequence[Prompt], *, placeholder: int | None) -> list[SharedGroup]:
    """Groups in which every prompt occurs once, chosen so that few tokens are computed.

    Sorted by ids, prompts that share a prefix are neighbours: queries before documents or documents before
    queries, it is the same. Any run of neighbours may be a group, with what all of it has in common as prefix.

    Args:
        prompts: any number.
        placeholder: id of a picture's placeholder; None for a model that reads text only.

    Returns:
        The same groups whatever the order of the prompts, but for the rows' numbers.
    """
    if not prompts:
        return []
    names = sorted({image.key for prompt in prompts for image in prompt.images})
    numbers = {key: -1 - index for index, key in enumerate(names)}
    keyed = [keyed_ids(prompt, placeholder, numbers) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda row: (keyed[row], row))
    ids = [keyed[row] for row in order]
    common = np.array([common_length(first, second) for first, second in pairwise(ids)], dtype=np.int64)
    # The last token, where the score is read, is each prompt's own.
    longest = np.array([len(each) - 1 for each in ids], dtype=np.int64)
    return [
        SharedGroup(tuple(order[start:end]), shared) for start, end, shared in _best_runs(common, longest)
    ]


@dataclass
class _Run:
    """Neighbours ``start`` to ``end``: computed with one prefix, or each of its parts for itself."""

    start: int
    end: int
    shared: int
    parts: list["_Run"] = field(default_factory=list)
    saving: int = 0
    whole: bool = True


def _best_runs(common: Indices, longest: Indices) -> list[tuple[int, int, int]]:
    """Runs (start, end, shared tokens) of the sorted prompts that save many tokens.

    A run is either computed with what all of it shares, or cut wherever its neighbours share least: first between
    queries, then between near-equal documents. That is the best there is unless a prompt is worth more in the
    neighbouring run, which saves no more than the little that the two runs share.
    """
    root = _Run(0, len(longest), 0)
    runs, waiting = [root], [root]
    while waiting:
        run = waiting.pop()
        size = run.end - run.start
        if size == 1:
            continue
        inside = common[run.start : run.end - 1]
        least = int(inside.min())
        run.shared = min(least, int(longest[run.start : run.end].min()))
        cuts = [run.start, *(run.start + 1 + np.flatnonzero(inside == least)).tolist(), run.end]
        if len(cuts) - 1 < size:  # else its parts are single prompts, which save nothing
            run.parts = [_Run(start, end, 0) for start, end in pairwise(cuts)]
            runs += run.parts
            waiting += run.parts
    for run in reversed(runs):  # parts come after the run they are parts of
        own = (run.end - run.start - 1) * run.shared
        parts = sum(part.saving for part in run.parts)
        run.saving, run.whole = max(own, parts), own >= parts
    found, waiting = [], [root]
    while waiting:
        run = waiting.pop()
        if run.whole and (run.shared or run.end - run.start == 1):
            found.append((run.start, run.end, run.shared))
        elif run.whole:  # neighbours that share nothing
            found += [(row, row + 1, 0) for row in range(run.start, run.end)]
        else:
            waiting += run.parts
    return sorted(found)


def parts_of(prompts: Sequence[Prompt], *, placeholder: int | None) -> tuple[list[Part], list[int]]:
    """All prompts as parts of one packed sequence, and for each of its prompts the place it had."""
    groups = share_prefixes(prompts, placeholder=placeholder)
    parts = [Part([prompts[row] for row in group.rows], group.num_shared) for group in groups]
    return parts, [row for group in groups for row in group.rows]


@dataclass(frozen=True)
class Piece:
    """The part of a group that one forward pass computes.

    Attributes:
        group: number of the group.
        rows: places of the prompts.
        is_first: whether this pass computes the prefix; no pass does where it is known.
        is_last: whether no later pass needs the prefix.
    """

    group: int
    rows: tuple[int, ...]
    is_first: bool
    is_last: bool


def plan_passes(
    groups: Sequence[SharedGroup],
    lengths: Sequence[int],
    *,
    max_tokens: int,
    max_rows: int,
    known: Collection[int] = (),
) -> list[list[Piece]]:
    """Forward passes of at most ``max_tokens`` new tokens; a group that is larger spans several.

    Args:
        groups: of `share_prefixes`.
        lengths: tokens of each whole prompt.
        max_tokens: most tokens of a pass; a longer prompt is a pass of its own.
        max_rows: most prompts of a pass.
        known: numbers of groups whose prefix is kept from an earlier call, and costs nothing.
    """
    passes: list[list[Piece]] = []
    open_pass: list[Piece] = []
    num_tokens = num_rows = 0

    def close() -> None:
        nonlocal open_pass, num_tokens, num_rows
        if open_pass:
            passes.append(open_pass)
        open_pass, num_tokens, num_rows = [], 0, 0

    def cost(number: int) -> int:
        group = groups[number]
        prefix = 0 if number in known else group.num_shared
        return prefix + sum(lengths[row] - group.num_shared for row in group.rows)

    # The largest first: what does not fit into memory fails at once, and progress never slows down.
    for number in sorted(range(len(groups)), key=lambda number: (-cost(number), number)):
        group = groups[number]
        whole = cost(number)
        if num_tokens + whole > max_tokens or num_rows + len(group.rows) > max_rows:
            close()
        rows = sorted(group.rows, key=lambda row: lengths[row])
        taken: list[int] = []
        is_first = number not in known
        size = group.num_shared if is_first else 0
        for row in rows:
            own = lengths[row] - group.num_shared
            if taken and (num_tokens + size + own > max_tokens or num_rows + len(taken) >= max_rows):
                open_pass.append(Piece(number, tuple(taken), is_first, is_last=False))
                close()
                taken, is_first, size = [], False, 0
            taken.append(row)
            size += own
        open_pass.append(Piece(number, tuple(taken), is_first, is_last=True))
        num_tokens, num_rows = num_tokens + size, num_rows + len(taken)
    close()
    return passes
