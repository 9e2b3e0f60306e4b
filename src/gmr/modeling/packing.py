"""Many prompts as one sequence without padding, in which a prefix that prompts share stands once.

    [ prefix A | rest A1 | rest A2 | prefix B | rest B1 | ... ]

This file says who stands where and who attends to whom; ``packed_attention`` does the attending. Nothing here knows a
template: prompts share what their token ids and pictures have in common from the left.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt

from gmr.modeling.processor import Prompt

Indices = npt.NDArray[np.int64]

# Padded (query, key) pairs that are computed in vain rather than making another call; for large models either drowns.
CALL_COST = 16_384
# Most entries of a mask that differs from row to row, and most keys that are gathered for one call.
MAX_MASK = 4_194_304
MAX_KEYS = 131_072


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
class Span:
    """Neighbouring tokens that attend to themselves, causally, and to all tokens of one prefix.

    Attributes:
        start: place of the first token in the sequence.
        length: number of tokens.
        prefix_start: place of the prefix among the keys: kept tokens first, then the sequence.
        prefix_length: tokens of the prefix; 0 for none.
    """

    start: int
    length: int
    prefix_start: int = 0
    prefix_length: int = 0


@dataclass(frozen=True)
class Bucket:
    """Spans of similar length: the rows of one attention call. Each form of it is worked out when it is asked for.

    Attributes:
        spans: its rows.
        num_kept: kept tokens in front of the sequence's own keys.
    """

    spans: tuple[Span, ...]
    num_kept: int = 0

    @property
    def length(self) -> int:
        """Queries of a row."""
        return max(span.length for span in self.spans)

    @property
    def prefix_length(self) -> int:
        """Keys of a row before its own."""
        return max(span.prefix_length for span in self.spans)

    @cached_property
    def queries(self) -> Indices:
        """``(rows, length)`` places in the sequence; a short row repeats its last token."""
        return self._column("start") + np.minimum(np.arange(self.length), self.lengths - 1)

    @cached_property
    def real(self) -> Indices | None:
        """``(real,)`` places in the flattened ``queries`` that are no repetition; None: all are."""
        if self.lengths.min() == self.length:
            return None
        return np.flatnonzero((np.arange(self.length) < self.lengths).reshape(-1))

    @property
    def lengths(self) -> Indices:
        """``(rows, 1)`` tokens of each row that are no repetition."""
        return self._column("length")

    @cached_property
    def keys(self) -> Indices:
        """``(rows, keys)`` places among kept tokens and sequence, prefix first."""
        own = self.queries + self.num_kept
        if not self.prefix_length:
            return own
        steps = np.minimum(np.arange(self.prefix_length), self._column("prefix_length") - 1)
        return np.concatenate([self._column("prefix_start") + steps, own], axis=1)

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_] | None:
        """``(rows or 1, 1, length, keys)``, True where a query sees a key; None: causal, no prefix."""
        if not self.prefix_length:
            return None
        lengths = self._column("prefix_length")
        # Padding at the end of a row needs no mask: only padding comes after it.
        causal = np.tri(self.length, dtype=bool)[None]
        is_prefix = np.arange(self.prefix_length)[None, None] < lengths[..., None]
        if lengths.min() == self.prefix_length:
            is_prefix = is_prefix[:1]
        rows = len(is_prefix)
        parts = (
            np.broadcast_to(is_prefix, (rows, self.length, self.prefix_length)),
            np.broadcast_to(causal, (rows, self.length, self.length)),
        )
        return np.concatenate(parts, axis=2)[:, None]

    @cached_property
    def prefixes(self) -> tuple[tuple[int, int, int], ...]:
        """Number of rows, place and length of the prefixes, as neighbouring rows share them; empty without prefixes."""
        if not self.prefix_length:
            return ()
        found = groupby((span.prefix_start, span.prefix_length) for span in self.spans)
        return tuple((len(list(rows)), start, length) for (start, length), rows in found)

    def _column(self, name: str) -> Indices:
        return np.array([[getattr(span, name)] for span in self.spans])


@dataclass(frozen=True)
class Joined:
    """All spans as the sequences of one variable-length attention call; queries stay where they are.

    Attributes:
        keys: ``(keys,)`` places among kept tokens and sequence, for each span its prefix and then its own tokens;
            None: the sequence's own keys, as they are.
        query_bounds: ``(spans + 1,)`` int32, where each span's queries begin and end.
        key_bounds: likewise for its keys.
        longest_query: most queries of a span.
        longest_key: most keys.
    """

    keys: Indices | None
    query_bounds: npt.NDArray[np.int32]
    key_bounds: npt.NDArray[np.int32]
    longest_query: int
    longest_key: int


@dataclass(frozen=True)
class Layout:
    """Who attends to whom in a packed sequence, for all ways to compute it: each is worked out when it is asked for.

    Attributes:
        spans: who attends to whom; in order, every token of the sequence in one of them.
        num_tokens: length of the sequence.
        num_kept: kept tokens in front of the sequence's own keys.
    """

    spans: tuple[Span, ...]
    num_tokens: int
    num_kept: int = 0

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """Attention calls, few and with little padding; together their real queries are every token once."""
        return tuple(
            Bucket(tuple(self.spans[index] for index in row), self.num_kept) for row in _similar(self.spans)
        )

    @cached_property
    def order(self) -> Indices:
        """``(tokens,)`` for each token of the sequence its place among the buckets' real queries, in order."""
        return self._order_after(self.buckets)

    @cached_property
    def by_prefix(self) -> tuple[Bucket, ...]:
        """The buckets with rows of the same prefix side by side."""
        return tuple(_by_prefix(bucket) for bucket in self.buckets)

    def read_at(self, places: Sequence[int]) -> tuple[Bucket, ...]:
        """For some tokens, what each of them sees, as buckets of spans that end there; rows as for ``by_prefix``."""
        starts = [span.start for span in self.spans]
        spans = [self.spans[bisect_right(starts, place) - 1] for place in places]
        cut = [
            replace(span, length=place + 1 - span.start) for span, place in zip(spans, places, strict=True)
        ]
        return tuple(
            _by_prefix(Bucket(tuple(cut[index] for index in row), self.num_kept)) for row in _similar(cut)
        )

    @cached_property
    def order_by_prefix(self) -> Indices:
        """``order`` for them."""
        return self._order_after(self.by_prefix)

    def _order_after(self, buckets: Sequence[Bucket]) -> Indices:
        flat = np.concatenate(
            [
                bucket.queries.reshape(-1) if bucket.real is None else bucket.queries.reshape(-1)[bucket.real]
                for bucket in buckets
            ]
        )
        order = np.empty(self.num_tokens, dtype=np.int64)
        order[flat] = np.arange(self.num_tokens)
        return order

    @cached_property
    def joined(self) -> Joined:
        """One call of a variable-length kernel."""
        num_queries = np.array([span.length for span in self.spans])
        num_keys = num_queries + np.array([span.prefix_length for span in self.spans])
        keys = None
        if self.num_kept or any(span.prefix_length for span in self.spans):
            keys = np.concatenate([_key_places(span, self.num_kept) for span in self.spans])
        return Joined(
            keys, _bounds(num_queries), _bounds(num_keys), int(num_queries.max()), int(num_keys.max())
        )


