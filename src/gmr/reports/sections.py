"""The sections of the experiment page; one without content is empty markup."""

from collections.abc import Sequence

from gmr.core.nouns import TASK_TYPES, task_group
from gmr.metrics.statistics import SIGNIFICANT
from gmr.reports import figures
from gmr.reports.elements import framed, legend, section, span, system_name, tile
from gmr.reports.experiment import ComparisonRow, ExampleRanking, ExperimentReport, ResultRow, System
from gmr.reports.html import Markup, item, join, table, tag

NOTHING = Markup("")
# As many candidates of an example as fit on one line of a wide window.
SHOWN_CANDIDATES = 8


def summary(report: ExperimentReport) -> Markup:
    """What came out, in words and as one figure for each system."""
    parts = [tag("p", text) for text in report.summary]
    if report.overall is not None:
        values = report.overall.values
        tiles = [
            tile(report.systems, system, values[system.name])
            for system in report.systems
            if system.name in values
        ]
        parts.append(tag("div", tiles, {"class": "tiles"}))
    return tag("section", parts, {"class": "summary"}) if parts else NOTHING


def results(report: ExperimentReport) -> Markup:
    """The measure by task type, as a figure and as a table with intervals."""
    if not report.rows:
        return NOTHING
    header: list[str | Markup] = [
        "task",
        "queries",
        "chance",
        *(system_name(report.systems, system) for system in report.systems),
    ]
    body: list[list[str | Markup]] = []
    group = None
    for row in report.rows:
        if row.task_type in TASK_TYPES and task_group(row.task_type) != group:
            group = task_group(row.task_type)
            attributes = {"colspan": str(len(header)), "class": "group"}
            body.append([tag("td", GROUPS[group], attributes)])
        body.append(_result_cells(row, report.systems))
    if report.overall is not None:
        body.append([tag("td", "", {"colspan": str(len(header)), "class": "rule"})])
        body.append(_result_cells(report.overall, report.systems))
    chance = "; the dotted line is chance" if any(row.chance is not None for row in report.rows) else ""
    caption = (
        f"Mean {report.measure} by task type; whiskers are 95 % confidence intervals over queries{chance}."
    )
    figure = figures.bars_by_task_type(report.rows, report.systems, measure=report.measure)
    return section(
        "Results by task type",
        tag(
            "p", "T is text, I a picture, IT both; the side before the arrow is the query.", {"class": "hint"}
        ),
        legend(report.systems),
        framed(figure, caption),
        table(header, body, classes="results"),
    )


def comparisons(report: ExperimentReport) -> Markup:
    """Paired tests between systems."""
    if not report.comparisons:
        return NOTHING
    rows = [_comparison_cells(report, row) for row in report.comparisons]
    note = (
        f"Differences in {report.measure} on the same queries, with 95 % confidence intervals; p of a paired "
        f"randomisation test, corrected for the number of tests; bold where p < {SIGNIFICANT}."
    )
    header = ["task", "systems", "difference", "", "p"]
    return section(
        "Who beats whom", tag("p", note, {"class": "hint"}), table(header, rows, classes="comparisons")
    )


def curves(report: ExperimentReport) -> Markup:
    """What happened while the models were trained."""
    if not report.curves:
        return NOTHING
    shown = {curve.system for curve in report.curves}
    caption = (
        "Both closed-form losses are logged whichever one is trained, so that runs can be compared. The "
        "weight of a candidate is the size of its gradient on the score: how much it still has to teach."
    )
    figure = figures.training_curves(report.curves, report.systems)
    return section(
        "Training",
        legend(report.systems, only=shown),
        framed(figure, caption),
    )


def examples(report: ExperimentReport) -> Markup:
    """Queries, and the first candidates of every system."""
    if not report.examples:
        return NOTHING
    hint = "Candidates from the best to the worst; a relevant one has a green frame and a tick."
    shown = [_example(report, example) for example in report.examples]
    return section("Rankings to look at", tag("p", hint, {"class": "hint"}), *shown)


def notes(report: ExperimentReport) -> Markup:
    """What the numbers do and do not show."""
    if not report.notes:
        return NOTHING
    return section(
        "What this shows, and what it does not", tag("ul", [tag("li", note) for note in report.notes])
    )


def environment(report: ExperimentReport) -> Markup:
    """Systems, machine and versions."""
    systems = [
        [system_name(report.systems, system), system.description]
        for system in report.systems
        if system.description
    ]
    parts = [table(["system", "what it is"], systems, classes="facts")] if systems else []
    if report.environment:
        facts = [[name, value] for name, value in report.environment.items()]
        parts.append(table(["environment", ""], facts, classes="facts"))
    return section("Systems and environment", *parts)


GROUPS = {"single": "One modality", "cross": "Across modalities", "fused": "Fused: picture and text together"}


def _result_cells(row: ResultRow, systems: Sequence[System]) -> list[str | Markup]:
    best = max((value.mean for value in row.values.values()), default=0.0)
    cells: list[str | Markup] = [
        tag("td", figures.label_of(row.task_type), {"class": "task"}),
        str(row.num_queries),
        f"{row.chance:.3f}" if row.chance is not None else "–",
    ]
    for system in systems:
        value = row.values.get(system.name)
        if value is None:
            cells.append("–")
            continue
        shown = [tag("b" if value.mean == best else "span", f"{value.mean:.3f}")]
        shown.append(tag("span", span(value), {"class": "range"}))
        cells.append(tag("td", shown, {"class": "value"}))
    return cells


def _comparison_cells(report: ExperimentReport, row: ComparisonRow) -> list[str | Markup]:
    by_name = {system.name: system for system in report.systems}
    pair = join(
        [
            system_name(report.systems, by_name[row.a]),
            tag("span", " − ", {"class": "minus"}),
            system_name(report.systems, by_name[row.b]),
        ]
    )
    sure = row.p_value < SIGNIFICANT
    direction = "up" if row.delta.mean > 0 else "down"
    delta = tag("td", figures.signed(row.delta.mean), {"class": f"value {direction if sure else 'unsure'}"})
    limits = tag(
        "td", f"{figures.signed(row.delta.low)} … {figures.signed(row.delta.high)}", {"class": "range"}
    )
    p_value = f"{row.p_value:.4f}" if row.p_value >= 0.0001 else "< 0.0001"
    task = tag("td", figures.label_of(row.task_type), {"class": "task"})
    return [task, tag("td", pair), delta, limits, tag("td", p_value, {"class": "value"})]


def _example(report: ExperimentReport, example: ExampleRanking) -> Markup:
    chip = tag("span", figures.label_of(example.task_type), {"class": "chip"})
    query = [tag("h3", chip), item(example.query.item, label="query")]
    if example.query.instruction:
        query.append(tag("p", example.query.instruction, {"class": "instruction"}))
    if example.caption:
        query.append(tag("p", example.caption, {"class": "caption"}))
    rows = []
    for system in report.systems:
        if system.name not in example.rankings:
            continue
        places = list(example.rankings[system.name])[:SHOWN_CANDIDATES]
        cards = [
            tag(
                "li",
                item(place.document.item, label=f"rank {place.rank}: {place.doc_id}"),
                {
                    "class": "relevant" if place.doc_id in example.relevant else "",
                    "title": f"{place.score:+.2f}",
                },
            )
            for place in places
        ]
        rows.append(
            tag(
                "div",
                [tag("div", system_name(report.systems, system), {"class": "who"}), tag("ol", cards)],
                {"class": "lane"},
            )
        )
    return tag(
        "article",
        [tag("div", query, {"class": "query"}), tag("div", rows, {"class": "lanes"})],
        {"class": "example"},
    )
