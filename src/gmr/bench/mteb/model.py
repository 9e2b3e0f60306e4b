"""gmr inside mteb: a scorer as a cross-encoder model that ``mteb.evaluate`` runs on reranking tasks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from gmr.bench.mteb.library import require
from gmr.bench.mteb.loaders import loader_rows
from gmr.bench.mteb.rows import row_item
from gmr.core.errors import DataError
from gmr.core.nouns import Document, Pair, Query
from gmr.evaluation.results import PAIRS_PER_CALL
from gmr.evaluation.scoring import checked_scores

if TYPE_CHECKING:  # the reranker loads torch
    from gmr.reranker import Scorer


def mteb_model(
    model: "str | Path | Scorer" = "gmr-nano",
    *,
    instruction: str | None = None,
    name: str | None = None,
    **options: Any,
) -> "MtebReranker":
    """A model for ``mteb.evaluate``: text, pictures and both on either side, with instructions.

    Args:
        model: A name, folder or hub id as `Reranker` takes it, a `Reranker`, or anything that scores pairs.
        instruction: For queries that have none of their own; None for the prompt of the task, where it has one.
        name: What mteb calls the model, ``organisation/model``; None for one made of the model's own name.
        options: Of `Reranker`, where ``model`` is not loaded yet.

    Raises:
        DataError: mteb is not installed.
        ModelError: The model cannot be loaded.
        ValueError: Options come with a loaded model, or the name lacks its ``/``.
    """
    require("mteb")
    from gmr.bench.mteb.model_meta import model_meta

    if isinstance(model, (str, Path)):
        from gmr.reranker import Reranker

        source: str | None = str(model)
        scorer: Scorer = Reranker(model, **options)
    elif options:
        raise ValueError(f"the model is loaded already: {', '.join(options)} would have no effect")
    else:
        source, scorer = None, model
    meta = model_meta(scorer, source, name=name, instruction=instruction)
    return MtebReranker(scorer, meta, instruction=instruction)


class MtebReranker:
    """What mteb calls a cross-encoder.

    Args:
        scorer: Whatever gives pairs a score.
        mteb_model_meta: What mteb writes about the model and files its results under.
        instruction: For queries that have none of their own; None for the task's prompt.

    Attributes:
        num_pairs: Pairs scored so far.
        num_calls: Calls of the scorer so far; a call has whole queries, so that what they share is computed once.
    """

    def __init__(self, scorer: "Scorer", mteb_model_meta: Any, *, instruction: str | None = None) -> None:
        self.scorer = scorer
        self.mteb_model_meta = mteb_model_meta
        self.instruction = instruction
        self.num_pairs = 0
        self.num_calls = 0

    def predict(
        self,
        inputs1: Any,
        inputs2: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,  # noqa: ARG002 - of mteb's protocol
        **options: Any,
    ) -> npt.NDArray[np.float32]:
        """Scores ``(pairs,)`` of the first loader's queries with the second one's documents, in the order given.

        Args:
            inputs1: Data loader of queries, one row for each pair.
            inputs2: Data loader of documents, one row for each pair.
            task_metadata: Of the task: its name, and its prompt as the instruction.
            hf_split: For messages.
            hf_subset: For messages.
            prompt_type: Not used: the sides are told by their places.
            options: mteb's ``encode_kwargs``; of these ``show_progress_bar`` is used.

        Raises:
            DataError: A row cannot be read, or the loaders differ in length.
            ModelError: The scores are not one finite number for each pair.
        """
        where = f"{task_metadata.name} ({hf_subset}, {hf_split})"
        instruction = self.instruction or task_prompt(task_metadata)
        scores: list[npt.NDArray[np.float32]] = []
        total = len(inputs1.dataset) if hasattr(inputs1, "dataset") else None
        hidden = not options.get("show_progress_bar", True)
        with tqdm(total=total, desc=task_metadata.name, unit="pair", disable=hidden) as bar:
            for block in _blocks(_pairs(inputs1, inputs2, instruction, where)):
                scores.append(self._score(block, where))
                bar.update(len(block))
        return np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32)

    def _score(self, block: list[Pair], where: str) -> npt.NDArray[np.float32]:
        scores = checked_scores(self.scorer, block, where=where).astype(np.float32)
        self.num_pairs += len(block)
        self.num_calls += 1
        return scores


def task_prompt(task_metadata: Any) -> str | None:
    """The instruction that mteb's task has for its queries; None where it has none."""
    prompt = task_metadata.prompt
    if isinstance(prompt, Mapping):
        prompt = prompt.get("query")
    return prompt or None


def _pairs(queries: Any, documents: Any, instruction: str | None, where: str) -> Iterator[Pair]:
    """Pairs whose equal neighbours are one object: the scorer then reads and hashes a picture once."""
    query: Query | None = None
    query_rows = enumerate(loader_rows(queries, where=f"{where}, queries"))
    document_rows = loader_rows(documents, where=f"{where}, documents")
    known: dict[str, Document] = {}
    nothing: dict[str, Any] = {}
    for number, row in query_rows:
        other = next(document_rows, nothing)
        if other is nothing:
            raise DataError(f"{where}: {number} documents for more queries; there must be one for each")
        query_id = str(row.get("id", number))
        if query is None or query.query_id != query_id:
            query = _query(query_id, row, instruction, f"{where}, query {query_id!r}")
            if len(known) >= PAIRS_PER_CALL:  # pictures of a large corpus need not all be kept
                known = {}
        doc_id = str(other.get("id", number))
        if doc_id not in known:
            item = row_item(other, where=f"{where}, document {doc_id!r}", strip=True)
            known[doc_id] = Document(doc_id, item)
        yield query, known[doc_id]
    if next(document_rows, nothing) is not nothing:
        raise DataError(f"{where}: more documents than queries; there must be one for each")


def _query(query_id: str, row: Mapping[str, Any], instruction: str | None, where: str) -> Query:
    if "query" in row:
        row = {**row, "text": row["query"]}
    own = row.get("instruction") or None
    return Query(query_id, row_item(row, where=where, strip=False), own or instruction)


def _blocks(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    """Blocks of whole queries, each but the last of at least ``PAIRS_PER_CALL`` pairs."""
    block: list[Pair] = []
    for pair in pairs:
        if len(block) >= PAIRS_PER_CALL and pair[0] is not block[-1][0]:
            yield block
            block = []
        block.append(pair)
    if block:
        yield block
