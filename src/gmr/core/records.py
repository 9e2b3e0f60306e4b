"""Records on disk: the rows of JSONL and Parquet tables, and items spelled in them."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
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


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(f"{path}: reading Parquet needs pyarrow (pip install pyarrow), or write it as .jsonl")
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                yield number, cast(dict[str, Any], row)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}:{number + 1}: not Parquet that can be read ({type(error).__name__})"
        ) from None
