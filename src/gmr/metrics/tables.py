"""A table of measured values as aligned text, Markdown, LaTeX or CSV."""

import csv
import io
import unicodedata
from collections.abc import Callable, Collection, Sequence

Rows = Sequence[Sequence[str]]


def text_table(header: Sequence[str], rows: Rows) -> str:
    """Columns two spaces apart under a ruled header; the first is flush left, the others are flush right."""
    widths = _widths(header, rows)
    rule = ["-" * width for width in widths]
    return "".join("  ".join(_aligned(row, widths)).rstrip() + "\n" for row in [header, rule, *rows])


def markdown_table(header: Sequence[str], rows: Rows) -> str:
    """A Markdown pipe table whose source is aligned too."""
    escaped = [_escape_pipes(row) for row in [header, *rows]]
    widths = [max(3, width) for width in _widths(escaped[0], escaped[1:])]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_aligned(escaped[0], widths), rule, *(_aligned(row, widths) for row in escaped[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def compact_markdown_table(header: Sequence[str], rows: Rows, *, right: Collection[str]) -> str:
    """A Markdown pipe table whose source is not padded; the columns headed by one of ``right`` are flush right."""
    _check_rectangular(header, rows)
    rule = ["---:" if name in right else "---" for name in header]
    lines = [_escape_pipes(header), rule, *map(_escape_pipes, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex_table(header: Sequence[str], rows: Rows) -> str:
    """A LaTeX ``tabular`` with the rules of booktabs."""
    escaped = [[escape_latex(cell) for cell in row] for row in [header, *rows]]
    widths = _widths(escaped[0], escaped[1:])
    head, *body = (" & ".join(_aligned(row, widths)).rstrip() + " \\\\" for row in escaped)
    columns = "l" + "r" * (len(header) - 1)
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head, "\\midrule", *body, "\\bottomrule"]
    return "\n".join([*lines, "\\end{tabular}", ""])


def csv_table(header: Sequence[str], rows: Rows) -> str:
    """Comma-separated values with the quoting of RFC 4180."""
    _check_rectangular(header, rows)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


TABLES: dict[str, Callable[[Sequence[str], Rows], str]] = {
    "text": text_table,
    "markdown": markdown_table,
    "latex": latex_table,
    "csv": csv_table,
}

_LATEX = {
    "\\": r"\textbackslash{}",
    "→": r"$\to$",
    "±": r"$\pm$",
    "−": r"$-$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def escape_latex(cell: str) -> str:
    """``cell`` as LaTeX prints it, its special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in cell)


def _check_rectangular(header: Sequence[str], rows: Rows) -> None:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells under {len(header)} headings: {list(row)}")


def _escape_pipes(row: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in row]


def _widths(header: Sequence[str], rows: Rows) -> list[int]:
    _check_rectangular(header, rows)
    return [max(map(_width, column)) for column in zip(header, *rows, strict=True)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    spaces = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
    return [
        cell + space if i == 0 else space + cell
        for i, (cell, space) in enumerate(zip(row, spaces, strict=True))
    ]


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
