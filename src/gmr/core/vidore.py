"""ViDoRe's test sets: rows of a question and the page that answers it, or mteb's tables of pages and questions.

In the first version of ViDoRe each row has ``query`` and ``image``. Each distinct picture is a document, the question
of a row a query and the row's page its one relevant document; ids are numbers of rows from 0, a document's that of the
first row that shows it. A row without a question is only a page.
"""

from collections.abc import Iterator
from pathlib import Path

from gmr.core.dataset_card import read_card, table_files
from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.items import Item, Text, as_item, item_key
from gmr.core.mteb_layout import language_of, mteb_source
from gmr.core.nouns import Document, Query
from gmr.core.records import read_table
from gmr.core.task_source import TaskSource, Wanted


def vidore_source(
    folder: Path, *, split: str = "test", instruction: str | None = None, language: str | None = None
) -> TaskSource:
    """A test set of ViDoRe: with a table ``corpus`` as mteb's layout, else as rows of question and page.

    Args:
        folder: with the tables as Parquet or JSONL.
        split: of the rows.
        instruction: of every query.
        language: of the questions, where a column says it; all by default.

    Raises:
        DataError: for rows without a picture or with a question that is no text, when they are read.
    """
    card = read_card(folder)
    if table_files(folder, card, "corpus", split=split):
        return mteb_source(folder, split=split, instruction=instruction, language=language)
    found = (table_files(folder, card, name, split=split) for name in ("default", "data"))
    files = next((paths for paths in found if paths), [])
    if not files:
        raise DataError(
            f"{folder}: neither a table corpus nor rows of query and image in data/{split}-*.parquet"
        )
    rows: list[
        tuple[str, str, str | None, str]
    ] = []  # place, row, question, the row that showed the page first

    def read_rows() -> list[tuple[str, str, str | None, str]]:
        first: dict[str, str] = {}
        if not rows:
            for number, (where, question, item) in enumerate(_rows(files, folder, language)):
                page = first.setdefault(item_key(item), str(number))
                rows.append((where, str(number), question, page))
        return rows

    def qrels() -> dict[str, dict[str, int]]:
        return {number: {page: 1} for _, number, question, page in read_rows() if question is not None}

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        for where, number, question, _ in read_rows():
            if question is not None:
                is_wanted = wanted is None or number in wanted
                yield where, number, Query(number, (Text(question),), instruction) if is_wanted else None

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        pages = {page for _, _, _, page in read_rows()}
        for number, (where, _, item) in enumerate(_rows(files, folder, None)):
            if (doc_id := str(number)) in pages:
                is_wanted = wanted is None or doc_id in wanted
                yield where, doc_id, Document(doc_id, item) if is_wanted else None

    return TaskSource(str(folder), qrels, queries, documents)


def _rows(files: list[Path], root: Path, language: str | None) -> Iterator[tuple[str, str | None, Item]]:
    """Place, question and page of every row; a question in another language is none."""
    for where, row in read_table(files):
        picture, question = row.get("image"), row.get("query")
        if picture is None:
            raise DataError(f"{where}: the row has no image: {shorten(sorted(row))}")
        if question is not None and not isinstance(question, str):
            raise DataError(f"{where}: query must be a string, this is {shorten(question)}")
        if question and language is not None and language_of(row, where) != language:
            question = None
        yield where, question or None, as_item({"image": picture}, where=where, root=root)
