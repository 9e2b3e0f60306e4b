"""Test sets in the layout of mteb on the hub: tables ``corpus``, ``queries``, judgments and ``top_ranked``.

The columns are ``id``, ``title``, ``text``, ``image`` of documents, ``id``, ``text``, ``image``, ``instruction`` of
queries, ``query-id``, ``corpus-id``, ``score`` of judgments and ``query-id``, ``corpus-ids`` of candidates; ViDoRe's
own spellings (``corpus-id``, ``query-id`` and ``query``) are read as well. A set with several subsets has each table
once per subset: ``english-corpus`` and so on.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gmr.core.dataset_card import Card, read_card, table_files
from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.items import Item
from gmr.core.nouns import Document, Query
from gmr.core.records import read_id, read_identified, read_table, record_item
from gmr.core.task_source import TaskSource, Wanted, candidates_of, first_file, judgments_of
from gmr.core.trec import read_qrels

DOC_KEYS = ("id", "_id", "corpus-id")
QUERY_KEYS = ("id", "_id", "query-id")


def mteb_source(
    folder: Path,
    *,
    config: str | None = None,
    split: str = "test",
    instruction: str | None = None,
    language: str | None = None,
) -> TaskSource:
    """A test set in mteb's layout; a picture comes before the text of the same row.

    Args:
        folder: with the tables as Parquet or JSONL, where its README declares them or by their usual names.
        config: the subset, whose name the tables begin with.
        split: of the judgments, and of tables that have several.
        instruction: of the queries that do not bring their own.
        language: only queries whose column ``language`` says so, with their judgments.

    Raises:
        DataError: for a table that is not there or lacks its columns, when it is read.
    """
    card = read_card(folder)
    prefix = f"{config}-" if config else ""

    def files(*names: str) -> list[Path]:
        found = (table_files(folder, card, f"{prefix}{name}", split=split) for name in names)
        return next((paths for paths in found if paths), [])

    def needed(*names: str) -> list[Path]:
        if paths := files(*names):
            return paths
        tables = ", ".join(sorted(card)) or "none, and no file of that name"
        raise DataError(f"{folder}: no table {prefix}{names[-1]} (declared: {tables})")

    def qrels() -> dict[str, dict[str, int]]:
        if not prefix and (path := _qrels_file(folder, card, split)):
            return read_qrels(path)
        # mteb calls the judgments of a set without subsets "default"
        tables = ("default", "qrels") if "default" in card and not prefix else ("qrels",)
        return judgments_of(_judgments(needed(*tables)))

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        own = dict(_instructions(files("instruction")))
        for where, query_id, row in read_identified(needed("query", "queries"), QUERY_KEYS, wanted=wanted):
            query = None
            if row is not None and (language is None or language_of(row, where) == language):
                said = row.get("instruction")
                if said is not None and not isinstance(said, str):
                    raise DataError(f"{where}: instruction must be a string, this is {shorten(said)}")
                item = row_item(row, root=folder, where=where)
                query = Query(query_id, item, own.get(query_id) or said or instruction)
            yield where, query_id, query

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        for where, doc_id, row in read_identified(needed("corpus"), DOC_KEYS, wanted=wanted):
            document = None if row is None else Document(doc_id, row_item(row, root=folder, where=where))
            yield where, doc_id, document

    def candidates() -> dict[str, dict[str, float]]:
        return candidates_of(read_table(files("top_ranked")))

    return TaskSource(str(folder), qrels, queries, documents, candidates)


def row_item(row: Mapping[str, Any], *, root: Path, where: str) -> Item:
    """The item of a row: its picture, then title and text; a row without either is an empty text.

    Raises:
        DataError: as `record_item`.
    """
    text = row.get("text", row.get("query"))
    spelled = {"image": row.get("image"), "title": row.get("title"), "text": "" if text is None else text}
    return record_item(spelled, root=root, where=where)


def language_of(row: Mapping[str, Any], where: str) -> str:
    """The language of a query, as its column says.

    Raises:
        DataError: there is no such column.
    """
    language = row.get("language")
    if not isinstance(language, str):
        raise DataError(f"{where}: the query has no column language to choose by: {shorten(sorted(row))}")
    return language


def _qrels_file(folder: Path, card: Card, split: str) -> Path | None:
    if {"default", "qrels"} & card.keys():
        return None
    return first_file(folder, (f"qrels/{split}.tsv", f"qrels/{split}.tsv.gz"))


def _judgments(files: list[Path]) -> Iterator[tuple[str, str, str, object]]:
    for where, row in read_table(files):
        query_id, doc_id = (read_id(row, (key,), where=where) for key in ("query-id", "corpus-id"))
        if query_id is None or doc_id is None:
            raise DataError(f"{where}: judgments have query-id, corpus-id and score, not {shorten(row)}")
        yield where, query_id, doc_id, row.get("score")


def _instructions(files: list[Path]) -> Iterator[tuple[str, str]]:
    for where, row in read_table(files):
        query_id, said = read_id(row, ("query-id",), where=where), row.get("instruction")
        if query_id is None or not isinstance(said, str):
            raise DataError(f"{where}: an instruction has query-id and instruction, not {shorten(row)}")
        yield query_id, said
