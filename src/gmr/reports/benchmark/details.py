"""The tables of a benchmark's page; long ones are folded, and one without a row is empty markup."""

from gmr.core.nouns import TASK_TYPES, display_type, task_group
from gmr.evaluation import Comparison, SummaryRow
from gmr.metrics.statistics import Interval
from gmr.reports.benchmark import plain, words
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.reports.benchmark.plain import PlainTable
from gmr.reports.elements import span, system_name
from gmr.reports.html import Content, Markup, join, table, tag
from gmr.reports.sections import GROUPS
from gmr.suites.baselines import CHANCE

NOTHING = Markup("")


def results(report: BenchmarkReport) -> Markup:
    """The measure by type and group and of all tasks, best values in bold."""
    header: list[Content] = ["task type", "tasks", "queries", *_names(report)]
    body: list[list[Content]] = []
    group = ""
    for row in report.rows("type"):
        if task_group(row.label) != group:
            group = task_group(row.label)
            body.append([tag("td", GROUPS[group], {"colspan": str(len(header)), "class": "group"})])
        body.append(_result_cells(report, row))
    rule: list[Content] = [tag("td", "", {"colspan": str(len(header)), "class": "rule"})]
    groups = report.rows("group")
    if len(groups) > 1:
        body += [rule, *(_result_cells(report, row) for row in groups)]
    body += [rule, *(_result_cells(report, row) for row in report.rows("mean"))]
    sign = f" † significantly above the {report.reference}." if report.reference and report.models else ""
    note = f"Best values in bold.{sign} Small: 95 % confidence intervals over queries."
    return Markup(table(header, body, classes="results") + _hint(note))


def heat_table(report: BenchmarkReport) -> Markup:
    """Tasks by systems, each cell as dark as its value is high; nothing where each type has one task."""
    rows = report.rows("task")
    if len(rows) < 2:
        return NOTHING
    types = {task.name: task.task_type for task in report.tasks}
    tests = {(row.label, row.a): row for row in report.tests("task") if row.b == report.reference}
    if not tests:  # each type has one task
        of_type = {(row.label, row.a): row for row in report.tests("type") if row.b == report.reference}
        tests = {
            (name, model): row
            for name, kind in types.items()
            for (t, model), row in of_type.items()
            if t == kind
        }
    ends = [value.mean for row in rows for value in row.values.values()]
    least, most = min(ends), max(ends)
    body: list[list[Content]] = []
    for row in sorted(rows, key=lambda row: TASK_TYPES.index(types[row.label])):
        cells: list[Content] = [
            tag("th", row.label, {"scope": "row"}),
            tag("td", display_type(types[row.label]), {"class": "task"}),
            f"{row.num_queries:,}",
        ]
        for system in report.systems:
            value = row.values[system.name]
            share = (value.mean - least) / (most - least) if most > least else 0.0
            sign = "†" if _is_above(tests.get((row.label, system.name))) else ""
            attributes = {
                "class": "heat",
                "style": f"--share: {share:.3f}",
                "title": words.interval_text(system.name, value),
            }
            cells.append(tag("td", f"{value.mean:.3f}{sign}", attributes))
        body.append(cells)
    sign = f" † significantly above the {report.reference} after correction." if report.reference else ""
    note = (
        f"Mean {report.measure}; the stronger the colour, the higher.{sign} Point at a cell for its interval."
    )
    return Markup(
        table(["task", "type", "queries", *_names(report)], body, classes="heat-table")
        + _hint(note)
        + _folded(plain.tasks(report))
    )


def tests(report: BenchmarkReport) -> Markup:
    """The tests of the mean, and folded those of groups, types and tasks."""
    overall = plain.tests(report, "mean")
    if not overall.rows:
        return NOTHING
    folded = [_folded(plain.tests(report, level)) for level in ("group", "type", "task")]
    note = (
        "Differences on the same queries with 95 % intervals; two-sided paired randomisation tests, p corrected by "
        "Holm over all tests of the level."
    )
    return Markup(_hint(note) + _plain(overall) + join(folded))


def depth(report: BenchmarkReport) -> Markup:
    """The curve of all tasks in numbers."""
    return _folded(plain.depth(report))


def breakdowns(report: BenchmarkReport) -> Markup:
    """Means by the facts of the metadata."""
    tables = plain.breakdowns(report)
    if len(tables) == 1:
        return _plain(tables[0])
    return join([_folded(each, is_open=not place) for place, each in enumerate(tables)])


