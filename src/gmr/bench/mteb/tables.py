"""The tables of a reranking task as mteb holds them: corpus, queries, judgments, top-ranked documents."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gmr.bench.mteb.library import require
from gmr.bench.mteb.pictures import undecoded
from gmr.bench.mteb.rows import item_row, row_item
from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.items import Item
from gmr.core.nouns import Document, Qrels, Query, Run
from gmr.core.tasks import RerankTask


def to_split(task: RerankTask, *, shared_instruction: str | None = None) -> dict[str, Any]:
    """The split that mteb evaluates: two datasets and two mappings.

    Args:
        task: Any of ours.
        shared_instruction: Of all queries, which mteb keeps as the task's prompt; None for a column of them.

    Raises:
        DataError: A picture cannot be read.
    """
    document_side = task.task_type.partition("2")[2]
    query_side = task.task_type.partition("2")[0]
    queries = task.queries.values()
    extra: dict[str, list[str]] = {}
    if shared_instruction is None and any(query.instruction for query in queries):
        # mteb's loaders take no None in a column of text; row_item's reader takes "" for none.
        extra["instruction"] = [query.instruction or "" for query in queries]
    if task.metadata:
        facts = [dict(task.metadata.get(query_id, {})) for query_id in task.queries]
        extra["metadata"] = [json.dumps(each, ensure_ascii=False) if each else "" for each in facts]
    corpus = ((doc_id, document.item) for doc_id, document in task.corpus.items())
    return {
        "corpus": _dataset(corpus, document_side, {}, strip=True),
        "queries": _dataset(((q.query_id, q.item) for q in queries), query_side, extra, strip=False),
        "relevant_docs": {query_id: dict(judged) for query_id, judged in task.qrels.items()},
        "top_ranked": {
            query_id: [document.doc_id for document in task.candidates(query_id)]
            for query_id in task.first_stage
        },
    }


def read_corpus(dataset: Any, *, where: str) -> dict[str, Document]:
    """The documents of a corpus of mteb's, titles before texts as mteb joins them.

    Raises:
        DataError: A row cannot be read, or an id is given twice.
    """
    corpus: dict[str, Document] = {}
    for number, row in enumerate(undecoded(dataset)):
        doc_id = _id(row, corpus, f"{where}, document {number}")
        title = row.get("title") or ""
        text = f"{title} {row.get('text') or ''}" if title else row.get("text")
        item = row_item({**row, "text": text}, where=f"{where}, document {doc_id!r}", strip=True)
        corpus[doc_id] = Document(doc_id, item)
    return corpus


def read_queries(
    dataset: Any, *, prompt: str | None, where: str
) -> tuple[dict[str, Query], dict[str, dict[str, str]]]:
    """The queries of a task of mteb's, with their own instructions or the task's prompt; and their metadata.

    Raises:
        DataError: A row cannot be read, or an id is given twice.
    """
    queries: dict[str, Query] = {}
    metadata: dict[str, dict[str, str]] = {}
    for number, row in enumerate(undecoded(dataset)):
        query_id = _id(row, queries, f"{where}, query {number}")
        at = f"{where}, query {query_id!r}"
        item = row_item({**row, "text": _conversation(row.get("text"), at)}, where=at, strip=False)
        queries[query_id] = Query(query_id, item, row.get("instruction") or prompt)
        if facts := row.get("metadata"):
            metadata[query_id] = _facts(facts)
    return queries, metadata


def read_qrels(relevant: Mapping[str, Mapping[str, Any]], *, where: str) -> Qrels:
    """Judgments of mteb's as ours.

    Raises:
        DataError: A grade is no whole number.
    """
    for query_id, judged in relevant.items():
        for doc_id, grade in judged.items():
            if int(grade) != grade:
                raise DataError(
                    f"{where}, query {query_id!r}: the grade of document {doc_id!r} is {grade}, no whole number"
                )
    return {str(q): {str(d): int(grade) for d, grade in judged.items()} for q, judged in relevant.items()}


def read_top_ranked(top_ranked: Mapping[str, Iterable[str]], *, where: str) -> Run:
    """Lists of documents, best first, as a run: the last has score 1.0, each before it one more.

    Raises:
        DataError: A document is given twice.
    """
    run: dict[str, dict[str, float]] = {}
    for query_id, doc_ids in top_ranked.items():
        listed = [str(doc_id) for doc_id in doc_ids]
        run[str(query_id)] = {doc_id: float(len(listed) - place) for place, doc_id in enumerate(listed)}
        if len(run[str(query_id)]) < len(listed):
            raise DataError(f"{where}, query {query_id!r}: a document is among the top-ranked ones twice")
    return run


def _dataset(
    items: Iterable[tuple[str, Item]], side: str, extra: Mapping[str, list[str]], *, strip: bool
) -> Any:
    datasets = require("datasets")
    ids, rows = [], []
    for identifier, item in items:
        ids.append(identifier)
        rows.append(item_row(item, strip=strip))
    text, image = datasets.Value("string"), datasets.Image()
    columns: dict[str, list[Any]] = {"id": ids}
    features = {"id": text}
    if "t" in side:
        columns["text"], features["text"] = [row["text"] for row in rows], text
    if side != "t":
        pictures = [row["image"] for row in rows]
        if all(len(each) <= 1 for each in pictures):  # what other models of mteb can read
            columns["image"], features["image"] = [each[0] if each else None for each in pictures], image
        else:
            columns["image"], features["image"] = pictures, datasets.List(image)
    if any(row["content"] for row in rows):
        columns["content"], features["content"] = [row["content"] for row in rows], text
    columns |= extra
    features |= dict.fromkeys(extra, text)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def _id(row: Mapping[str, Any], seen: Mapping[str, object], where: str) -> str:
    identifier = row.get("id", row.get("_id"))
    if identifier is None:
        raise DataError(f"{where}: the row has no id: {shorten(dict(row))}")
    if str(identifier) in seen:
        raise DataError(f"{where}: id {str(identifier)!r} is given twice")
    return str(identifier)


def _conversation(text: Any, where: str) -> Any:
    """A conversation as one text, the way mteb joins it; any other text as it is."""
    if not isinstance(text, list):
        return text
    try:
        return "; ".join(
            turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text
        )
    except (TypeError, KeyError):
        raise DataError(
            f"{where}: no conversation of strings or of roles and contents: {shorten(text)}"
        ) from None


def _facts(value: Any) -> dict[str, str]:
    """Metadata that we wrote; other data sets have columns of that name with what they like."""
    try:
        facts = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        facts = {"metadata": value}
    facts = facts if isinstance(facts, dict) else {"metadata": facts}
    return {str(key): str(fact) for key, fact in facts.items()}
