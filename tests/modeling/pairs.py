"""Short spellings of queries, documents and pictures for the prompt tests."""

import PIL.Image

from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query


def picture(width: int = 56, height: int = 56, shade: int = 0) -> Image:
    """A plain picture; another shade is another picture."""
    return Image(PIL.Image.new("RGB", (width, height), (shade, 0, 0)))


def item(*parts: str | Image) -> Item:
    """An item of texts and pictures, empty texts allowed."""
    return tuple(Text(part) if isinstance(part, str) else part for part in parts)


def query(*parts: str | Image, instruction: str | None = None) -> Query:
    """A query called q."""
    return Query("q", item(*parts), instruction)


def document(*parts: str | Image) -> Document:
    """A document called d."""
    return Document("d", item(*parts))