def calibration(report: BenchmarkReport) -> Markup:
    """Errors of the scores as probabilities, by type."""
    return _folded(plain.calibration(report))


def cost(report: BenchmarkReport) -> Markup:
    """What scoring cost."""
    return _plain(plain.costs(report), has_title=False)


def coverage(report: BenchmarkReport) -> Markup:
    """Denominators and ties."""
    return Markup(_plain(plain.coverage(report), has_title=False) + _folded(plain.coverage_by_task(report)))


def published(report: BenchmarkReport) -> Markup:
    """The table of the paper in a frame of its own, its caution on top."""
    if report.published is None:
        return NOTHING
    shown = plain.published(report)
    marks = [f"{mark}: {text}." for mark, text in report.published.marks.items()]
    notes = [f"{text} ({mark})" for text, mark in report.published.notes]
    parts = [
        tag("p", tag("strong", shown.note)),
        tag(
            "p",
            f"{report.published.title}; {report.published.paper}; {report.published.unit}.",
            {"class": "hint"},
        ),
        _table(shown),
        tag("ul", [tag("li", text) for text in [*marks, *notes]], {"class": "hint"}),
    ]
    return tag("div", parts, {"class": "published"})


def notes(report: BenchmarkReport) -> Markup:
    """What the numbers show and what they do not."""
    return tag("ul", [tag("li", note) for note in report.notes]) if report.notes else NOTHING


def facts(report: BenchmarkReport) -> Markup:
    """Systems, facts of the run, machine and versions."""
    systems = [
        [system_name(report.drawn, system), system.description]
        for system in report.systems
        if system.description
    ]
    shown = [
        ("system", "what it is", systems),
        ("fact", "", [[name, value] for name, value in report.facts.items()]),
        ("environment", "", [[name, value] for name, value in report.environment.items()]),
    ]
    return join([table([left, right], rows, classes="facts") for left, right, rows in shown if rows])


def _names(report: BenchmarkReport) -> list[Markup]:
    return [system_name(report.drawn, system) for system in report.systems]


def _result_cells(report: BenchmarkReport, row: SummaryRow) -> list[Content]:
    shown = {name: f"{value.mean:.3f}" for name, value in row.values.items()}
    best = max(value for name, value in shown.items() if name != CHANCE or len(shown) == 1)
    tests = {
        test.a: test
        for test in report.tests(row.level)
        if (test.label, test.b) == (row.label, report.reference)
    }
    cells: list[Content] = [
        tag("td", words.label_of(row.level, row.label), {"class": "task"}),
        str(row.num_tasks),
        f"{row.num_queries:,}",
    ]
    for name, value in row.values.items():
        sign = "†" if _is_above(tests.get(name)) else ""
        content = [tag("b" if shown[name] == best else "span", f"{shown[name]}{sign}")]
        if _has_interval(name, value):
            content.append(tag("span", span(value), {"class": "range"}))
        cells.append(tag("td", content, {"class": "value"}))
    return cells


def _has_interval(system: str, value: Interval) -> bool:
    return system != CHANCE and value.low < value.high


def _is_above(test: Comparison | None) -> bool:
    return test is not None and test.delta.mean > 0 and words.is_sure(test)


def _plain(shown: PlainTable, *, has_title: bool = True) -> Markup:
    """The table under its title, its note below."""
    if not shown.rows:
        return NOTHING
    title = tag("h3", shown.title) if has_title else NOTHING
    return Markup(title + _table(shown) + (_hint(shown.note) if shown.note else NOTHING))


def _folded(shown: PlainTable, *, is_open: bool = False) -> Markup:
    """The table behind its title."""
    if not shown.rows:
        return NOTHING
    content = [_table(shown), *([_hint(shown.note)] if shown.note else [])]
    attributes = {"class": "folded", **({"open": "open"} if is_open else {})}
    return tag("details", [tag("summary", shown.title), *content], attributes)


def _table(shown: PlainTable) -> Markup:
    rows = [
        [
            tag("td", cell, {"class": "word" if place < shown.num_labels else "number"})
            for place, cell in enumerate(row)
        ]
        for row in shown.rows
    ]
    header = [
        tag("th", cell, {"class": "word" if place < shown.num_labels else "number"})
        for place, cell in enumerate(shown.header)
    ]
    return table(header, rows, classes="plain")


def _hint(text: str) -> Markup:
    return tag("p", text, {"class": "hint"})
