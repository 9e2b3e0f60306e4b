"""A test set on disk as streams, and the tables of a reranking task made of them: only what is needed is kept."""

import hashlib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.nouns import Document, Qrels, Query, Run
from gmr.core.records import read_id

Content = TypeVar("Content")
Value = TypeVar("Value", int, float)

Wanted = Container[str] | None
"""Ids to be read; None for all."""


@dataclass(frozen=True)
class TaskSource:
    """A test set as its format reads it; nothing is read before it is asked for.

    Attributes:
        where: what the set is called in an error.
        qrels: reads the judgments.
        queries: the place, id and content of every query; no content where it is not wanted or not of this set.
        documents: the place, id and content of every document; no content where it is not wanted.
        candidates: reads the set's own first stage; empty when it brings none.
        metadata: reads facts about queries for analysis.
    """

    where: str
    qrels: Callable[[], Qrels]
    queries: Callable[[Wanted], Iterable[tuple[str, str, Query | None]]]
    documents: Callable[[Wanted], Iterable[tuple[str, str, Document | None]]]
    candidates: Callable[[], Run] = dict
    metadata: Callable[[], Mapping[str, Mapping[str, str]]] = dict


@dataclass(frozen=True)
class TaskTables:
    """The tables of a task, and what was found on disk before anything was left out.

    Attributes:
        queries: judged queries by id; of these the sampled ones.
        corpus: the documents that judgments or candidates name; all of them without candidates.
        qrels: judgments of ``queries`` whose documents the corpus has.
        first_stage: candidates of ``queries``; empty when there are none yet.
        metadata: facts about ``queries``.
        num_queries: judged queries on disk.
        num_documents: documents on disk.
        num_relevant: judgments other than 0 on disk, as mteb counts them.
        num_unjudged: queries on disk without judgments: they cannot be evaluated.
        absent: documents that are judged but not in the corpus: nothing can find them.
        unanswerable: queries without a relevant document but absent ones; left out.
        no_candidates: queries that the first stage does not answer; they count 0.
    """

    queries: dict[str, Query]
    corpus: dict[str, Document]
    qrels: dict[str, dict[str, int]]
    first_stage: dict[str, dict[str, float]]
    metadata: dict[str, Mapping[str, str]]
    num_queries: int
    num_documents: int
    num_relevant: int
    num_unjudged: int = 0
    absent: tuple[str, ...] = ()
    unanswerable: tuple[str, ...] = ()
    no_candidates: tuple[str, ...] = ()


def assemble(source: TaskSource, *, limit: int | None = None) -> TaskTables:
    """The tables of a task: judgments first, so that of a large corpus only the named documents are kept.

    Args:
        source: where they are read from.
        limit: at most so many queries, those of `sampled`; all by default.

    Raises:
        DataError: for an id given twice, a judged query that is not in the queries, a candidate that is not in
            the corpus, or no judged query at all.
    """
    judgments = source.qrels()
    queries, known = _read_queries(source, judgments)
    run = source.candidates()
    strangers = [query_id for query_id in run if query_id not in known]
    if strangers:
        raise DataError(
            f"{source.where}: {_count(strangers, 'queries of the first stage are not in the queries')}"
        )
    chosen = sampled(queries, limit)
    first_stage = {
        query_id: dict(run[query_id]) for query_id in queries if query_id in chosen and run.get(query_id)
    }
    judged = {doc_id for query_id in judgments if query_id in queries for doc_id in judgments[query_id]}
    needed = {doc_id for query_id in chosen for doc_id in judgments[query_id]}
    needed.update(doc_id for scores in first_stage.values() for doc_id in scores)
    corpus, present, num_documents = _read_corpus(source, needed if run else None, judged)
    _check_candidates(source.where, first_stage, corpus)
    qrels = {
        query_id: {doc_id: grade for doc_id, grade in judgments[query_id].items() if doc_id in corpus}
        for query_id in queries
        if query_id in chosen
    }
    unanswerable = tuple(
        query_id
        for query_id, grades in qrels.items()
        if len(grades) < len(judgments[query_id]) and not any(grade >= 1 for grade in grades.values())
    )
    kept = {query_id: queries[query_id] for query_id in qrels if query_id not in unanswerable}
    return TaskTables(
        queries=kept,
        corpus=corpus,
        qrels={query_id: qrels[query_id] for query_id in kept},
        first_stage={query_id: scores for query_id, scores in first_stage.items() if query_id in kept},
        metadata={query_id: facts for query_id, facts in source.metadata().items() if query_id in kept},
        num_queries=len(queries),
        num_documents=num_documents,
        num_relevant=sum(grade != 0 for query_id in queries for grade in judgments[query_id].values()),
        num_unjudged=len(known) - len(queries),
        absent=tuple(sorted(judged - present)),
        unanswerable=unanswerable,
        no_candidates=tuple(query_id for query_id in kept if query_id not in first_stage) if run else (),
    )


