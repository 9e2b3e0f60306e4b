"""BM25 over the texts of items: the retriever without a model."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from gmr.core.errors import DataError, UsageError
from gmr.core.items import text_of
from gmr.core.nouns import Document, Query
from gmr.first_stage.best import NOTHING, BestDocuments
from gmr.first_stage.progress import watched
from gmr.first_stage.retriever import DECIMALS
from gmr.first_stage.words import Words, find_stemmer, find_stop_words


class BM25:
    """Sums over the words of a query: ``idf * tf / (tf + k1 * (1 - b + b * length / mean length))``.

    With ``idf = ln(1 + (N - df + 0.5) / (df + 0.5))`` this is the variant that Lucene computes; a word that a query
    has twice counts twice. The sums are float64, by the library bm25s. A document that shares no word with a query is
    no candidate. Pictures are not read: they have no words, and a side without a single word is an error.

    Args:
        k1: how fast repetitions of a word saturate.
        b: how much long documents are held back, 0 to 1.
        stop_words: language of a list of words to leave out, such as ``en``; None leaves out none.
        stem: language of a Snowball stemmer, such as ``english``; None leaves words as they are.

    Raises:
        UsageError: a value out of its range, an unknown language, or a library that is not installed.
    """

    def __init__(
        self, *, k1: float = 0.9, b: float = 0.4, stop_words: str | None = None, stem: str | None = None
    ) -> None:
        if not 0 <= k1 < float("inf") or not 0 <= b <= 1:
            raise UsageError(f"k1 is {k1} and b is {b}; k1 is at least 0, b is between 0 and 1")
        if importlib.util.find_spec("bm25s") is None:
            raise UsageError("BM25 needs bm25s: pip install 'gmr-rerank[bench]'")
        self.k1, self.b = k1, b
        self.stop_words, self.stem = stop_words, stem
        self._words = Words(stop_words=find_stop_words(stop_words), stem=find_stemmer(stem))

    def facts(self) -> dict[str, Any]:
        """Name and options."""
        options = {"k1": self.k1, "b": self.b, "stop_words": self.stop_words, "stem": self.stem}
        return {"name": "bm25", "variant": "lucene", **options, "decimals": DECIMALS}

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """Documents that share a word with the query.

        Raises:
            DataError: no query, or no document, has a word.
        """
        asked = {query_id: self._words(text_of(query.item)) for query_id, query in queries.items()}
        documents = watched(corpus.values(), "reading words", "document")
        texts = [self._words(text_of(document.item)) for document in documents]
        for what, side in (("queries", list(asked.values())), ("documents", texts)):
            if not any(side):
                raise DataError(f"bm25 ranks by shared words, and none of the {len(side)} {what} has any")
        index = self._index(texts)
        doc_ids = list(corpus)
        best = BestDocuments(list(queries), depth=depth)
        searched = watched(asked.values(), "bm25", "query")
        for row, words in enumerate(searched):
            if known := index.get_tokens_ids(words):
                scores = index.get_scores_from_ids(known)
                best.add(doc_ids, np.where(scores > 0, scores, NOTHING)[None], first=row)
        return best.run()

    def _index(self, texts: list[list[str]]) -> Any:
        import bm25s

        # Doubles, and no compiler even where numba is installed: the same scores on every machine.
        index = bm25s.BM25(
            k1=self.k1, b=self.b, method="lucene", dtype="float64", backend="numpy", auto_compile=False
        )
        index.index(texts, create_empty_token=False, show_progress=False)
        return index
