"""First stages of the suites: candidates from words, looks and examples, by a retriever that knows no answer.

Text meets text by BM25, picture meets picture by their looks. What does not meet directly (text and picture, a
German text and a Chinese one) meets through examples, the concepts of the training split: those nearest to the
query lend what they look like, or are called, on the documents' side. The lent pictures come from other albums than
the documents where there are others. No parameter is learnt, and judgments are no argument of anything here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gmr.suites.albums import Albums
from gmr.suites.draws import lot
from gmr.suites.lexical import bm25
from gmr.suites.looks import LIKENESS, Integers, Looks, likeness, stack
from gmr.suites.pieces import Page, Picture, Pieces, Search, Words

NUM_NEAREST = 8
JOINING_LANGUAGE = "en"
"""Several pictures are also looked for by the names of the examples nearest to each, in this language."""
FULL = 1000
"""Similarities of one query piece to the documents run from 0 to this."""


@dataclass(frozen=True)
class Examples:
    """Concepts that may be known, each in all its forms, in one order.

    Attributes:
        texts: language -> what each is called and found by.
        names: what each is called in ``JOINING_LANGUAGE``.
        pictures: album -> what each looks like.
    """

    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Sequence[str] = ()
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Channel:
    """Texts of one language, or pictures of one album."""

    is_text: bool
    name: str


class Retriever:
    """Candidates of queries by similarity to documents, piece by piece.

    Args:
        albums: where pictures are.
        examples: what joins channels that do not meet directly.
    """

    def __init__(self, albums: Albums, examples: Examples) -> None:
        self._albums = albums
        self._examples = examples
        self._features: dict[Picture, Integers] = {}
        self._looks: dict[str, Looks] = {}
        self._vectors: dict[str, NDArray[np.float64]] = {}

    def run(self, search: Search) -> dict[str, dict[str, float]]:
        """The most similar documents of each query; scores are thousandths.

        A query with pictures and words is as near as the sum over its pieces; a document with several pictures
        (a page) is as near as the nearest of them, one with pictures and words as both together. Every query has
        as many candidates: those that nothing speaks for are drawn by lot, with score 0.
        """
        queries, documents = search.queries, search.documents
        doc_ids = sorted(documents)
        keys = {channel for pieces in documents.values() for channel, _ in _searched(pieces)}
        sides = {key: _Side(documents, doc_ids, key) for key in sorted(keys, key=repr)}
        lent = {key: self._lent(side.values, key, keys) for key, side in sides.items()}
        looked_for = {
            query_id: self._with_names(pieces, by_parts=search.by_parts)
            for query_id, pieces in queries.items()
        }
        asked: dict[tuple[_Channel, _Channel], dict[str | Picture, None]] = {}
        for pieces in looked_for.values():
            for channel, other, value in _meetings(pieces, keys):
                asked.setdefault((channel, other), {})[value] = None
        tables = {
            (channel, other): dict(
                zip(
                    values,
                    sides[other].nearest(
                        self._similarity(list(values), channel, sides[other].values, other, lent[other])
                    ),
                    strict=True,
                )
            )
            for (channel, other), values in asked.items()
        }
        totals = {query_id: np.zeros(len(doc_ids), dtype=np.int64) for query_id in queries}
        for query_id, pieces in looked_for.items():
            for channel, other, value in _meetings(pieces, keys):
                totals[query_id] += tables[channel, other][value]
        return {query_id: _best(query_id, doc_ids, total, search.depth) for query_id, total in totals.items()}

    def _similarity(
        self,
        queries: Sequence[str | Picture],
        asked: _Channel,
        documents: Sequence[str | Picture],
        given: _Channel,
        lent: NDArray[np.float64] | None,
    ) -> Integers:
        """``(queries, documents)`` from 0 to ``FULL``, the nearest document of each query at ``FULL``."""
        found: Integers = np.zeros((len(queries), len(documents)), dtype=np.int64)
        if asked.is_text and given.is_text:
            found += _scaled(bm25(_texts(queries), _texts(documents)))
        elif not asked.is_text and not given.is_text:
            return _scaled(likeness(self._seen(queries, asked.name), self._seen(documents, given.name)))
        if asked != given:
            weights = self._nearest_examples(queries, asked)
            if weights is not None and lent is not None:
                total = np.maximum(weights.sum(axis=1, keepdims=True), 1)
                # sums of integers far below 2**53: exact as floats, which are faster
                found += _scaled((weights.astype(np.float64) @ lent).astype(np.int64) // total)
        return _scaled(found)

    def _with_names(self, pieces: Pieces, *, by_parts: bool) -> Pieces:
        """The pieces, and for several pictures a text as well: what the example nearest to each is called."""
        shown = [piece for piece in pieces if isinstance(piece, Picture)]
        if len(shown) < 2 or not self._examples.names:
            return pieces
        words = []
        for piece in shown:
            near = self._nearest_examples([piece], _Channel(False, piece.album))
            if near is None:
                return pieces
            words.append(self._examples.names[int(near[0].argmax())])
        joined = Words(" ".join(words), JOINING_LANGUAGE)
        return (joined,) if by_parts else (*pieces, joined)

    def _nearest_examples(self, queries: Sequence[str | Picture], asked: _Channel) -> Integers | None:
        """``(queries, examples)`` weights of the nearest examples, 0 for the others; None when there are none."""
        if asked.is_text:
            if asked.name not in self._examples.texts:
                return None
            near = bm25(_texts(queries), self._examples.texts[asked.name])
        else:
            if asked.name not in self._examples.pictures:
                return None
            cosines = likeness(self._seen(queries, asked.name), self._examples_seen(asked.name))
            near = np.maximum(cosines, 0) ** 2 // LIKENESS
        kept = np.argsort(-near, axis=1, kind="stable")[:, :NUM_NEAREST]
        weights = np.zeros_like(near)
        np.put_along_axis(weights, kept, np.take_along_axis(near, kept, axis=1), axis=1)
        return weights

    def _lent(
        self, documents: Sequence[str | Picture], given: _Channel, keys: Collection[_Channel]
    ) -> NDArray[np.float64] | None:
        """``(examples, documents)``: how near each example's own form is to each document."""
        if given.is_text:
            if given.name not in self._examples.texts:
                return None
            return _scaled(bm25(self._examples.texts[given.name], _texts(documents))).astype(np.float64)
        taken = {key.name for key in keys if not key.is_text}
        albums = [name for name in self._examples.pictures if name not in taken]
        albums = albums or list(self._examples.pictures)
        if not albums:
            return None
        seen = self._seen(documents, given.name)
        tables = [likeness(self._examples_seen(album), seen) for album in albums]
        return np.maximum(np.maximum.reduce(tables), 0).astype(np.float64)

    def _examples_seen(self, album: str) -> NDArray[np.float64]:
        if album not in self._vectors:
            self._vectors[album] = self._seen(self._examples.pictures[album], album)
        return self._vectors[album]

    def _seen(self, pictures: Sequence[str | Picture], album: str) -> NDArray[np.float64]:
        if album not in self._looks:
            self._looks[album] = Looks(self._stack(self._examples.pictures.get(album, ())))
        return self._looks[album].vectors(self._stack(pictures))

    def _stack(self, pictures: Sequence[str | Picture]) -> Integers:
        for picture in pictures:
            if isinstance(picture, Picture) and picture not in self._features:
                self._features[picture] = stack([self._albums.image(picture)])[0]
        rows = [self._features[picture] for picture in pictures if isinstance(picture, Picture)]
        return np.stack(rows) if rows else stack([])


