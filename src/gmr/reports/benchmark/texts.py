"""A benchmark's report as Markdown and CSV."""

from collections.abc import Sequence

from gmr.evaluation import SummaryRow
from gmr.metrics.tables import csv_table, markdown_table
from gmr.reports.benchmark import plain
from gmr.reports.benchmark.contents import BenchmarkReport, BreakdownRow
from gmr.reports.benchmark.plain import PlainTable


def to_markdown(report: BenchmarkReport) -> str:
    """Every table of the report, under headings."""
    parts = [f"# {_inline(report.title)}\n"]
    parts += [f"{_inline(sentence)}\n" for sentence in report.findings]
    if report.warnings:
        parts += ["**To mind**\n", _list(report.warnings)]
    for table in plain.all_tables(report):
        parts += [f"## {_inline(table.title)}\n", _table(table)]
        parts += [f"{_inline(table.note)}\n"] if table.note else []
    published = plain.published(report)
    if report.published is not None:
        parts += [f"## {_inline(published.title)}\n", f"**{published.note}**\n"]
        parts += [_table(published), f"Values in {report.published.unit}.\n"]
        parts.append(_list([f"{mark}: {text}" for mark, text in report.published.marks.items()]))
        parts.append(_list([f"{text} ({mark})" for text, mark in report.published.notes]))
    parts += ["## What the numbers mean\n", _list(report.notes)]
    for title, facts in (("How it was made", report.facts), ("Environment", report.environment)):
        if facts:
            parts += [f"## {title}\n", _list([f"{name}: {value}" for name, value in facts.items()])]
    return "\n".join(parts)


def to_csv(report: BenchmarkReport) -> str:
    """One line for each system and task, task type, group, the mean, and value of a fact, with full precision."""
    header = ["level", "label", "system", "measure", "tasks", "queries", "mean", "low", "high"]
    labelled: list[tuple[str, str, SummaryRow | BreakdownRow]] = [
        *((row.level, row.label, row) for row in report.summary),
        *((f"by {row.fact}", row.value, row) for row in report.breakdowns),
    ]
    rows = [
        [
            *(level, label, system, report.measure, str(row.num_tasks), str(row.num_queries)),
            *(repr(end) for end in (value.mean, value.low, value.high)),
        ]
        for level, label, row in labelled
        for system, value in row.values.items()
    ]
    return csv_table(header, rows)


def _inline(text: str) -> str:
    """Names of users as Markdown shows them, not as it reads them."""
    for sign in "\\`*_[]<>#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _table(table: PlainTable) -> str:
    # Numbers are ours and need no escaping; "|" is escaped where the table is made.
    rows = [
        [_inline(cell) if place < table.num_labels else cell for place, cell in enumerate(row)]
        for row in table.rows
    ]
    return markdown_table([_inline(cell) for cell in table.header], rows)


def _list(items: Sequence[str]) -> str:
    return "".join(f"- {_inline(item)}\n" for item in items)
