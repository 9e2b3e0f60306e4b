"""Who attends to whom in a packed sequence, in every form in which attention is computed.

A sequence is spans of tokens, each of which sees one prefix and itself. Spans of similar length are the rows of one
call, or all of them are the sequences of one call of a variable-length kernel. ``packed_attention`` does the attending.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# Padded (query, key) pairs that are computed in vain rather than making another call; for large models either drowns.
CALL_COST = 16_384
# Most entries of a mask that differs from row to row, and most keys that are gathered for one call.
MAX_MASK = 4_194_304
MAX_KEYS = 131_072


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
