"""Which prompts of a batch go through the model together, where not all of them fit at once."""

import sys
from collections.abc import Sequence

from gmr.inference.batching import token_budget_batches
from gmr.inference.planner import SharedGroup, share_prefixes
from gmr.modeling.processor import Prompt


def cut_packed(
    prompts: Sequence[Prompt], *, placeholder: int | None, max_tokens: int | None, max_rows: int | None
) -> list[list[SharedGroup]]:
    """The groups of each packed pass; prompts that share a prefix stay together as far as a pass holds them.

    Gradients flow through a prefix, so that none is kept: every pass computes its own. The largest passes come
    first: what does not fit into memory fails at once.

    Args:
        prompts: At least one.
        placeholder: Id of a picture's placeholder; None for a model that reads text only.
        max_tokens: Most tokens of a pass, each prefix counted once; a longer prompt is a pass of its own. None is
            no limit.
        max_rows: Most prompts of a pass; None is no limit.
    """
    groups = share_prefixes(prompts, placeholder=placeholder)
    if max_tokens is None and max_rows is None:
        return [groups]
    most_tokens, most_rows = max_tokens or sys.maxsize, max_rows or sys.maxsize
    lengths = [len(prompt.input_ids) for prompt in prompts]
    pieces = [
        piece
        for group in groups
        for piece in _pieces(group, lengths, max_tokens=most_tokens, max_rows=most_rows)
    ]
    pieces.sort(key=lambda piece: (-num_new_tokens(piece, lengths), piece.rows))
    passes: list[list[SharedGroup]] = []
    left: list[tuple[int, int]] = []
    for piece in pieces:
        tokens, rows = num_new_tokens(piece, lengths), len(piece.rows)
        place = next((n for n, room in enumerate(left) if tokens <= room[0] and rows <= room[1]), len(left))
        if place == len(left):
            passes.append([])
            left.append((most_tokens, most_rows))
        passes[place].append(piece)
        left[place] = (left[place][0] - tokens, left[place][1] - rows)
    return passes


def num_new_tokens(group: SharedGroup, lengths: Sequence[int]) -> int:
    """Tokens that go through the model for a group: its prefix once, and what each prompt has of its own."""
    return group.num_shared + sum(lengths[row] - group.num_shared for row in group.rows)


def _pieces(
    group: SharedGroup, lengths: Sequence[int], *, max_tokens: int, max_rows: int
) -> list[SharedGroup]:
    """The group, or parts of it that fit; prompts of similar length stay together."""
    if len(group.rows) <= max_rows and num_new_tokens(group, lengths) <= max_tokens:
        return [group]
    pieces: list[list[int]] = []
    room = 0
    for row in sorted(group.rows, key=lambda row: -lengths[row]):
        own = lengths[row] - group.num_shared
        if not pieces or own > room or len(pieces[-1]) >= max_rows:
            pieces.append([])
            room = max_tokens - group.num_shared
        pieces[-1].append(row)
        room -= own
    # A prompt alone shares nothing.
    return [SharedGroup(tuple(rows), group.num_shared if len(rows) > 1 else 0) for rows in pieces]


def cut_padded(
    lengths: Sequence[int], *, max_tokens: int | None, max_rows: int | None, length_groups: int = 1
) -> list[list[int]]:
    """The rows of each padded pass.

    Args:
        lengths: Tokens of each prompt.
        max_tokens: Most rows times longest row of a pass, the longest rows first; a longer prompt is a pass of its
            own. None is no limit.
        max_rows: Most rows of a pass, in their order where there is no other limit; None is no limit.
        length_groups: Without limits: parts of about equal length, the shortest rows first.
    """
    rows = list(range(len(lengths)))
    if max_tokens is not None:
        return token_budget_batches(
            lengths, max_tokens_per_batch=max_tokens, max_rows=len(rows) if max_rows is None else max_rows
        )
    size = max_rows or len(rows)
    if max_rows is None and length_groups > 1:
        rows.sort(key=lengths.__getitem__)
        size = -(-len(rows) // length_groups)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
