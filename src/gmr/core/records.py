"""Records on disk: the rows of JSONL and Parquet tables, and items spelled in them."""

import importlib.util
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from gmr.core.errors import DataError
from gmr.core.files import read_jsonl, shorten
from gmr.core.items import Image, Item, Text, as_item

DOC_ID_KEYS = ("doc_id", "_id", "id")
QUERY_ID_KEYS = ("query_id", "_id", "id")
ITEM_KEYS = ("title", "text", "image", "content")
TABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


def find_table(folder: Path, name: str, *, split: str | None = None) -> list[Path]:
    """The files of a table: ``name.jsonl``, ``.jsonl.gz`` or ``.parquet``, or such files in ``name/``.

    Of the files in ``name/`` those of the split are taken when their names start with it; no files, no table.
    """
    for suffix in TABLE_SUFFIXES:
        if (path := folder / f"{name}{suffix}").is_file():
            return [path]
        files = sorted((folder / name).glob(f"*{suffix}"))
        if files:
            return [path for path in files if split and path.name.startswith(split)] or files
    return []


def read_table(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a table's files, with the place (``path:line``) that an error names.

    Raises:
        DataError: for a row that cannot be read, and for Parquet when pyarrow is not installed.
    """
    for path in paths:
        rows = _read_parquet(path) if path.suffix == ".parquet" else read_jsonl(path)
        for number, row in rows:
            yield f"{path}:{number}", row


def read_identified(
    paths: Sequence[Path], keys: Sequence[str], *, wanted: Container[str] | None = None
) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Place, id and row of every row of a table; None for a row that is not wanted.

    Of Parquet the ids are read first, and the other columns only where a row is wanted: a corpus of a million
    pictures is walked through without reading them.

    Args:
        paths: the files of the table.
        keys: columns that may hold the id, as in `read_id`.
        wanted: ids; None for every row.

    Raises:
        DataError: as `read_table`, and for a row without an id.
    """
    for path in paths:
        rows = _read_parquet(path, keys, wanted) if path.suffix == ".parquet" else read_jsonl(path)
        for number, row in rows:
            where = f"{path}:{number}"
            identifier = read_id(row, keys, where=where)
            if identifier is None:
                raise DataError(f"{where}: the row has no id ({', '.join(keys)}): {shorten(row)}")
            yield where, identifier, row if wanted is None or identifier in wanted else None


def read_id(record: Mapping[str, Any], keys: Sequence[str], *, where: str) -> str | None:
    """The first of ``keys`` that the record has, as a string; None when it has none of them.

    Raises:
        DataError: for an id that is neither a non-empty string nor an integer.
    """
    for key in keys:
        if key in record:
            value = record[key]
            if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
                raise DataError(f"{where}: {key} must be a string or an integer, this is {shorten(value)}")
            return str(value)
    return None


def record_item(record: Mapping[str, Any], *, root: Path | None, where: str) -> Item:
    """The item of a row: ``title`` and ``text`` joined, ``image``, ``content``; other columns are not read.

    A row of a corpus may have an empty text: it is scored like any other, never dropped.

    Raises:
        DataError: for a row with none of these columns, or what `as_item` refuses.
    """
    spelled = {key: record[key] for key in record if key in ITEM_KEYS and record[key] is not None}
    if title := spelled.pop("title", ""):
        if not isinstance(title, str) or not isinstance(spelled.get("text", ""), str):
            raise DataError(f"{where}: title and text must be strings, these are {shorten(record)}")
        text = f"{title} {spelled.get('text', '')}".strip()
        spelled = spelled | {"text": text} if "text" in spelled else {"text": text} | spelled
    if spelled == {"text": ""}:
        return (Text(""),)
    if not spelled:
        raise DataError(f"{where}: the row has neither text, image nor content: {shorten(dict(record))}")
    return as_item(spelled, where=where, root=root)


def item_record(item: Item, *, save_image: Callable[[Image], str]) -> dict[str, Any]:
    """The row that `record_item` reads as the same item: ``text`` and ``image``, or ``content`` when longer.

    Args:
        item: any item.
        save_image: stores a picture and gives the path to write for it.
    """
    parts = [
        {"type": "image", "image": save_image(part)} if isinstance(part, Image) else _text_part(part)
        for part in item
    ]
    record = {part["type"]: part[part["type"]] for part in parts}
    return record if len(record) == len(parts) else {"content": parts}


def _text_part(part: Text) -> dict[str, str]:
    return {"type": "text", "text": part.text}


def _read_parquet(
    path: Path, keys: Sequence[str] = (), wanted: Container[str] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row in order; of one that is not wanted the id alone, so that its other columns are not read."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(f"{path}: reading Parquet needs pyarrow (pip install pyarrow), or write it as .jsonl")
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        file = parquet.ParquetFile(path)
        rows = _rows_of(file) if wanted is None else _wanted_rows(file, path, keys, wanted)
        for row in rows:
            number += 1
            yield number, cast(dict[str, Any], row)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}:{number + 1}: not Parquet that can be read ({type(error).__name__})"
        ) from None


def _rows_of(file: Any) -> Iterator[Any]:
    for batch in file.iter_batches(batch_size=256):
        yield from batch.to_pylist()


def _wanted_rows(file: Any, path: Path, keys: Sequence[str], wanted: Container[str]) -> Iterator[Any]:
    columns = file.schema_arrow.names
    key = next((key for key in keys if key in columns), None)
    if key is None:
        raise DataError(f"{path}: no id column ({', '.join(keys)}); there are {', '.join(columns)}")
    for group in range(file.num_row_groups):
        ids = file.read_row_group(group, columns=[key]).column(0).to_pylist()
        places = [place for place, identifier in enumerate(ids) if str(identifier) in wanted]
        rows = _rows_at(file, group, places)  # a generator: without places nothing is read
        for identifier in ids:
            yield next(rows) if str(identifier) in wanted else {key: identifier}


def _rows_at(file: Any, group: int, places: Sequence[int]) -> Iterator[Any]:
    start = 0
    for batch in file.iter_batches(batch_size=256, row_groups=[group]):
        end = start + len(batch)
        inside = [place - start for place in places[bisect_left(places, start) : bisect_left(places, end)]]
        if inside:
            yield from batch.take(inside).to_pylist()
        start = end
