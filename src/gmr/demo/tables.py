"""The demo's numbers as text: the table, the tests, and what they say in plain words."""

from collections.abc import Sequence

from gmr.core.nouns import display_type
from gmr.demo.systems import BASE, CHANCE, FIRST_STAGE, PIXELS, DemoSystem
from gmr.evaluation import Comparison, SummaryRow
from gmr.metrics.statistics import SIGNIFICANT
from gmr.metrics.tables import markdown_table, text_table


def results_table(rows: Sequence[SummaryRow], systems: Sequence[DemoSystem], *, style: str = "text") -> str:
    """Systems as columns, task types as rows; intervals for all but the exact chance."""
    header = ["task type", "queries", *(system.name for system in systems)]
    cells = [[_label(row), str(row.num_queries), *(_cell(row, system) for system in systems)] for row in rows]
    return (markdown_table if style == "markdown" else text_table)(header, cells)


def _label(row: SummaryRow | Comparison) -> str:
    return display_type(row.label) if row.level == "type" else "mean"


def _cell(row: SummaryRow, system: DemoSystem) -> str:
    value = row.values[system.name]
    if system is CHANCE:
        return f"{value.mean:.3f}"
    # Only where both sides of all queries have a picture does it say anything.
    if system is PIXELS and (row.level == "mean" or abs(value.mean - row.values[CHANCE.name].mean) < 1e-9):
        return "-"
    return f"{value.mean:.3f} [{value.low:.2f}, {value.high:.2f}]"


def comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """The paired tests over all task types, one line each."""
    return [
        f"{row.a} - {row.b}: {row.delta.mean:+.3f} [{row.delta.low:+.3f}, {row.delta.high:+.3f}], "
        f"p = {row.adjusted_p_value:.4f} (paired randomisation, Holm), "
        f"better on {row.wins}, equal on {row.ties}, worse on {row.losses} queries"
        for row in comparisons
        if row.level == "mean"
    ]


def verdicts(
    rows: Sequence[SummaryRow], comparisons: Sequence[Comparison], systems: Sequence[DemoSystem]
) -> list[str]:
    """What the numbers show, and what they do not."""
    lines = []
    num_types = sum(row.level == "type" for row in rows)
    for system in systems:
        if system.role != "trained":
            continue
        told = []
        for other in (FIRST_STAGE.name, BASE.name):
            found = [row for row in comparisons if (row.level, row.a, row.b) == ("type", system.name, other)]
            above, sure = sum(row.delta.low > 0 for row in found), sum(map(is_better, found))
            told.append(f"the {other} in {above} of {num_types} task types ({sure} after correction)")
        lines.append(
            f"{system.name} beats {' and '.join(told)}: 95% interval of the paired difference above 0; correction "
            f"by Holm over all tests, p < {SIGNIFICANT}."
        )
    lines += [
        _sft_against_cl(row)
        for row in comparisons
        if row.level == "mean" and "SFT" in row.a and "CL" in row.b
    ]
    lines.append(
        "One small model, one data set, one budget of steps: this shows the machinery at work, it does not test the "
        "paper's claim about large models."
    )
    return lines


def is_better(row: Comparison) -> bool:
    """Whether system ``a`` is better beyond the noise of the queries."""
    return row.delta.low > 0 and row.adjusted_p_value < SIGNIFICANT


def _sft_against_cl(row: Comparison) -> str:
    if row.adjusted_p_value >= SIGNIFICANT:
        return f"{row.a} and {row.b} cannot be told apart here (p = {row.adjusted_p_value:.2f})."
    better, worse = (row.a, row.b) if row.delta.mean > 0 else (row.b, row.a)
    return f"{better} is ahead of {worse} here by {abs(row.delta.mean):.3f} (p = {row.adjusted_p_value:.4f})."
