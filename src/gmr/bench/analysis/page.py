"""What was found as sections of an HTML page: sentences, figures, tables."""

from collections.abc import Mapping

from gmr.bench.analysis.figures import figure_of
from gmr.bench.analysis.report import (
    LEGEND,
    cells,
    columns_in_words,
    not_applied_in_words,
    scope_in_words,
)
from gmr.bench.analysis.results import ALL_TASKS, AnalysisResult, Table
from gmr.bench.analysis.run import AnalysisReport
from gmr.reports.html import Content, Markup, page, table, tag


def analysis_page(reports: Mapping[str, AnalysisReport], *, title: str = "Analysis of models") -> str:
    """One self-contained HTML document on one or several models."""
    sections = [analysis_section(report, model=model) for model, report in reports.items()]
    return page(title, [*sections, tag("section", [tag("p", line, {"class": "hint"}) for line in LEGEND])])


def analysis_section(report: AnalysisReport, *, model: str) -> Markup:
    """All results of a model as one section, for any page of reports."""
    parts: list[Content] = [tag("h2", model), tag("p", scope_in_words(report), {"class": "hint"})]
    parts += [tag("section", _result(result, model=model)) for result in report.results]
    parts += [tag("p", line, {"class": "hint"}) for line in not_applied_in_words(report)]
    return tag("section", parts)


def _result(result: AnalysisResult, *, model: str) -> list[Content]:
    parts: list[Content] = [tag("h3", result.question)]
    parts.append(tag("ul", [tag("li", sentence) for sentence in result.sentences]))
    for found in result.tables:
        if found.rows:
            parts += _table(found, label=f"{model}: {result.name}, {found.title}")
    method = tag("ul", [tag("li", line) for line in result.method])
    parts.append(tag("details", [tag("summary", "How this was made"), method]))
    return parts


def _table(found: Table, *, label: str) -> list[Content]:
    drawn = found.columns.get(found.drawn)
    parts: list[Content] = []
    if drawn is not None:
        what = f"{found.title}: {found.drawn} ({drawn.about}), with 95 % intervals over queries."
        if not found.axis and drawn.is_effect:
            what += " A hollow point is an effect that is not shown."
        figure = tag("div", figure_of(found, label=label), {"class": "scroll"})
        parts.append(tag("figure", [figure, tag("figcaption", what)]))
    explained = tag("ul", [tag("li", line) for line in columns_in_words(found)])
    parts.append(
        tag(
            "details",
            [tag("summary", f"Table: {found.title}"), table(*cells(found, found.summary())), explained],
        )
    )
    by_task = [row for row in found.rows if row.task != ALL_TASKS]
    if any(not row.is_summary for row in by_task):
        parts.append(
            tag(
                "details",
                [
                    tag("summary", f"Table by task: {found.title}"),
                    table(*cells(found, by_task, with_task=True)),
                ],
            )
        )
    return parts
