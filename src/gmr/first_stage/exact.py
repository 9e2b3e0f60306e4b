"""Exact search by products of embeddings: no index, the corpus in blocks, memory bounded by them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gmr.core.errors import ModelError
from gmr.core.items import item_key
from gmr.core.nouns import Document, Query
from gmr.first_stage.best import BestDocuments
from gmr.first_stage.progress import blocks
from gmr.first_stage.retriever import DECIMALS
from gmr.first_stage.vectors import VectorFolder

Vectors = npt.NDArray[np.float32]

# Small enough that a bar moves and that little is lost when a large model is stopped.
BLOCK_DOCUMENTS = 256
BLOCK_QUERIES = 1024


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
        _finite(embed_queries(block), [f"query {query.query_id!r}" for query in block])
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
        names = [f"document {document.doc_id!r}" for document in wanted.values()]
        fresh = _finite(embed(list(wanted.values())), names)
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
