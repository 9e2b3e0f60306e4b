"""Exact search by products of embeddings: no index, the corpus in blocks, memory bounded by them."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gmr.core.errors import ModelError
from gmr.core.files import digest
from gmr.core.items import item_key
from gmr.core.nouns import Document, Query, owner_name
from gmr.first_stage.best import BestDocuments
from gmr.first_stage.progress import blocks
from gmr.first_stage.retriever import DECIMALS
from gmr.first_stage.vectors import VectorFolder

Vectors = npt.NDArray[np.float32]

# Small enough that a bar moves and that little is lost when a large model is stopped.
BLOCK_DOCUMENTS = 256
BLOCK_QUERIES = 1024


class ExactRetriever(ABC):
    """A retriever by products of embeddings; those of documents may be kept on disk.

    Args:
        identity: what a document's embedding depends on beside the document, as JSON can hold it.
        cache: folder that keeps the embeddings of documents; None for none.
    """

    def __init__(self, identity: Mapping[str, Any], cache: Path | None) -> None:
        self._identity = dict(identity)
        self._cache = None
        if cache is not None:
            self._cache = VectorFolder(cache, identity=digest(json.dumps(self._identity).encode()))

    @abstractmethod
    def embed_queries(self, queries: Sequence[Query]) -> Vectors:
        """Embeddings ``(queries, width)``, of unit length where cosines are meant."""

    @abstractmethod
    def embed_documents(self, documents: Sequence[Document]) -> Vectors:
        """Embeddings ``(documents, width)``, of unit length where cosines are meant."""

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """The documents of the highest products, over the whole corpus.

        Raises:
            DataError: an item that the model does not take, by its id.
            ModelError: an embedding that is not finite, by its id.
        """
        return search_exactly(
            queries,
            corpus,
            embed_queries=self.embed_queries,
            embed_documents=self.embed_documents,
            depth=depth,
            cache=self._cache,
        )


def search_exactly(
    queries: Mapping[str, Query],
    corpus: Mapping[str, Document],
    *,
    embed_queries: Callable[[Sequence[Query]], Vectors],
    embed_documents: Callable[[Sequence[Document]], Vectors],
    depth: int,
    cache: VectorFolder | None = None,
) -> dict[str, dict[str, float]]:
    """The ``depth`` documents of every query with the largest inner products, computed in float32.

    All queries are embedded first; then the corpus passes once, block by block, and is forgotten.

    Args:
        queries: by query id.
        corpus: by document id.
        embed_queries: embeddings ``(queries, width)``, float32, of unit length where cosines are meant.
        embed_documents: embeddings ``(documents, width)``.
        depth: most documents of a query.
        cache: where embeddings of documents are looked up and kept, by their content.

    Raises:
        ModelError: an embedding is not finite, by query or document.
    """
    asked = list(queries.values())
    rows = [
        _finite(embed_queries(block), list(map(owner_name, block)))
        for block in blocks(asked, BLOCK_QUERIES, "embedding queries", "query")
    ]
    best = BestDocuments(list(queries), depth=depth, decimals=DECIMALS)
    documents = list(corpus.values())
    for block in blocks(documents, BLOCK_DOCUMENTS, "embedding documents", "document"):
        columns = _embed_block(block, embed_documents, cache)
        doc_ids = [document.doc_id for document in block]
        for place, left in enumerate(rows):
            best.add(doc_ids, left @ columns.T, first=place * BLOCK_QUERIES)
    return best.run()


def _embed_block(
    documents: Sequence[Document],
    embed: Callable[[Sequence[Document]], Vectors],
    cache: VectorFolder | None,
) -> Vectors:
    keys = [item_key(document.item) for document in documents]
    known = {} if cache is None else cache.get(keys)
    # Equal documents of a block are embedded once: they tie to the last bit.
    wanted = {key: document for key, document in zip(keys, documents, strict=True) if key not in known}
    if wanted:
        fresh = _finite(embed(list(wanted.values())), list(map(owner_name, wanted.values())))
        if cache is not None:
            cache.put(list(wanted), fresh)
        known |= dict(zip(wanted, fresh, strict=True))
    return np.stack([known[key] for key in keys])


def _finite(vectors: Vectors, names: Sequence[str]) -> Vectors:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if len(vectors) != len(names):
        raise ModelError(f"{len(names)} items were embedded as {len(vectors)} vectors")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ModelError(
            f"{names[bad[0]]}: its embedding is not finite ({len(bad)} of {len(names)} are not); "
            "load the model with dtype float32"
        )
    return vectors
