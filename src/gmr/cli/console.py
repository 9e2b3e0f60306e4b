"""What the command line prints: results to stdout, the rest to stderr, control characters made visible."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import cleandoc
from typing import Any, TextIO

# Controls, line separators, bidirectional overrides, lone surrogates: each can rewrite what a terminal shows.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

PIPE_WIDTH = 10_000


def printable(text: str) -> str:
    r"""``text`` with control characters spelled out (``\x1b``, ``\n``, ``\u202e``), safe on any terminal."""
    return _CONTROL.sub(lambda match: ascii(match.group())[1:-1], text)


def shorten(text: str, *, width: int) -> str:
    """``text`` on one line of at most ``width`` characters, with an ellipsis where it was cut."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def json_line(record: Mapping[str, Any]) -> str:
    r"""``record`` as one line of JSON in which control characters are written as ``\u....``."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", line)


def print_line(line: str = "") -> None:
    """Write one line of a result to stdout."""
    print(line)


def print_note(message: str) -> None:
    """Write one line that is not a result to stderr."""
    print(printable(message), file=sys.stderr)


class _Notes(logging.Handler):
    """Shows what the library logs as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message; no level and no logger's name, which mean nothing to who typed the command."""
        print_note(record.getMessage())


@contextmanager
def showing_log() -> Iterator[None]:
    """While inside, what ``gmr`` logs from level INFO up is shown on stderr."""
    logger, handler = logging.getLogger("gmr"), _Notes()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    header: bool = True,
    is_dense: bool = False,
    file: TextIO | None = None,
) -> None:
    """Write a table to stdout (or ``file``): plain text in a pipe, colours on a terminal.

    Args:
        columns: Headings.
        rows: Cells as plain text; markup in them is shown, not obeyed.
        title: Line above the table.
        right: Headings of the columns whose cells are set to the right.
        header: Show the headings.
        is_dense: Two blanks between columns instead of three.
        file: Where to, stdout when not given.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    target = file or sys.stdout
    # A pipe has no width: whatever reads it gets whole cells.
    width = None if target.isatty() else PIPE_WIDTH
    table = Table(title=Text(printable(title)) if title else None, box=SIMPLE_HEAD if header else None)
    table.title_justify, table.pad_edge, table.show_header = "left", False, header
    if is_dense:
        table.padding = (0, 1, 0, 0)
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(file=target, width=width, highlight=False).print(table)


def print_text(text: str, *, style: str = "") -> None:
    """Write a paragraph to stdout, on a terminal with its words wrapped and in the ``style`` of rich."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    console.print(Text(printable(text), style=style))


def terminal_width() -> int:
    """Characters on a line of stdout; many in a pipe."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else PIPE_WIDTH


def examples(*commands: str, title: str = "Examples") -> str:
    """The end of a command's help: commands to copy, one on each line."""
    escaped = [command.replace("[", "\\[") for command in commands]
    # typer makes one line of what stands between two blank lines.
    return "\n\n".join([f"[bold]{title}[/bold]", *escaped])


def reflow(docstring: str | None) -> str:
    """A docstring as help: the line breaks inside its paragraphs suit the source, not a terminal."""
    paragraphs = cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
