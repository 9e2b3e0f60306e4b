"""Reranking tasks on disk in the layout of BEIR and mteb: corpus, queries, qrels and a first stage."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import (
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_jsonl,
    parse_json_object,
    read_text,
    shorten,
)
from gmr.core.image_files import read_header
from gmr.core.items import Image, Item, check_known, modality
from gmr.core.nouns import Document, Query, Run
from gmr.core.records import (
    DOC_ID_KEYS,
    QUERY_ID_KEYS,
    find_table,
    item_record,
    read_id,
    read_identified,
    read_table,
    record_item,
)
from gmr.core.task_source import TaskSource, Wanted, candidates_of
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_qrels, read_run, write_qrels, write_run

FIRST_STAGE = "first_stage.trec"


def read_beir(
    folder: Path | str,
    *,
    split: str = "test",
    name: str | None = None,
    task_type: str | None = None,
    measure: str | None = None,
    first_stage: Path | None = None,
    needs_first_stage: bool = True,
) -> RerankTask:
    """A task from a folder: tables ``corpus`` and ``queries``, ``qrels/<split>.tsv``, and a first stage.

    The first stage is ``first_stage.trec``, else the one file ``run*.trec``, else the table ``top_ranked``
    (``query-id``, ``corpus-ids`` best first). What is not given is taken from ``task.json`` when it is there;
    otherwise the name is the folder's, the measure nDCG@10 and the task type what the items are.

    Args:
        folder: where the tables are.
        split: of the judgments, and of tables with files by split.
        name: what the task is called.
        task_type: one of the nine.
        measure: the main one.
        first_stage: a TREC run with the candidates.
        needs_first_stage: whether a folder without candidates is an error; else the task has none, to be found yet.

    Raises:
        DataError: naming the file and line at fault.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    facts: dict[str, Any] = {}
    if (about := folder / "task.json").is_file():
        facts = parse_json_object(read_text(about), where=str(about))
        check_known(facts, ("name", "task_type", "measure"), str(about))
        for key, value in facts.items():
            if not isinstance(value, str):
                raise DataError(f"{about}: {key}: a string is needed, this is {value!r}")
    corpus = _read_corpus(folder, split)
    queries, metadata = _read_queries(folder, split)
    return RerankTask(
        name=name or str(facts.get("name", folder.resolve().name)),
        task_type=task_type or facts.get("task_type") or _infer_type(queries.values(), corpus.values()),
        queries=queries,
        corpus=corpus,
        qrels=_read_judgments(folder, split),
        first_stage=read_run(first_stage)
        if first_stage
        else _read_first_stage(folder, split, needs_first_stage),
        measure=measure or str(facts.get("measure", "ndcg@10")),
        metadata=metadata,
    )


def beir_source(folder: Path, *, split: str = "test", instruction: str | None = None) -> TaskSource:
    """The folder that `read_beir` reads whole, as streams.

    Args:
        folder: where the tables are.
        split: of the judgments, and of tables with files by split.
        instruction: of the queries that do not bring their own.

    Raises:
        DataError: naming the file and line at fault, when it is read.
    """

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        rows = read_identified(_files(folder, "queries", split), QUERY_ID_KEYS, wanted=wanted)
        for where, query_id, row in rows:
            query = None if row is None else _query(row, query_id, folder, where)
            if query is not None and query.instruction is None:
                query = replace(query, instruction=instruction)
            yield where, query_id, query

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        rows = read_identified(_files(folder, "corpus", split), DOC_ID_KEYS, wanted=wanted)
        for where, doc_id, row in rows:
            item = None if row is None else record_item(row, root=folder, where=where)
            yield where, doc_id, None if item is None else Document(doc_id, item)

    return TaskSource(
        where=str(folder),
        qrels=lambda: _read_judgments(folder, split),
        queries=queries,
        documents=documents,
        candidates=lambda: _read_first_stage(folder, split, is_needed=False),
        metadata=lambda: _read_queries(folder, split)[1],
    )


def write_beir(task: RerankTask, folder: Path | str, *, split: str = "test") -> None:
    """Write a task as a folder that `read_beir` reads back as an equal one, with its candidates if it has any.

    Pictures become ``images/<sha256>.<format>``: file bytes as they are, Pillow images as PNG (so that their
    keys, which are of pixels, become keys of files).

    Raises:
        DataError: for a picture that cannot be read, or an id that TREC files cannot hold.
    """
    folder = Path(folder)

    def save(image: Image) -> str:
        return save_image(image, folder)

    corpus = ({"_id": d.doc_id, **item_record(d.item, save_image=save)} for d in task.corpus.values())
    atomic_write_jsonl(folder / "corpus.jsonl", corpus)
    rows = []
    for query in task.queries.values():
        row = {"_id": query.query_id, **item_record(query.item, save_image=save)}
        if query.instruction is not None:
            row["instruction"] = query.instruction
        if query.query_id in task.metadata:
            row["metadata"] = dict(task.metadata[query.query_id])
        rows.append(row)
    atomic_write_jsonl(folder / "queries.jsonl", rows)
    write_qrels(task.qrels, folder / "qrels" / f"{split}.tsv")
    if task.first_stage:  # an empty run could not be read
        write_run(task.first_stage, folder / FIRST_STAGE)
        ranked = (
            {"query-id": query_id, "corpus-ids": [document.doc_id for document in task.candidates(query_id)]}
            for query_id in task.first_stage
        )
        atomic_write_jsonl(folder / "top_ranked.jsonl", ranked)
    about = {"name": task.name, "task_type": task.task_type, "measure": task.measure}
    atomic_write_json(folder / "task.json", about)


