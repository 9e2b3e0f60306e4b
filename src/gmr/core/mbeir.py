"""M-BEIR's files: queries and candidate pools as JSONL, TREC judgments with a fifth column, instructions as TSV.

The layout is that of the published data set: ``query/test/mbeir_cirr_task7_test.jsonl``,
``cand_pool/local/mbeir_cirr_task7_cand_pool.jsonl``, ``qrels/test/mbeir_cirr_task7_test_qrels.txt``,
``instructions/query_instructions.tsv`` and the pictures in ``mbeir_images/``; any of the files may also lie in the
folder itself. Source: the data set of arXiv 2311.17136.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import read_lines, shorten
from gmr.core.items import Item, Text, as_item
from gmr.core.nouns import Document, Query
from gmr.core.records import read_id, read_identified, read_table
from gmr.core.task_source import TaskSource, Wanted, first_file, judgments_of

MODALITIES = {
    0: ("text", "image"),
    1: ("text", "text"),
    2: ("text", "image,text"),
    3: ("image", "text"),
    4: ("image", "image"),
    6: ("image,text", "text"),
    7: ("image,text", "image"),
    8: ("image,text", "image,text"),
}
"""Task number -> modality of the queries, of the documents."""


def mbeir_source(
    folder: Path, *, config: str, split: str = "test", instruction: str | None = None
) -> TaskSource:
    """A task of M-BEIR in the pool of its own data set; a picture comes before the text of the same row.

    Args:
        folder: root of the data set; paths of pictures are relative to it.
        config: data set and task, such as ``cirr_task7``.
        split: of the queries.
        instruction: of every query; by default the first of the data set's own for the task, where there is a file
            of them.

    Raises:
        DataError: for a file that is not there, when it is read, and for a task number that is none of M-BEIR's.
    """
    name, _, number = config.rpartition("_task")
    task = int(number) if name and number.isdecimal() else None
    if task not in MODALITIES:
        tasks = ", ".join(map(str, MODALITIES))
        raise DataError(f"{folder}: config {config!r} names no task of M-BEIR, such as cirr_task7 ({tasks})")
    stem = f"mbeir_{config}"

    def needed(*names: str) -> Path:
        flat = [name.rpartition("/")[2] for name in names]
        if path := first_file(folder, [*names, *flat]):
            return path
        raise DataError(f"{folder}: no {names[0]}")

    def query_file() -> Path:
        return needed(f"query/{split}/{stem}_{split}.jsonl")

    def qrels() -> dict[str, dict[str, int]]:
        names = [f"qrels/{split}/{stem}_{split}_qrels.txt", f"{stem}_{split}_qrels.txt"]
        path = first_file(folder, names)
        return judgments_of(_judgments(path) if path else _positives(query_file()))

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        path = first_file(folder, ("instructions/query_instructions.tsv", "query_instructions.tsv"))
        own = _first_instructions(path) if path and instruction is None else None
        for where, query_id, row in read_identified([query_file()], ("qid",), wanted=wanted):
            query = None
            if row is not None:
                said = instruction
                if own is not None:
                    said = _instruction(own, query_id, MODALITIES[task], where)
                item = _item(row.get("query_txt"), row.get("query_img_path"), folder, where)
                query = Query(query_id, item, said)
            yield where, query_id, query

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        pools = (f"cand_pool/local/{stem}_cand_pool.jsonl", f"cand_pool/local/{stem}_{split}_cand_pool.jsonl")
        for where, doc_id, row in read_identified([needed(*pools)], ("did",), wanted=wanted):
            document = None
            if row is not None:
                document = Document(doc_id, _item(row.get("txt"), row.get("img_path"), folder, where))
            yield where, doc_id, document

    return TaskSource(f"{folder} ({config})", qrels, queries, documents)


def _item(text: Any, picture: Any, root: Path, where: str) -> Item:
    spelled: dict[str, Any] = {"image": picture or None, "text": text or None}
    if spelled == {"image": None, "text": None}:
        return (Text(""),)
    return as_item(spelled, where=where, root=root)


def _judgments(path: Path) -> Iterator[tuple[str, str, str, object]]:
    """Rows of the published judgments: query, 0, document, relevance, and the task that we do not need."""
    for number, line in read_lines(path):
        columns = line.split()
        where = f"{path}:{number}"
        if not columns:
            continue
        if len(columns) not in (4, 5) or not re.fullmatch(r"[+-]?[0-9]+", columns[3]):
            raise DataError(
                f"{where}: judgments are query, 0, document, relevance, task; this is {shorten(line)}"
            )
        yield where, columns[0], columns[2], int(columns[3])


def _positives(path: Path) -> Iterator[tuple[str, str, str, object]]:
    """Judgments of the queries' own lists, for a set without a file of them.

    Positives of another data set (OVEN and InfoSeek name some of each other's) are not in the local pool, and not
    counted by the authors' own evaluation either.
    """
    for where, row in read_table([path]):
        query_id, positives = read_id(row, ("qid",), where=where), row.get("pos_cand_list")
        if query_id is None or not isinstance(positives, list):
            raise DataError(f"{where}: a query has qid and a list pos_cand_list, not {shorten(row)}")
        for doc_id in positives:
            if _dataset(str(doc_id)) == _dataset(query_id):
                yield where, query_id, str(doc_id), 1


def _first_instructions(path: Path) -> dict[tuple[str, str, str], str]:
    """(data set, modality of query, of document) -> the first of the instructions given for it."""
    # Columns: query modality, document modality, name, number of the data set, then the paraphrases.
    found: dict[tuple[str, str, str], str] = {}
    for number, line in read_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        sentences = [sentence for sentence in columns[4:] if sentence]
        if number == 1 or not any(columns):
            continue
        if not sentences:
            raise DataError(
                f"{path}:{number}: no instruction in the fifth column or after it: {shorten(line)}"
            )
        found[columns[3], columns[0], columns[1]] = sentences[0]
    return found


def _instruction(
    known: Mapping[tuple[str, str, str], str], query_id: str, modalities: tuple[str, str], where: str
) -> str:
    key = (_dataset(query_id), *modalities)
    if key not in known:
        raise DataError(
            f"{where}: no instruction for data set {key[0]}, {key[1]} to {key[2]}; give one for the task"
        )
    return known[key]


def _dataset(identifier: str) -> str:
    return identifier.partition(":")[0]