def joined(sources: Mapping[str, TaskSource], *, where: str) -> TaskSource:
    """Several sets as one: ids are ``part/id``, and the metadata of every judged query say its part.

    Args:
        sources: part -> set.
        where: what the whole is called in an error.
    """

    def tables(
        read: Callable[[TaskSource], Mapping[str, Mapping[str, Value]]],
    ) -> dict[str, dict[str, Value]]:
        return {
            f"{part}/{query_id}": {f"{part}/{doc_id}": value for doc_id, value in row.items()}
            for part, source in sources.items()
            for query_id, row in read(source).items()
        }

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        for part, source in sources.items():
            for place, query_id, query in source.queries(_within(wanted, part)):
                name = f"{part}/{query_id}"
                yield place, name, None if query is None else replace(query, query_id=name)

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        for part, source in sources.items():
            for place, doc_id, document in source.documents(_within(wanted, part)):
                name = f"{part}/{doc_id}"
                yield place, name, None if document is None else replace(document, doc_id=name)

    def metadata() -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for part, source in sources.items():
            facts = source.metadata()
            for query_id in source.qrels():
                found[f"{part}/{query_id}"] = {**facts.get(query_id, {}), "part": part}
        return found

    return TaskSource(
        where=where,
        qrels=lambda: tables(lambda source: source.qrels()),
        queries=queries,
        documents=documents,
        candidates=lambda: tables(lambda source: source.candidates()),
        metadata=metadata,
    )


def sampled(query_ids: Collection[str], limit: int | None) -> set[str]:
    """The ``limit`` ids of lowest SHA-256; all without a limit.

    A sample that does not depend on the order of a file (often sorted by topic), and that a larger one contains.
    """
    if limit is None or limit >= len(query_ids):
        return set(query_ids)
    if limit < 1:
        raise ValueError(f"limit is {limit}; the least is 1 query")
    return set(sorted(query_ids, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:limit])


def judgments_of(rows: Iterable[tuple[str, str, str, object]]) -> dict[str, dict[str, int]]:
    """Judgments of rows (place, query id, document id, relevance); the same one given twice is one.

    Raises:
        DataError: for a relevance that is no integer, or two different ones of one document for a query.
    """
    qrels: dict[str, dict[str, int]] = {}
    for where, query_id, doc_id, relevance in rows:
        grade = int(relevance) if isinstance(relevance, float) and relevance.is_integer() else relevance
        if isinstance(grade, bool) or not isinstance(grade, int):
            raise DataError(f"{where}: relevance {relevance!r} of document {doc_id!r} is not an integer")
        judged = qrels.setdefault(query_id, {})
        if judged.setdefault(doc_id, grade) != grade:
            raise DataError(
                f"{where}: document {doc_id!r} is judged {grade} and {judged[doc_id]} for query {query_id!r}"
            )
    return qrels


def candidates_of(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, float]]:
    """Candidates of rows ``query-id``, ``corpus-ids`` (best first) with their places, scored from the end: the last 1.

    Raises:
        DataError: for a row of another shape, or an id given twice.
    """
    run: dict[str, dict[str, float]] = {}
    for where, row in rows:
        query_id, doc_ids = read_id(row, ("query-id",), where=where), row.get("corpus-ids")
        if query_id is None or not isinstance(doc_ids, list):
            raise DataError(f"{where}: top_ranked has query-id and a list of corpus-ids, not {shorten(row)}")
        scores = {str(doc_id): float(len(doc_ids) - place) for place, doc_id in enumerate(doc_ids)}
        if query_id in run or len(scores) < len(doc_ids):
            raise DataError(f"{where}: query {query_id!r}, or a document of it, is given twice")
        run[query_id] = scores
    return run


def first_file(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of ``names`` that is a file in ``folder``; None when none is."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


@dataclass(frozen=True)
class _Within:
    """The wanted ids of one part, told by its prefix."""

    wanted: Container[str]
    prefix: str

    def __contains__(self, identifier: object) -> bool:
        return f"{self.prefix}{identifier}" in self.wanted


def _within(wanted: Wanted, part: str) -> Wanted:
    return None if wanted is None else _Within(wanted, f"{part}/")


def _read_queries(source: TaskSource, judgments: Qrels) -> tuple[dict[str, Query], set[str]]:
    known: set[str] = set()
    queries: dict[str, Query] = {}
    for place, query_id, query in _unique(source.queries(judgments), known, "query"):
        if query is not None:
            if query_id not in judgments:
                raise DataError(f"{place}: query {query_id!r} was not wanted")
            queries[query_id] = query
    strangers = [query_id for query_id in judgments if query_id not in known]
    if strangers:
        raise DataError(f"{source.where}: {_count(strangers, 'judged queries are not in the queries')}")
    if not queries:
        raise DataError(f"{source.where}: none of {len(known)} queries is judged")
    return queries, known


def _read_corpus(
    source: TaskSource, wanted: set[str] | None, judged: set[str]
) -> tuple[dict[str, Document], set[str], int]:
    known: set[str] = set()
    corpus: dict[str, Document] = {}
    for _, doc_id, document in _unique(source.documents(wanted), known, "document"):
        if document is not None and (wanted is None or doc_id in wanted):
            corpus[doc_id] = document
    return corpus, judged & known, len(known)


def _unique(
    rows: Iterable[tuple[str, str, Content]], known: set[str], noun: str
) -> Iterator[tuple[str, str, Content]]:
    for place, identifier, content in rows:
        if identifier in known:
            raise DataError(f"{place}: {noun} id {identifier!r} is given twice")
        known.add(identifier)
        yield place, identifier, content


def _check_candidates(where: str, first_stage: Run, corpus: Container[str]) -> None:
    strangers = {doc_id: None for scores in first_stage.values() for doc_id in scores if doc_id not in corpus}
    if strangers:
        raise DataError(
            f"{where}: {_count(strangers, 'candidates are not in the corpus')}; is the run of this set?"
        )


def _count(identifiers: Collection[str], complaint: str) -> str:
    shown = ", ".join(repr(identifier) for identifier in list(identifiers)[:5])
    more = f" and {len(identifiers) - 5} more" if len(identifiers) > 5 else ""
    return f"{len(identifiers)} {complaint}: {shown}{more}"
