"""What was found as tables of words, and as a page in Markdown."""

from collections.abc import Mapping, Sequence

from gmr.bench.analysis.results import ALL_TASKS, AnalysisResult, Row, Table
from gmr.bench.analysis.run import AnalysisReport
from gmr.bench.analysis.words import cell
from gmr.metrics.tables import markdown_table

LEGEND = (
    "Numbers are means over queries (of task means) with 95 % bootstrap intervals over queries.",
    "*: not zero at the 5 % level (sign-flip test over queries, Holm's correction over the rows of the column).",
    "A sentence claims what has a star: with many rows some interval leaves zero out by chance.",
)


def cells(
    table: Table, rows: Sequence[Row], *, with_task: bool = False, is_narrow: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of some rows of a table; where it must be narrow, the drawn column alone has intervals."""
    header = ["", *(["task"] if with_task else []), "queries", *table.columns]
    body = []
    for row in rows:
        queries = max((estimate.num_queries for estimate in row.estimates.values()), default=0)
        numbers = [
            cell(row.estimates.get(name), column, with_interval=not is_narrow or name == table.drawn)
            for name, column in table.columns.items()
        ]
        body.append([row.change.label, *([row.task] if with_task else []), str(queries), *numbers])
    return header, body


def columns_in_words(table: Table) -> list[str]:
    """What each column is, a line for each."""
    return [f"{name}: {column.about}" for name, column in table.columns.items()]


def not_applied_in_words(report: AnalysisReport) -> list[str]:
    """A line for each analysis that says nothing of some tasks, with the reasons."""
    lines = []
    for name, reasons in report.not_applied.items():
        by_reason: dict[str, list[str]] = {}
        for task, reason in reasons.items():
            by_reason.setdefault(reason, []).append(task)
        for reason, tasks in by_reason.items():
            lines.append(f"{name} does not apply to {', '.join(tasks)}: {reason}.")
    return lines


def markdown(reports: Mapping[str, AnalysisReport], *, title: str = "Analysis") -> str:
    """A page with all tables of all models; those by task below those of all tasks."""
    parts = [f"# {title}\n"]
    for model, report in reports.items():
        parts.append(f"## {model}\n")
        parts.append(f"{scope_in_words(report)}\n")
        for result in report.results:
            parts += _section(result)
        parts += [f"- {line}" for line in not_applied_in_words(report)]
        parts.append("")
    return "\n".join([*parts, *LEGEND, ""])


def scope_in_words(report: AnalysisReport) -> str:
    """How much was looked at, in one sentence."""
    options = report.options
    queries = (
        "all queries" if options.limit is None else f"at most {options.limit} queries each, drawn by lot"
    )
    tasks = "1 task" if len(report.tasks) == 1 else f"{len(report.tasks)} tasks"
    return (
        f"{tasks}, {queries} (seed {options.seed}), at most {options.depth} candidates of a query;"
        f" {report.num_scored:,} pairs scored."
    )


def _section(result: AnalysisResult) -> list[str]:
    parts = [f"### {result.name}\n", f"{result.question}\n"]
    parts += [f"- {sentence}" for sentence in result.sentences]
    parts.append("")
    for table in result.tables:
        if not table.rows:
            continue
        parts += [f"**{table.title}**\n", markdown_table(*cells(table, table.summary()))]
        parts += [f"- {line}" for line in columns_in_words(table)]
        parts.append("")
        if any(row.task != ALL_TASKS and not row.is_summary for row in table.rows):
            by_task = [row for row in table.rows if row.task != ALL_TASKS]
            parts += [f"**{table.title}, by task**\n", markdown_table(*cells(table, by_task, with_task=True))]
    parts += [f"- How: {line}" for line in result.method]
    parts.append("")
    return parts