class _Side:
    """The pieces of documents that lie in one channel."""

    def __init__(self, documents: Mapping[str, Pieces], doc_ids: Sequence[str], channel: _Channel) -> None:
        places: dict[str | Picture, int] = {}
        self._members: list[tuple[int, list[int]]] = []
        for number, doc_id in enumerate(doc_ids):
            values = [value for key, value in _searched(documents[doc_id]) if key == channel]
            if values:
                self._members.append((number, [places.setdefault(value, len(places)) for value in values]))
        self.values = list(places)
        self._num_documents = len(doc_ids)

    def nearest(self, similarity: Integers) -> Integers:
        """``(queries, values)`` to ``(queries, documents)``: the highest of each document's pieces, 0 without any."""
        found = np.zeros((len(similarity), self._num_documents), dtype=np.int64)
        flat = [place for _, places in self._members for place in places]
        starts = np.cumsum([0] + [len(places) for _, places in self._members[:-1]])
        numbers = [number for number, _ in self._members]
        found[:, numbers] = np.maximum.reduceat(similarity[:, flat], starts, axis=1)
        return found


def _searched(pieces: Pieces) -> list[tuple[_Channel, str | Picture]]:
    found: list[tuple[_Channel, str | Picture]] = []
    for piece in pieces:
        if isinstance(piece, Words):
            if piece.language:
                found.append((_Channel(True, piece.language), piece.text))
        else:
            # Captions of pages are pixels, which this retriever cannot read.
            cells = piece.cells if isinstance(piece, Page) else (piece,)
            found += [(_Channel(False, cell.album), cell) for cell in cells]
    return found


def _meetings(
    pieces: Pieces, keys: Collection[_Channel]
) -> Iterator[tuple[_Channel, _Channel, str | Picture]]:
    """Each searched piece of a query with each channel of the documents that is searched for it.

    Words find documents in their own language when there are such; a picture beside words follows them.
    """
    found = _searched(pieces)
    spoken = {channel for channel, _ in found if channel.is_text} & set(keys)
    for channel, value in found:
        for key in sorted(keys, key=repr):
            if not key.is_text or not spoken or key in spoken:
                yield channel, key, value


def _texts(values: Sequence[str | Picture]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _scaled(rows: Integers) -> Integers:
    low = rows.min(axis=1, keepdims=True)
    return np.asarray((rows - low) * FULL // np.maximum(rows.max(axis=1, keepdims=True) - low, 1))


def _best(query_id: str, doc_ids: Sequence[str], scores: Integers, depth: int) -> dict[str, float]:
    """The first ``depth`` by score; equal ones, such as those that nothing speaks for, are taken by lot."""
    order = sorted(
        range(len(doc_ids)), key=lambda number: (-int(scores[number]), lot(query_id, doc_ids[number]))
    )
    return {doc_ids[number]: int(scores[number]) / FULL for number in order[:depth]}
