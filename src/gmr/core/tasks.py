"""What is evaluated and what is trained on: reranking tasks and training sets, consistent by construction."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from gmr.core.errors import DataError
from gmr.core.files import digest
from gmr.core.items import Item, item_key
from gmr.core.nouns import Document, Pair, Qrels, Query, Run, task_group


@dataclass(frozen=True)
class RerankTask:
    """Queries, a corpus, judgments, and the candidates of a frozen first stage.

    Attributes:
        name: what the task is called in tables.
        task_type: one of the nine, such as ``"t2it"``.
        queries: by query id.
        corpus: by document id; at least every document that ``qrels`` or ``first_stage`` names.
        qrels: judgments.
        first_stage: candidates with the first stage's scores; only these are reranked.
        measure: the main measure, as it is parsed.
        metadata: query id -> facts for analysis, such as the operation a composed query asks for.

    Raises:
        DataError: for an id that is not there, a key other than its value's id, or a non-finite score.
    """

    name: str
    task_type: str
    queries: Mapping[str, Query]
    corpus: Mapping[str, Document]
    qrels: Qrels
    first_stage: Run
    measure: str = "ndcg@10"
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        task_group(self.task_type)
        wrong = [key for key, query in self.queries.items() if key != query.query_id]
        wrong += [key for key, document in self.corpus.items() if key != document.doc_id]
        if wrong:
            raise DataError(f"{self.name}: keys are not the ids of their values: {_some(wrong)}")
        for table, rows in (("qrels", self.qrels), ("first stage", self.first_stage)):
            self._check_known(f"queries of the {table} are not in the queries", rows, self.queries)
            documents = (doc_id for row in rows.values() for doc_id in row)
            self._check_known(f"documents of the {table} are not in the corpus", documents, self.corpus)
        self._check_known("queries of the metadata are not in the queries", self.metadata, self.queries)
        for query_id, scores in self.first_stage.items():
            for doc_id, score in scores.items():
                if not math.isfinite(score):
                    raise DataError(
                        f"{self.name}: first-stage score {score} of document {doc_id!r}, query {query_id!r}"
                    )

    def _check_known(self, complaint: str, identifiers: Iterable[str], known: Mapping[str, object]) -> None:
        unknown = {identifier: None for identifier in identifiers if identifier not in known}
        if unknown:
            raise DataError(f"{self.name}: {len(unknown)} {complaint}: {_some(unknown)}")

    def candidates(self, query_id: str) -> list[Document]:
        """A query's documents by first-stage score descending, ties by document id descending."""
        # trec_eval's rule for ties; a run that is written and read again keeps this order.
        scores = self.first_stage.get(query_id, {})
        ordered = sorted(scores, key=lambda doc_id: (scores[doc_id], doc_id), reverse=True)
        return [self.corpus[doc_id] for doc_id in ordered]

    def pairs(self) -> list[Pair]:
        """Every query with each of its candidates, in the order of the first stage."""
        return [
            (self.queries[query_id], document)
            for query_id in self.first_stage
            for document in self.candidates(query_id)
        ]


class LazyDocuments(Sequence[Document]):
    """Documents that are made when they are asked for, and forgotten then.

    Args:
        doc_ids: their ids, in order.
        make: the document of an id.
    """

    def __init__(self, doc_ids: Iterable[str], make: Callable[[str], Document]) -> None:
        self.doc_ids = tuple(doc_ids)
        self._make = make

    def __len__(self) -> int:
        return len(self.doc_ids)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyDocuments": ...
    def __getitem__(self, index: int | slice) -> "Document | LazyDocuments":
        if isinstance(index, slice):
            return LazyDocuments(self.doc_ids[index], self._make)
        return self._make(self.doc_ids[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyDocuments):
            return NotImplemented
        return self.doc_ids == other.doc_ids and self._make == other._make

    def __hash__(self) -> int:
        return hash(self.doc_ids)


def ids_of(documents: Sequence[Document]) -> tuple[str, ...]:
    """Ids of documents; lazy ones are not made for it."""
    if isinstance(documents, LazyDocuments):
        return documents.doc_ids
    return tuple(document.doc_id for document in documents)


@dataclass(frozen=True)
class TrainingExample:
    """One query with its positives, its hard negatives, and the pool that random negatives come from.

    Attributes:
        scores: teacher scores of the positives, then of the negatives; None without a teacher.

    Raises:
        DataError: without a positive, for a document given twice or on both sides, or for scores that are
            not one finite number per document.
    """

    example_id: str
    query: Query
    positives: tuple[Document, ...]
    negatives: Sequence[Document]
    pool: str
    scores: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.positives:
            raise DataError(f"example {self.example_id!r}: no positive document")
        doc_ids = [*ids_of(self.positives), *ids_of(self.negatives)]
        twice = {doc_id: None for doc_id in doc_ids if doc_ids.count(doc_id) > 1}
        if twice:
            raise DataError(f"example {self.example_id!r}: documents are given twice: {_some(twice)}")
        if self.scores is not None:
            if len(self.scores) != len(doc_ids):
                raise DataError(
                    f"example {self.example_id!r}: {len(self.scores)} scores for {len(doc_ids)} documents"
                    " (positives, then negatives)"
                )
            bad = [score for score in self.scores if not math.isfinite(score)]
            if bad:
                raise DataError(f"example {self.example_id!r}: score {bad[0]} is not finite")


@dataclass(frozen=True)
class TrainingSet:
    """Training examples and the pools of documents their random negatives are drawn from.

    Raises:
        DataError: for no examples, an example id given twice, or an unknown pool.
    """

    examples: Sequence[TrainingExample]
    pools: Mapping[str, Sequence[Document]]

    def __post_init__(self) -> None:
        if not self.examples:
            raise DataError("the training set has no examples")
        seen: set[str] = set()
        for example in self.examples:
            if example.example_id in seen:
                raise DataError(f"example {example.example_id!r} is given twice")
            if example.pool not in self.pools:
                raise DataError(
                    f"example {example.example_id!r}: unknown pool {example.pool!r} ({_some(self.pools)})"
                )
            seen.add(example.example_id)

    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of what training sees: ids, instructions, content, scores, order, pools."""
        keys: dict[Item, str] = {}

        def facts(documents: Iterable[Document]) -> list[list[str]]:
            # Documents recur in examples and pools: each item is hashed once.
            return [
                [d.doc_id, keys.get(d.item) or keys.setdefault(d.item, item_key(d.item))] for d in documents
            ]

        records: list[object] = [
            [
                *(example.example_id, example.query.query_id, example.query.instruction),
                *(item_key(example.query.item), facts(example.positives), facts(example.negatives)),
                *(example.pool, None if example.scores is None else [float(s).hex() for s in example.scores]),
            ]
            for example in self.examples
        ]
        records += [[name, facts(self.pools[name])] for name in sorted(self.pools)]
        return digest(*(json.dumps(record).encode() for record in records))


def _some(identifiers: Iterable[str], *, limit: int = 5) -> str:
    listed = list(identifiers)
    shown = ", ".join(repr(identifier) for identifier in listed[:limit])
    return shown + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
