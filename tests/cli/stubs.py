"""A scorer that needs no model, and the command line as a function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from gmr.cli.main import main
from gmr.core.items import images_of, text_of
from gmr.core.nouns import Document, Query, RankedDocument, Ranking
from gmr.inference.counts import Tally


class WordOverlap:
    """Stands for ``Reranker``: scores by shared words, a picture counts as half a word."""

    made: ClassVar[list["WordOverlap"]] = []

    def __init__(self, model: str, **options: Any) -> None:
        self.name, self.options = model, options
        self.tally = Tally()
        WordOverlap.made.append(self)

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> np.ndarray:
        return np.array([self._score(query, document) for query, document in pairs], dtype=np.float32)

    def rank(self, query: Query, documents: Sequence[Document]) -> Ranking:
        scores = self.score([(query, document) for document in documents])
        order = sorted(zip(scores.tolist(), documents, strict=True), key=lambda row: (row[0], row[1].doc_id))[
            ::-1
        ]
        places = [RankedDocument(i, doc.doc_id, score, doc) for i, (score, doc) in enumerate(order, start=1)]
        return Ranking(query, tuple(places))

    def _score(self, query: Query, document: Document) -> float:
        shared = set(text_of(query.item).split()) & set(text_of(document.item).split())
        return len(shared) + 0.5 * len(images_of(document.item)) - 1


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


def runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs ``gmr`` with the given words in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run