def _by_prefix(bucket: Bucket) -> Bucket:
    return replace(bucket, spans=tuple(sorted(bucket.spans, key=lambda span: span.prefix_start)))


def _key_places(span: Span, num_kept: int) -> Indices:
    start = num_kept + span.start
    prefix = np.arange(span.prefix_start, span.prefix_start + span.prefix_length)
    return np.concatenate([prefix, np.arange(start, start + span.length)])


def _bounds(lengths: Indices) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


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


def lay_out(spans: Sequence[Span], *, num_tokens: int, num_kept: int = 0) -> Layout:
    """The spans as a layout, the same for the same spans.

    Raises:
        ValueError: they do not fill the sequence in order.
    """
    place = 0
    for span in spans:
        if span.start != place:
            raise ValueError(f"a span starts at token {span.start}, the one before it ends at {place}")
        place += span.length
    if place != num_tokens:
        raise ValueError(f"spans of {place} tokens do not fill a sequence of {num_tokens}")
    return Layout(tuple(spans), num_tokens, num_kept)


def _similar(spans: Sequence[Span]) -> list[list[int]]:
    """Spans by bucket: sorted by length, a new bucket where padding would cost more than another call."""
    order = sorted(
        range(len(spans)),
        key=lambda index: (bool(spans[index].prefix_length), spans[index].length, spans[index].prefix_length),
    )
    buckets: list[list[int]] = []
    waste = area = shortest = longest = 0
    for index in order:
        span = spans[index]
        own = span.length * (span.prefix_length + span.length)
        if buckets and bool(spans[buckets[-1][0]].prefix_length) == bool(span.prefix_length):
            rows = len(buckets[-1]) + 1
            low, high = min(shortest, span.prefix_length), max(longest, span.prefix_length)
            keys = high + span.length
            padded = rows * span.length * keys
            fits = rows * keys <= MAX_KEYS and (low == high or padded <= MAX_MASK)
            if fits and padded - area - own - waste <= CALL_COST:
                buckets[-1].append(index)
                area, shortest, longest = area + own, low, high
                waste = padded - area
                continue
        buckets.append([index])
        waste, area, shortest, longest = 0, own, span.prefix_length, span.prefix_length
    return buckets
