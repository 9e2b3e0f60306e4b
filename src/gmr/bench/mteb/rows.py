"""Items as rows of mteb's tables, and back: columns ``text``, ``image`` and, where these say too little, ``content``.

mteb's tables hold one text and one picture a row. What they cannot say (pictures before texts, several of either,
white space at the ends) stands in ``content``: a JSON list of the item's parts in their order, as in chat messages,
whose pictures are those of ``image``, one after the other. Other models of mteb read ``text`` and ``image`` and
never see it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.items import Image, Item, Part, Text, as_item, images_of, text_of


def item_row(item: Item, *, strip: bool) -> dict[str, Any]:
    """The columns of an item: ``text``, a list ``image`` of pictures as datasets stores them, and ``content``.

    ``content`` is empty where `row_item`, with the same ``strip``, reads the same item from the other two.

    Raises:
        DataError: A picture cannot be read.
    """
    pictures = images_of(item)
    row: dict[str, Any] = {"text": text_of(item), "image": list(pictures), "content": ""}
    if row_item(row, where="item", strip=strip) != item:
        row["content"] = json.dumps([_content_part(part) for part in item], ensure_ascii=False)
    row["image"] = [{"bytes": picture.file_bytes(), "path": None} for picture in pictures]
    return row


def row_item(row: Mapping[str, Any], *, where: str, strip: bool) -> Item:
    """The item of a row: what its ``content`` says, else its text and then its pictures.

    Args:
        row: ``text`` (a string or None), ``image`` (a picture, a list of them, or None), ``content``.
        where: what the row is called in an error.
        strip: whether white space at the ends of the text is cut, as mteb does with documents.

    Raises:
        DataError: A picture cannot be read, or ``content`` names more or fewer pictures than ``image`` has.
    """
    text = row.get("text") or ""
    if not isinstance(text, str):
        raise DataError(f"{where}: text must be a string, this is {shorten(text)}")
    given = row.get("image")
    given = given if isinstance(given, (list, tuple)) else [given]
    pictures = [part for each in given if each is not None for part in as_item(_picture(each), where=where)]
    if content := row.get("content"):
        return _read_content(content, pictures, where)
    text = text.strip() if strip else text
    texts: list[Part] = [Text(text)] if text else []
    return tuple(texts + pictures) or (Text(""),)


def _picture(value: Any) -> Any:
    # A string in a column of pictures is a path; as_item would take a bare string for text.
    return {"image": value} if isinstance(value, (str, Mapping)) else value


def _content_part(part: Part) -> dict[str, str]:
    return {"type": "image"} if isinstance(part, Image) else {"type": "text", "text": part.text}


def _read_content(content: object, pictures: Sequence[Part], where: str) -> Item:
    try:
        parts = json.loads(str(content))
        kinds = [(part["type"], part.get("text")) for part in parts]
        known = all(kind == "image" or (kind == "text" and isinstance(text, str)) for kind, text in kinds)
    except (ValueError, TypeError, KeyError, AttributeError):
        known = False
    if not known or not kinds:
        raise DataError(f"{where}: content is no JSON list of parts (text, image): {shorten(content)}")
    num_images = sum(kind == "image" for kind, _ in kinds)
    if num_images != len(pictures):
        raise DataError(f"{where}: content has {num_images} pictures, the column image {len(pictures)}")
    left = iter(pictures)
    return tuple(next(left) if kind == "image" else Text(str(text)) for kind, text in kinds)
