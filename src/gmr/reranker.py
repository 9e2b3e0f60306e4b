"""A query and documents in, a ranking out; and the one thing everything above needs of a model: `score`."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.items import Item, as_item, is_item
from gmr.core.nouns import Document, Query, RankedDocument, Ranking
from gmr.inference.batching import default_batch_tokens
from gmr.inference.counts import Tally
from gmr.inference.document_folder import DocumentFolder
from gmr.inference.documents import DocumentStore
from gmr.inference.pictures import FeatureStore
from gmr.inference.scoring import score_pairs
from gmr.metrics.order import canonical_order
from gmr.modeling.identity import model_digest
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.readouts import NO_LOG_ODDS

logger = logging.getLogger(__name__)


class Scorer(Protocol):
    """Whatever gives pairs a score: a model, a baseline, a fake in a test."""

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> npt.NDArray[np.float32]:
        """Log-odds of each pair, in the order given, ``(pairs,)`` float32; higher is better."""
        ...


class Reranker:
    """Ranks documents for a query by a model.

    Args:
        model: ``gmr-nano``, a folder, a hub id, or a loaded `RerankModel`.
        template: prompt template; None for the model's own.
        dtype: of the weights; scores are float32 whatever this is.
        device: where to compute; None for a GPU if there is one.
        adapter: folder or hub id of a LoRA adapter to put on the model.
        quantize: ``int8`` for rounded weights of the language model's layers, at a quarter of float32's memory.
        compile: whether ``torch.compile`` compiles the language model's layers, which takes minutes at load.
        max_tokens: longest prompt; None for the model's own.
        batch_tokens: most tokens of a forward pass, padding included; None for what suits the device: 16,384, or
            1,536 on a CPU.
        engine: ``packed`` computes what prompts share once, ``forked`` does so from copies of a cache, ``padded`` whole
            pairs; the scores are the same but for rounding. ``auto`` is the first of them that the check at load
            finds right. ``invariant``: no other pair of a call, nor their order, changes a bit of a score.
        picture_cache_bytes: most memory of features of pictures that are kept from call to call, so that a picture
            met again is not even decoded; 0 for none. Forget them with ``pictures.clear()`` after training the model.
        document_cache_bytes: most memory of keys and values of documents that are kept from call to call, for models
            whose prompt has the document first; a known document then costs only the query's tokens. 0 for none.
        document_cache_folder: where they are kept on disk as well, from day to day; None for nowhere. All weights are
            read once to know the model by.
        document_cache_folder_bytes: most bytes of that folder.
        progress: whether to show a progress bar on stderr.

    Raises:
        ModelError: if the model cannot be loaded, or options for loading come with a loaded model.
    """

    def __init__(
        self,
        model: str | Path | RerankModel = "gmr-nano",
        *,
        template: str | None = None,
        dtype: str = "float32",
        device: str | None = None,
        adapter: str | Path | None = None,
        quantize: str | None = None,
        compile: bool = False,
        max_tokens: int | None = None,
        batch_tokens: int | None = None,
        engine: str = "auto",
        picture_cache_bytes: int = 256 * 2**20,
        document_cache_bytes: int = 0,
        document_cache_folder: str | Path | None = None,
        document_cache_folder_bytes: int = 50 * 10**9,
        progress: bool = False,
    ) -> None:
        if isinstance(model, RerankModel):
            options = {
                "template": template,
                "device": device,
                "adapter": adapter,
                "quantize": quantize,
                "compile": compile or None,
                "max_tokens": max_tokens,
            }
            given = [name for name, value in options.items() if value is not None]
            if given or dtype != "float32":
                raise ValueError(
                    f"the model is loaded already: {', '.join(given or ['dtype'])} would have no effect"
                )
            self.model = model
        else:
            self.model = load_model(
                model,
                template=template,
                dtype=dtype,
                device=device,
                adapter=adapter,
                quantize=quantize,
                compile=compile,
                max_tokens=max_tokens,
                engine=engine,
            )
        self.engine = engine
        self.pictures = FeatureStore(picture_cache_bytes)
        self.documents = None
        if document_cache_bytes or document_cache_folder is not None:
            self.documents = self._document_store(
                document_cache_bytes, document_cache_folder, document_cache_folder_bytes
            )
        self.batch_tokens = default_batch_tokens(self.model.device) if batch_tokens is None else batch_tokens
        self.tally = Tally()
        self.progress = progress

    def _document_store(
        self, max_bytes: int, folder: str | Path | None, max_folder_bytes: int
    ) -> DocumentStore:
        first = self.model.processor.template.first_side
        if first != "document":
            logger.warning(
                "documents are not kept: template %s puts the %s first, and what follows it depends on it",
                self.model.processor.template.name,
                first,
            )
        if folder is None:
            return DocumentStore(max_bytes)
        kept = DocumentFolder(
            Path(folder),
            identity=lambda: model_digest(self.model),
            max_bytes=max_folder_bytes,
            device=self.model.device,
        )
        return DocumentStore(max_bytes, kept)

    def score(
        self, pairs: Iterable[tuple[Any, Any]], *, allow_non_finite: bool = False
    ) -> npt.NDArray[np.float32]:
        """Log-odds of each (query, document) pair, in the order given.

        Args:
            pairs: each side a `Query` or `Document`, or an item in any friendly spelling (see `as_item`).
            allow_non_finite: give NaN and infinities as they are; a ranking cannot hold them.

        Returns:
            ``(pairs,)`` float32, higher is better, unbounded; `probability` makes them readable. A model whose readout
            is one of `NO_LOG_ODDS` gives grades, from 0 up.

        Raises:
            DataError: for a pair or an item that cannot be read; the message says which.
            ModelError: for a score that is not finite, unless they are allowed.
        """
        read = _Reader()
        typed = []
        for index, pair in enumerate(pairs):
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise DataError(
                    f"pairs[{index}]: a (query, document) pair is needed, this is {shorten(pair)}"
                )
            query, document = pair
            typed.append(
                (
                    query
                    if isinstance(query, Query)
                    else Query(str(index), read.item(query, where=f"pairs[{index}] query")),
                    document
                    if isinstance(document, Document)
                    else Document(str(index), read.item(document, where=f"pairs[{index}] document")),
                )
            )
        return self._score(typed, allow_non_finite=allow_non_finite)

    def _score(
        self, pairs: Sequence[tuple[Query, Document]], *, allow_non_finite: bool = False
    ) -> npt.NDArray[np.float32]:
        is_first = not self.tally.num_cut
        scores = score_pairs(
            self.model,
            pairs,
            engine=self.engine,
            batch_tokens=self.batch_tokens,
            store=self.pictures,
            documents=self.documents,
            allow_non_finite=allow_non_finite,
            tally=self.tally,
            progress=self.progress,
        )
        if is_first and self.tally.num_cut:
            told = self.tally.cuts(self.model.processor.max_tokens)
            logger.warning("%s: %s; this is said once", self.tally.first_cut, told)
        return scores

    def rank(
        self,
        query: Any,
        documents: Iterable[Any],
        *,
        instruction: str | None = None,
        top_k: int | None = None,
    ) -> Ranking:
        """The documents in canonical order: score descending, equal scores by document id descending.

        Args:
            query: a `Query`, or an item in any friendly spelling.
            documents: `Document` values, or items in any friendly spelling; these get their position as id,
                from "0".
            instruction: one sentence that says what relevance means; None for the query's own or the
                template's.
            top_k: how many to return; all are scored. None for all.

        Raises:
            DataError: for an item that cannot be read, or an id that occurs twice.
            ModelError: for a score that is not finite.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        read = _Reader()
        if not isinstance(query, Query):
            query = Query("query", read.item(query, where="query"))
        if instruction is not None:
            query = Query(query.query_id, query.item, instruction)
        candidates = read.documents(documents)
        scores = self._score([(query, document) for document in candidates.values()])
        by_id = dict(zip(candidates, scores.tolist(), strict=True))
        order = canonical_order(by_id, where=f"query {query.query_id!r}")[:top_k]
        return Ranking(
            query,
            tuple(
                RankedDocument(rank, doc_id, by_id[doc_id], candidates[doc_id])
                for rank, doc_id in enumerate(order, start=1)
            ),
            in_log_odds=self.model.readout not in NO_LOG_ODDS,
        )


class _Reader:
    """Friendly spellings to items; the same object is read once, so a picture given often is hashed once."""

    def __init__(self) -> None:
        self._items: dict[int, tuple[Any, Item]] = {}

    def item(self, value: Any, *, where: str) -> Item:
        known = self._items.get(id(value))
        if known is None:
            # The value is kept beside its item: a freed object's id may come back as another's.
            known = self._items[id(value)] = (value, as_item(value, where=where))
        return known[1]

    def documents(self, values: Iterable[Any]) -> dict[str, Document]:
        if isinstance(values, str | bytes | Path) or is_item(values):
            raise DataError(f"documents: a list of documents is needed, this is one: {shorten(values)}")
        documents: dict[str, Document] = {}
        for index, value in enumerate(values):
            document = value
            if not isinstance(value, Document):
                document = Document(str(index), self.item(value, where=f"documents[{index}]"))
            if document.doc_id in documents:
                raise DataError(f"documents[{index}]: the id {document.doc_id!r} occurs twice")
            documents[document.doc_id] = document
        return documents
