"""Attention of rows after prefixes that some of them share, for a CPU in inference: prefixes are read where they are.

A row of its own would need a copy of its prefix's keys and values. Here all rows that share a prefix are the queries
of one product with it, and no mask is laid over what every one of them sees.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gmr.modeling import attention

# Most scores that are held at a time: about what a core's cache holds.
MAX_SCORES = 500_000

# A copy of a prefix costs more than slower products where it is so many times as long as the rows.
MUCH_LONGER = 5

# Rows, and the keys and values ``(tokens, key heads, width)`` of the prefix that they share.
Prefix = tuple[int, Tensor, Tensor]


def reads_in_place(queries: int, prefix: int) -> bool:
    """Whether `attend_after_prefixes` is faster for rows of so many queries than SDPA with copies of the prefix."""
    if attention.HAS_AVX512:
        return attention.is_short(queries, prefix + queries)
    return prefix >= MUCH_LONGER * queries


def attend_after_prefixes(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prefixes: Sequence[Prefix],
    *,
    scaling: float | None,
    num_seen: Tensor | None = None,
) -> Tensor:
    """Outputs ``(rows, length, heads, width)`` of queries that see their prefix and, causally, their own row.

    Without gradients: scores are written over.

    Args:
        query: ``(rows, length, heads, width)``.
        key: ``(rows, own, key heads, width)``, as many as queries; each key head serves as many neighbouring heads.
        value: likewise.
        prefixes: in the order of the rows; together they are of all rows.
        scaling: factor on the products of queries and keys; None for one over the root of the width.
        num_seen: ``(rows, 1)`` how many keys of its own row each query sees, from the first on, in place of causality:
            then there may be more keys than queries.
    """
    longest = max(len(keys) for _, keys, _ in prefixes)
    _, length, heads, _ = query.shape
    own = key.shape[1]
    if num_seen is None:
        unseen = torch.ones(1, own, own, dtype=torch.bool).triu_(1)
    else:
        unseen = (torch.arange(own) >= num_seen)[:, None]
    bias = query.new_zeros(unseen.shape).masked_fill_(unseen, -torch.inf)
    at_a_time = max(1, MAX_SCORES // (heads * length * (longest + own)))
    outputs, done = [], 0
    for chosen in _cut(prefixes, at_a_time):
        rows = slice(done, done + sum(number for number, _, _ in chosen))
        own_bias = bias if num_seen is None else bias[rows]
        outputs.append(_attend(query[rows], key[rows], value[rows], chosen, bias=own_bias, scaling=scaling))
        done = rows.stop
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _cut(prefixes: Sequence[Prefix], num_rows: int) -> Iterator[list[Prefix]]:
    """The same rows, that many at a time."""
    chosen: list[Prefix] = []
    space = num_rows
    for number, keys, values in prefixes:
        left = number
        while left:
            taken = min(left, space)
            chosen.append((taken, keys, values))
            left -= taken
            space -= taken
            if not space:
                yield chosen
                chosen, space = [], num_rows
    if chosen:
        yield chosen


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prefixes: Sequence[Prefix],
    *,
    bias: Tensor,
    scaling: float | None,
) -> Tensor:
    """The same for rows whose scores are held at a time; ``bias`` ``(rows or 1, length or 1, own)``."""
    rows, length, heads, width = query.shape
    own, key_heads = key.shape[1:3]
    shape = (key_heads, rows, heads // key_heads, length)
    # Heads that share a key head, and rows that share a prefix, are more queries of it.
    together = query.unflatten(2, (key_heads, -1)).permute(2, 0, 3, 1, 4).reshape(key_heads, -1, width)
    # With one row or one head that may be a view, and the views below want it as it looks.
    together = together.contiguous() * (width**-0.5 if scaling is None else scaling)
    longest = max(len(keys) for _, keys, _ in prefixes)
    scores = query.new_empty(key_heads, together.shape[1], longest + own)
    per_row = together.shape[1] // rows
    places: list[tuple[slice, Tensor, Tensor]] = []
    done = 0
    for number, keys, values in prefixes:
        places.append((slice(done, done + number * per_row), keys, values))
        done += number * per_row
    for place, keys, _ in places:
        torch.bmm(together[:, place], keys.permute(1, 2, 0), out=scores[:, place, : len(keys)])
        if len(keys) < longest:
            scores[:, place, len(keys) : longest] = -torch.inf
    own_scores = scores[:, :, longest:]
    products = together.view(key_heads, rows, per_row, width) @ key.permute(2, 0, 3, 1)
    torch.add(products.view(*shape, own), bias[:, None], out=own_scores.view(*shape, own))
    torch.softmax(scores, dim=-1, out=scores)
    found = torch.empty_like(together)
    for place, keys, values in places:
        torch.bmm(scores[:, place, : len(keys)], values.transpose(0, 1), out=found[:, place])
    by_row = (key_heads * rows, per_row)
    own_values = value.permute(2, 0, 1, 3).reshape(-1, own, width)
    found.view(*by_row, width).baddbmm_(own_scores.reshape(*by_row, own), own_values)
    return found.view(*shape, width).permute(1, 3, 0, 2, 4).reshape(rows, length, heads, width)
