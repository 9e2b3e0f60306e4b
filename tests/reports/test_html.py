"""Pages made of functions: escaping, pictures, one file."""

import base64
import html as stdlib_html
import io
import re
from html.parser import HTMLParser

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.items import Image, Text
from gmr.reports.html import VOID_ELEMENTS, Markup, escape, item, page, picture, table, tag


class Reader(HTMLParser):
    """Tags, attributes and text as a browser's parser would see them; notes tags that do not match."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        self.attributes += attributes
        if name not in VOID_ELEMENTS:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = [
    "<script>alert(1)</script>",
    '" onerror="alert(1)',
    "</style><b>",
    "&lt;",
    "<!--",
    "]]>",
    "a'b",
    "\x00\x1b[2J",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_never_becomes_markup(text: str) -> None:
    read = Reader(tag("p", text, {"title": text}))
    assert read.tags == ["p"]
    assert [name for name, _ in read.attributes] == ["title"]
    assert not read.open


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_without_controls_reads_back_as_it_was(text: str) -> None:
    assert Reader(tag("p", text)).text == text


@given(st.text())
def test_any_text_gives_characters_that_can_be_written_to_a_file(text: str) -> None:
    escaped = escape(text)
    assert escaped.encode("utf-8").decode("utf-8") == escaped
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", escaped)


def test_markup_is_not_escaped_twice() -> None:
    inner = tag("b", "a & b")
    assert tag("p", inner) == "<p><b>a &amp; b</b></p>"
    assert escape(escape("<")) == escape("<") == "&lt;"


def test_a_table_cell_may_bring_its_own_element() -> None:
    made = table(["x"], [[tag("td", "1", {"class": "n"})], ["<2>"]])
    assert '<td class="n">1</td>' in made
    assert f"<td>{stdlib_html.escape('<2>')}</td>" in made


def decoded(markup: str) -> PIL.Image.Image:
    data = re.search(r"data:image/png;base64,([^\"]+)", markup)
    assert data is not None
    return PIL.Image.open(io.BytesIO(base64.b64decode(data.group(1))))


def test_a_picture_is_a_png_with_the_same_pixels() -> None:
    original = PIL.Image.new("RGB", (20, 10), (200, 30, 60))
    shown = decoded(picture(Image(original)))
    assert (shown.format, shown.size) == ("PNG", (20, 10))
    assert shown.convert("RGB").tobytes() == original.tobytes()


def test_a_large_picture_is_reduced_in_proportion() -> None:
    shown = decoded(picture(Image(PIL.Image.new("RGB", (1000, 500))), max_side=256))
    assert shown.size == (256, 128)


def test_metadata_of_a_file_does_not_reach_the_page() -> None:
    buffer = io.BytesIO()
    exif = PIL.Image.Exif()
    exif[0x010E] = "taken at a secret place"
    PIL.Image.new("RGB", (8, 8)).save(buffer, format="JPEG", exif=exif, comment=b"secret comment")
    assert b"secret" in buffer.getvalue()
    shown = picture(Image(buffer.getvalue()))
    data = re.search(r"base64,([^\"]+)", shown)
    assert data is not None
    assert b"secret" not in base64.b64decode(data.group(1))


def test_an_item_shows_its_parts_in_order() -> None:
    red, blue = (Image(PIL.Image.new("RGB", (8, 8), colour)) for colour in ("red", "blue"))
    made = item((Text("one"), red, Text("two"), blue))
    assert re.sub(r"data:[^\"]+", "", made).count("<img") == 2
    assert re.findall(r"one|two|<img", made) == ["one", "<img", "two", "<img"]


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    made = page("A <title>", [tag("p", "body")], subtitle="& more")
    read = Reader(made)
    assert not read.open
    assert "script" not in read.tags
    addresses = [value or "" for name, value in read.attributes if name in ("src", "href", "action")]
    assert not [address for address in addresses if not address.startswith("data:")]
    assert "default-src 'none'" in dict(read.attributes)["content"] or "default-src &#x27;none&#x27;" in made
    assert "url(" not in made
    assert "@import" not in made


def test_markup_is_a_string_and_only_markup_is_trusted() -> None:
    assert isinstance(Markup("<b>"), str)
    assert escape(str(Markup("<b>"))) == "&lt;b&gt;"
