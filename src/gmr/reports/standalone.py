"""A figure of a page as a file of its own: with the page's colours and fonts inside, light and dark."""

from importlib.resources import files

from gmr.reports.html import Markup

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'


def standalone(figure: Markup) -> str:
    """The text of an SVG file for an ``<svg>`` that takes its colours from a page.

    Raises:
        ValueError: It is no ``<svg>`` element.
    """
    opening, found, rest = figure.partition(">")
    if not figure.startswith("<svg") or not found:
        raise ValueError(f"not an <svg> element: {figure[:40]!r}")
    style = f"{_colours()}\nsvg {{ background: var(--paper); font-family: {FONT}; }}"
    return f"{opening}><style>\n{style}\n</style>{rest}\n"


def _colours() -> str:
    """The blocks of the page's style that name its colours: the first two, before any rule for elements."""
    css = files("gmr.reports").joinpath("page.css").read_text(encoding="utf-8")
    return css[: css.index("* {")].strip()
