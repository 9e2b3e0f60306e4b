"""The report of ``gmr bench`` on the terminal: what came out, in tables that fit a narrow window too."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gmr.cli.console import print_line, print_table, print_text, shorten, terminal_width

if TYPE_CHECKING:
    from gmr.evaluation import SummaryRow
    from gmr.reports.benchmark import BenchmarkReport
    from gmr.reports.benchmark.plain import PlainTable

# Blanks between columns of a dense table.
GAP = 2
# Longest name of a system or task in a cell; the files have all of it.
NAME_WIDTH = 28
# What a paired test takes beside the names of its two systems.
TEST_WIDTH = 52
# Columns that go where the window is too narrow, the first of them first. The files have all.
DISPENSABLE = (
    *("prompt tokens", "computed", "log loss", "ECE, equal mass", "ECE at it", "unjudged", "unknown"),
    *(
        "p",
        "relevant",
        "pictures",
        "CPU s",
        "answered",
        "95 % interval",
        "pairs",
        "size",
        "task type",
        "dropped",
    ),
)


def print_report(report: "BenchmarkReport", *, width: int | None = None) -> None:
    """Print findings, results, tests, depth, calibration, cost and what to mind; details are in the files.

    Args:
        report: Of `build_benchmark_report`.
        width: Characters on a line; ``None`` is the terminal's.
    """
    from dataclasses import replace

    from gmr.core.nouns import TASK_TYPES
    from gmr.reports.benchmark import plain

    width = terminal_width() if width is None else width
    print_text(report.title, style="bold")
    for sentence in report.findings:
        print_text(sentence)
    print_line()
    keys = _keys(report, width)
    _print_overall(report, keys)
    for level in ("type", "task"):
        rows = report.rows(level)
        # where each type has one task the two tables would be the same
        if len(rows) > 1 and not (level == "task" and len(rows) == len(report.rows("type"))):
            _print_level(report, rows, keys, width)
    pooled = tuple(row for row in report.calibration if row.label not in TASK_TYPES)
    for table in (
        plain.tests(report, "mean"),
        plain.depth(report),
        plain.calibration(replace(report, calibration=pooled)),
        plain.costs(report),
        plain.coverage(report),
        plain.published(report),
    ):
        _print(table, keys, width)
    if report.published is not None:
        print_text(report.published.caution, style="yellow")
        print_line()
    for sentence in report.warnings:
        print_text(f"! {sentence}", style="yellow")


def _keys(report: "BenchmarkReport", width: int) -> Mapping[str, str]:
    """System name to heading: itself, or a letter where all the names would not fit on a line."""
    names = [system.name for system in report.systems]
    first = max(len("task type"), *(min(len(task.name), NAME_WIDTH) for task in report.tasks))
    room = width - first - len("queries") - 3 * GAP
    fits_columns = sum(max(len(name), 6) + GAP for name in names) <= room
    fits_tests = 2 * max(map(len, names)) + TEST_WIDTH <= width
    if fits_columns and fits_tests and all(len(name) <= NAME_WIDTH for name in names):
        return {name: name for name in names}
    return {name: _letters(number) for number, name in enumerate(names)}


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    head = _letters(number // 26 - 1) if number >= 26 else ""
    return head + chr(ord("A") + number % 26)


def _print_overall(report: "BenchmarkReport", keys: Mapping[str, str]) -> None:
    """Systems as lines: the mean with its interval, and the means over groups."""
    from gmr.reports.benchmark import words

    groups = report.rows("group")
    groups = groups if len(groups) > 1 else []
    is_lettered = any(key != name for name, key in keys.items())
    cells = [
        [
            *([keys[name]] if is_lettered else []),
            shorten(name, width=NAME_WIDTH),
            words.interval_text(name, value),
            *(f"{row.values[name].mean:.3f}" for row in groups),
        ]
        for name, value in report.rows("mean")[0].values.items()
    ]
    numbers = ["mean [95 % interval]", *(row.label for row in groups)]
    columns = [*([""] if is_lettered else []), "system", *numbers]
    title = f"{report.measure} over all tasks"
    print_table(columns, cells, title=title, right=numbers[1:], is_dense=True)


def _print_level(
    report: "BenchmarkReport", rows: "Sequence[SummaryRow]", keys: Mapping[str, str], width: int
) -> None:
    """Task types or tasks as lines and systems as columns; with intervals where they fit."""
    from gmr.reports.benchmark import words

    level = rows[0].level
    labels = [shorten(words.label_of(row.level, row.label), width=NAME_WIDTH) for row in rows]
    counts = [f"{row.num_queries:,}" for row in rows]
    long = [[words.interval_text(name, value) for name, value in row.values.items()] for row in rows]
    short = [_means(row) for row in rows]
    head = ["task" if level == "task" else "task type", "queries"]
    columns = [*head, *keys.values()]

    def lines(cells: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[label, count, *row] for label, count, row in zip(labels, counts, cells, strict=True)]

    fitting = lines(long) if _width(columns, lines(long)) <= width else lines(short)
    title = f"{report.measure} by {head[0]}" + ("" if fitting == lines(long) else " (* best)")
    print_table(columns, fitting, title=title, right=columns[1:], is_dense=True)


def _means(row: "SummaryRow") -> list[str]:
    """Means, the best with a star and the others with a blank in its place."""
    shown = [f"{value.mean:.3f}" for value in row.values.values()]
    return [f"{mean}*" if mean == max(shown) else f"{mean} " for mean in shown]


def _print(table: "PlainTable", keys: Mapping[str, str], width: int) -> None:
    """The table without the columns for which there is no room, then with letters for names."""
    if not table.rows:
        return
    kept = list(range(len(table.header)))
    names: Mapping[str, str] = {}

    def cells() -> list[list[str]]:
        return [
            [
                shorten(names.get(row[place], row[place]), width=NAME_WIDTH)
                if place < table.num_labels
                else row[place]
                for place in kept
            ]
            for row in table.rows
        ]

    def header() -> list[str]:
        return [table.header[place] for place in kept]

    for name in DISPENSABLE:
        if _width(header(), cells()) <= width:
            break
        kept = [place for place in kept if table.header[place] != name]
    if _width(header(), cells()) > width:
        names = keys
    right = [table.header[place] for place in kept if place >= table.num_labels]
    print_table(header(), cells(), title=table.title, right=right, is_dense=True)


def _width(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    return sum(widths) + GAP * len(widths)  # a table has a blank on either side