def _read_corpus(folder: Path, split: str) -> dict[str, Document]:
    corpus: dict[str, Document] = {}
    for where, row in _table(folder, "corpus", split):
        doc_id = _unique_id(row, DOC_ID_KEYS, corpus, where)
        corpus[doc_id] = Document(doc_id, record_item(row, root=folder, where=where))
    return corpus


def _read_queries(folder: Path, split: str) -> tuple[dict[str, Query], dict[str, dict[str, str]]]:
    queries: dict[str, Query] = {}
    metadata: dict[str, dict[str, str]] = {}
    for where, row in _table(folder, "queries", split):
        query_id = _unique_id(row, QUERY_ID_KEYS, queries, where)
        queries[query_id] = _query(row, query_id, folder, where)
        if isinstance(facts := row.get("metadata"), dict) and facts:
            metadata[query_id] = {str(key): str(value) for key, value in facts.items()}
    return queries, metadata


def _query(row: Mapping[str, Any], query_id: str, root: Path, where: str) -> Query:
    instruction = row.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise DataError(f"{where}: instruction must be a string, this is {shorten(instruction)}")
    return Query(query_id, record_item(row, root=root, where=where), instruction)


def _read_judgments(folder: Path, split: str) -> dict[str, dict[str, int]]:
    for stem in (f"qrels/{split}", "qrels", f"qrels.{split}"):
        for suffix in (".tsv", ".tsv.gz", ".trec", ".txt", ".qrels"):
            if (path := folder / f"{stem}{suffix}").is_file():
                return read_qrels(path)
    if not find_table(folder, "qrels", split=split):
        raise DataError(f"{folder}: no judgments of split {split!r}; put qrels/{split}.tsv there")
    qrels: dict[str, dict[str, int]] = {}
    for where, row in _table(folder, "qrels", split):
        query_id, doc_id, relevance = (row.get(key) for key in ("query-id", "corpus-id", "score"))
        if query_id is None or doc_id is None or type(relevance) is not int:
            raise DataError(
                f"{where}: qrels have query-id, corpus-id and an integer score, not {shorten(row)}"
            )
        judged = qrels.setdefault(str(query_id), {})
        if str(doc_id) in judged:
            raise DataError(f"{where}: document {str(doc_id)!r} is given twice for query {str(query_id)!r}")
        judged[str(doc_id)] = relevance
    return qrels


def _read_first_stage(folder: Path, split: str, is_needed: bool) -> Run:
    runs = sorted({*folder.glob("run*.trec"), *folder.glob("run*.trec.gz")})
    runs = [path for path in (folder / FIRST_STAGE, folder / f"{FIRST_STAGE}.gz") if path.is_file()] or runs
    if len(runs) == 1:
        return read_run(runs[0])
    if runs and is_needed:
        names = ", ".join(path.name for path in runs)
        raise DataError(f"{folder}: several runs ({names}); name the first stage, or call it {FIRST_STAGE}")
    if runs:  # candidates are yet to be found, and none of these is meant
        return {}
    if not find_table(folder, "top_ranked", split=split):
        if not is_needed:
            return {}
        raise DataError(f"{folder}: no first stage; put {FIRST_STAGE} or top_ranked.jsonl there")
    return candidates_of(_table(folder, "top_ranked", split))


def _table(folder: Path, name: str, split: str) -> Iterable[tuple[str, dict[str, Any]]]:
    return read_table(_files(folder, name, split))


def _files(folder: Path, name: str, split: str) -> list[Path]:
    files = find_table(folder, name, split=split)
    if not files:
        raise DataError(f"{folder}: no {name}.jsonl, {name}.jsonl.gz or {name}.parquet")
    return files


def _unique_id(row: Mapping[str, Any], keys: tuple[str, ...], seen: Mapping[str, object], where: str) -> str:
    identifier = read_id(row, keys, where=where)
    if identifier is None:
        raise DataError(f"{where}: the row has no id ({', '.join(keys)}): {shorten(dict(row))}")
    if identifier in seen:
        raise DataError(f"{where}: id {identifier!r} is given twice")
    return identifier


def _infer_type(queries: Iterable[Query], documents: Iterable[Document]) -> str:
    def side(items: Iterable[Item]) -> str:
        kinds = {modality(item) for item in items}
        return kinds.pop() if len(kinds) == 1 else "it"

    return f"{side(q.item for q in queries)}2{side(d.item for d in documents)}"


def save_image(image: Image, folder: Path) -> str:
    """Store a picture as ``images/<sha256>.<format>`` below ``folder`` unless it is there; that path.

    Raises:
        DataError: for a picture that cannot be read, or a folder that cannot be written.
    """
    data = image.file_bytes()
    suffix = read_header(io.BytesIO(data), where=image.name).format.lower()
    relative = f"images/{Image(data).key}.{suffix}"
    if not (folder / relative).is_file():
        atomic_write_bytes(folder / relative, data)
    return relative
