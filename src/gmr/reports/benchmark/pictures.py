"""Pictures of a page that shows each of them many times: kept once, referred to wherever they stand."""

import base64
import io
from typing import Any

import PIL.Image

from gmr.core.errors import DataError
from gmr.core.items import Image, Item, Text
from gmr.reports.html import Markup, tag

# Enough to recognise a photograph or the layout of a page; the text of a page can be read at its large size.
MAX_SIDE = 320
JPEG_QUALITY = 80
# More colours than these has no drawing.
DRAWN_COLOURS = 4096


class Pictures:
    """The distinct pictures of a page.

    A picture is re-encoded, as PNG or JPEG, whichever is smaller: its file's own bytes and metadata never reach the
    page. ``size`` counts the characters that all of them take.
    """

    def __init__(self, *, max_side: int = MAX_SIDE) -> None:
        self.size = 0
        self._max_side = max_side
        self._known: dict[str, tuple[str, int, int]] = {}
        self._markup: list[Markup] = []

    def item(self, item: Item, *, label: str, max_chars: int, element: str = "div") -> Markup:
        """A query or document as it is, its parts in their order; long texts are cut with an ellipsis.

        In the place of a picture that cannot be read stands why.
        """
        parts = [
            tag("span", _cut(part.text, max_chars), {"class": "text", "dir": "auto"})
            if isinstance(part, Text)
            else self._use(part, label=label)
            for part in item
        ]
        return tag(element, parts, {"class": "item"})

    def definitions(self) -> Markup:
        """The pictures themselves, invisible where they stand."""
        held = tag("defs", self._markup)
        return tag("svg", held, {"width": "0", "height": "0", "class": "pictures", "aria-hidden": "true"})

    def _use(self, image: Image, *, label: str) -> Markup:
        try:
            name, width, height = self._known.get(image.key) or self._add(image)
        except DataError as error:  # of a run that gave such documents the last place
            return tag("span", f"[{error}]", {"class": "text broken"})
        attributes = {
            "class": "picture small" if max(width, height) <= 64 else "picture",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "aria-label": label,
        }
        return tag("svg", tag("use", "", {"href": f"#{name}"}), attributes)

    def _add(self, image: Image) -> tuple[str, int, int]:
        opened = image.open()
        opened.thumbnail((self._max_side, self._max_side))
        encoded = [(_encode(opened, "JPEG", quality=JPEG_QUALITY), "jpeg")]
        if opened.getcolors(DRAWN_COLOURS) is not None:  # of a photograph the PNG is never the smaller
            encoded.append((_encode(opened, "PNG", optimize=True), "png"))
        data, kind = min(encoded, key=lambda each: len(each[0]))
        name, (width, height) = f"picture-{len(self._known)}", opened.size
        attributes = {
            "id": name,
            "width": str(width),
            "height": str(height),
            "href": f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}",
        }
        self._markup.append(tag("image", "", attributes))
        self.size += len(self._markup[-1])
        self._known[image.key] = (name, width, height)
        return self._known[image.key]


def _encode(picture: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1].rstrip()}…"
