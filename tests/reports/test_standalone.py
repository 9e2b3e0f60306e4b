"""A figure in a file of its own is a document, and names no colour that it does not define."""

import re
from xml.etree import ElementTree

import pytest

from gmr.reports.figures import drawing, stand_in, to_svg
from gmr.reports.html import Markup
from gmr.reports.standalone import standalone


def test_a_figure_becomes_a_document_with_its_colours() -> None:
    with drawing() as new_figure:
        figure = new_figure(4.0, 2.0)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=stand_in(0), label="a < b & c")
        axes.legend()
        text = standalone(to_svg(figure, {stand_in(0): "--model-1"}, label="a line"))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    used = set(re.findall(r"var\((--[\w-]+)\)", text))
    defined = set(re.findall(r"(--[\w-]+):", text))
    assert "--model-1" in used
    assert used <= defined
    assert "prefers-color-scheme: dark" in text


def test_what_is_no_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="not an <svg> element"):
        standalone(Markup("<p>text</p>"))
