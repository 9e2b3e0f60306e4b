"""A benchmark's report as a LaTeX table for a paper: systems by task types, best in bold, significance by daggers."""

from gmr.core.nouns import display_type
from gmr.evaluation import SummaryRow
from gmr.metrics.statistics import SIGNIFICANT
from gmr.metrics.tables import escape_latex
from gmr.reports.benchmark import plain, words
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.suites.baselines import CHANCE

ABOVE_REFERENCE, ABOVE_MODELS = r"$^{\dagger}$", r"$^{\ddagger}$"


def to_latex(report: BenchmarkReport) -> str:
    """A ``table`` with the rules of booktabs; the caption says what is tested and what the signs mean."""
    rows = [*report.rows("type"), *report.rows("mean")]
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\small",
        rf"\caption{{{_caption(report)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(rows)}}}",
        r"\toprule",
        _line(["", *(_heading(row) for row in rows)]),
        _line(["tasks", *(str(row.num_tasks) for row in rows)]),
        r"\midrule",
    ]
    role = report.systems[0].role
    for system in report.systems:
        if system.role != role:
            role = system.role
            lines.append(r"\midrule")
        lines.append(_line([escape_latex(system.name), *(_cell(report, row, system.name) for row in rows)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _line(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _heading(row: SummaryRow) -> str:
    return escape_latex(display_type(row.label)) if row.level == "type" else "Mean"


def _caption(report: BenchmarkReport) -> str:
    overall = plain.overall_row(report)
    caption = escape_latex(
        f"{report.measure} on {report.suite}: {words.plural(overall.num_tasks, 'task')}, "
        f"{words.plural(overall.num_queries, 'judged query')}; every task weighs the same. "
        "The best value of a column is in bold."
    )
    reference = f"{ABOVE_REFERENCE} above the {escape_latex(report.reference)}"
    signs = [reference] if report.reference and report.models else []
    if len(report.models) > 1:
        signs.append(f"{ABOVE_MODELS} above every other model")
    if signs:
        caption += (
            f" {', '.join(signs)}: $p < {SIGNIFICANT}$ in two-sided paired randomisation tests over queries, "
            "corrected by Holm over all tests of the task types, and over those of the mean."
        )
    return caption


def _cell(report: BenchmarkReport, row: SummaryRow, system: str) -> str:
    shown = {name: f"{value.mean:.3f}" for name, value in row.values.items()}
    # what prints the same is the same: two best values are both in bold
    is_best = shown[system] == max(shown.values()) and system != CHANCE
    cell = shown[system].removeprefix("0") if shown[system].startswith("0.") else shown[system]
    won = {
        test.b
        for test in report.tests(row.level)
        if test.label == row.label and test.a == system and test.delta.mean > 0 and words.is_sure(test)
    } | {
        test.a
        for test in report.tests(row.level)
        if test.label == row.label and test.b == system and test.delta.mean < 0 and words.is_sure(test)
    }
    others = set(report.models) - {system}
    signs = ABOVE_REFERENCE if report.reference in won else ""
    signs += ABOVE_MODELS if others and system in report.models and others <= won else ""
    return (rf"\textbf{{{cell}}}" if is_best else cell) + signs
