"""HTML made of functions: what is not markup is escaped, pictures are inlined, a page is one file."""

import base64
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gmr.core.items import Image, Item

# Pictures are shown, not archived: larger ones are reduced so that a page with hundreds stays readable.
MAX_SIDE = 256
# Nothing is fetched and nothing runs, whatever a text or a picture of a user contains.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Controls but tab and line feed, and lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# These would swallow what follows, or need no end tag.
VOID_ELEMENTS = {"br", "img", "meta", "hr", "col"}


class Markup(str):
    """Text that is HTML already; any other ``str`` is escaped where it meets markup."""

    __slots__ = ()


Content = str | Markup


def escape(text: Content) -> Markup:
    """``text`` as markup; what is markup already is returned as it is.

    Characters that HTML forbids (controls, lone surrogates) become the replacement character.
    """
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(without_controls(text), quote=True))


def without_controls(text: str) -> str:
    """``text`` with the replacement character for every character that HTML forbids."""
    return _FORBIDDEN.sub("\ufffd", text)


def tag(
    name: str, content: Content | Iterable[Content] = (), attributes: Mapping[str, str] | None = None
) -> Markup:
    """One element.

    Args:
        name: Of the element; ours, never a user's.
        content: What it holds: text, which is escaped, or markup, or several of these.
        attributes: Values are escaped.
    """
    words = "".join(f' {key}="{escape(str(value))}"' for key, value in (attributes or {}).items())
    if name in VOID_ELEMENTS:
        return Markup(f"<{name}{words}>")
    parts = [content] if isinstance(content, str) else content
    return Markup(f"<{name}{words}>{join(parts)}</{name}>")


def join(parts: Iterable[Content]) -> Markup:
    """The parts one after the other, each escaped unless it is markup."""
    return Markup("".join(escape(part) for part in parts))


def table(header: Sequence[Content], rows: Iterable[Sequence[Content]], *, classes: str = "") -> Markup:
    """A table in a frame that scrolls sideways in a narrow window; a cell may be a ``<td>`` already."""
    head = tag("tr", [_cell("th", cell) for cell in header])
    body = [tag("tr", [_cell("td", cell) for cell in row]) for row in rows]
    return tag(
        "div", tag("table", [tag("thead", head), tag("tbody", body)], {"class": classes}), {"class": "scroll"}
    )


def picture(image: "Image", *, label: str = "", max_side: int = MAX_SIDE) -> Markup:
    """The picture as a PNG inside the page; its file's own bytes and metadata never reach the page.

    Raises:
        DataError: The picture cannot be read.
    """
    opened = image.open()
    opened.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    opened.save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = opened.size
    attributes = {
        "src": f"data:image/png;base64,{data}",
        "width": str(width),
        "height": str(height),
        "alt": label,
        "loading": "lazy",
    }
    # An icon of a few pixels is shown large enough to see, without blur.
    return tag("img", (), attributes | ({"class": "small"} if max(width, height) <= 64 else {}))


def item(value: "Item", *, label: str = "") -> Markup:
    """A query or a document as it is: its parts, in their order."""
    from gmr.core.items import Text

    parts = [
        tag("span", part.text, {"class": "text"}) if isinstance(part, Text) else picture(part, label=label)
        for part in value
    ]
    return tag("div", parts, {"class": "item"})


def page(title: str, body: Iterable[Content], *, subtitle: str = "", more_style: str = "") -> str:
    """A whole HTML document in one file: no script, no font, no picture from elsewhere.

    Args:
        title: Of the window and the page.
        body: What the page holds.
        subtitle: One line under the title.
        more_style: Style sheet of this page, ours alone: put behind that of all pages as it is.
    """
    style = files("gmr.reports").joinpath("page.css").read_text(encoding="utf-8") + more_style
    head = [
        tag("meta", (), {"charset": "utf-8"}),
        tag("meta", (), {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", (), {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", (), {"name": "color-scheme", "content": "light dark"}),
        tag("title", title),
        tag("style", Markup(style)),
    ]
    heading = [tag("h1", title), *([tag("p", subtitle, {"class": "subtitle"})] if subtitle else [])]
    main = tag("main", [tag("header", heading), *body])
    return f"<!DOCTYPE html>\n{tag('html', [tag('head', head), tag('body', main)], {'lang': 'en'})}\n"


def _cell(name: str, content: Content) -> Markup:
    if isinstance(content, Markup) and content.startswith(("<td", "<th")):
        return content
    return tag(name, content)
