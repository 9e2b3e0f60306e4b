"""Pictures that lie in tables, unpacked into files once, so that a large test set need not be held in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gmr.core.beir import save_image
from gmr.core.items import Image, Item
from gmr.core.nouns import Document, Query
from gmr.core.task_source import TaskSource, Wanted

Owner = TypeVar("Owner", Query, Document)


def unpacked(source: TaskSource, folder: Path) -> TaskSource:
    """The source with every picture that it holds as bytes stored as a file below ``folder`` and read from there.

    Equal pictures are one file, named after its content; what is there already is not written again.

    Raises:
        DataError: when it is read, for a folder that cannot be written.
    """

    def queries(wanted: Wanted) -> Iterator[tuple[str, str, Query | None]]:
        for place, query_id, query in source.queries(wanted):
            yield place, query_id, None if query is None else _stored(query, folder)

    def documents(wanted: Wanted) -> Iterator[tuple[str, str, Document | None]]:
        for place, doc_id, document in source.documents(wanted):
            yield place, doc_id, None if document is None else _stored(document, folder)

    return replace(source, queries=queries, documents=documents)


def _stored(owner: Owner, folder: Path) -> Owner:
    item: Item = tuple(
        Image(folder / save_image(part, folder))
        if isinstance(part, Image) and isinstance(part.source, bytes)
        else part
        for part in owner.item
    )
    return replace(owner, item=item)
