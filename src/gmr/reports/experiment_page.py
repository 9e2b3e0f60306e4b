"""The page of an experiment, from its report."""

from gmr.reports import sections
from gmr.reports.experiment import ExperimentReport
from gmr.reports.html import page


def experiment_page(report: ExperimentReport) -> str:
    """The report as one self-contained HTML document.

    Raises:
        ValueError: A row, comparison, curve or example names a system that is not among ``report.systems``.
        DataError: A picture of an example cannot be read.
    """
    _check_names(report)
    body = [
        sections.summary(report),
        sections.results(report),
        sections.comparisons(report),
        sections.curves(report),
        sections.examples(report),
        sections.notes(report),
        sections.environment(report),
    ]
    return page(report.title, body, subtitle=report.subtitle)


def _check_names(report: ExperimentReport) -> None:
    known = {system.name for system in report.systems}
    rows = [*report.rows, *([report.overall] if report.overall else [])]
    used = {
        *(name for row in rows for name in row.values),
        *(name for row in report.comparisons for name in (row.a, row.b)),
        *(curve.system for curve in report.curves),
        *(name for example in report.examples for name in example.rankings),
    }
    if used - known:
        raise ValueError(
            f"values of {sorted(used - known)}, which are not among the report's systems {sorted(known)}"
        )
