"""The tables of a probe, as text: for a terminal, for a page, for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from gmr.metrics.statistics import Interval
from gmr.metrics.tables import compact_markdown_table
from gmr.probe.gradients.batch import HARD, KINDS, NEGATIVE, POSITIVE, RANDOM
from gmr.probe.gradients.results import GradientReport, GradientStudy, ObjectiveSummary

NONE = "–"


@dataclass(frozen=True)
class Table:
    """Text in rows.

    Attributes:
        title: what it is of.
        note: how to read it, a sentence or two.
        columns: headings; the first column is text, the others are numbers.
        rows: cells.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(study: GradientStudy, *, is_wide: bool = True) -> list[Table]:
    """The tables of one model; of several, the one that puts them side by side.

    Args:
        study: what was found.
        is_wide: with intervals and all parts of the parameters, for lines of 140 characters and more.
    """
    if len(study.reports) == 1:
        return model_tables(study.reports[0], is_wide=is_wide)
    return [curve_table(study, is_wide=is_wide)]


def model_tables(report: GradientReport, *, is_wide: bool = True) -> list[Table]:
    """All tables of one model."""
    found = [check_table(report), weight_table(report, is_wide=is_wide), share_table(report, is_wide=is_wide)]
    if report.pairs:
        found.append(pair_table(report, is_wide=is_wide))
    if report.parts:
        found.append(norm_table(report))
    return found


def check_table(report: GradientReport) -> Table:
    """How far weight × direction is from the measured gradient."""
    return Table(
        "Measured gradient against weight × direction",
        "Measured by autograd at the last hidden states, of the closed-form loss (of the surrogate where there is "
        "none). Distances are relative to the norm of the measured gradient; rounding is that of float32 from float64.",
        ("objective", "loss", "measured of", "float64", "float32", "rounding"),
        tuple(
            (
                each.name,
                f"{each.loss:.3f}",
                "loss" if each.has_closed_form else "surrogate",
                f"{each.distance_float64:.0e}",
                f"{each.distance_float32:.0e}",
                f"{each.rounding:.0e}",
            )
            for each in report.objectives
        ),
    )


def weight_table(report: GradientReport, *, is_wide: bool = True) -> Table:
    """How hard candidates are pushed."""
    total = sum(report.kinds.values())
    return Table(
        "Weights",
        "Mean size of the weight on positives, hard and random negatives, with 95 % intervals over queries; net is the "
        "sum of a query's signed weights. Effective: how many would share the weight equally. Under 1 %: of the "
        "largest weight.",
        (
            "objective",
            "positives",
            "hard",
            "random",
            "net",
            f"effective of {total}",
            f"queries of {report.num_queries}",
            "under 1 %",
        ),
        tuple(
            (
                each.name,
                *_by_kind(each, report, is_wide=is_wide),
                f"{each.net_weight.mean:+.3f}".replace("-0.000", "+0.000"),
                f"{each.effective_candidates:.1f}",
                f"{each.effective_queries:.1f}",
                f"{each.negligible:.0%}",
            )
            for each in report.objectives
        ),
    )


def share_table(report: GradientReport, *, is_wide: bool = True) -> Table:
    """Who makes up the gradient."""
    return Table(
        "Shares of the gradient",
        "Of the norms of all candidates' gradients, summed: the share of each kind with its 95 % interval; then, of "
        "the negatives alone, the share of each quarter of them by score.",
        (
            "objective",
            "positives",
            "hard",
            "random",
            "lowest ¼",
            "second",
            "third",
            "highest ¼",
        ),
        tuple(
            (
                each.name,
                *(
                    _interval(each.share[kind], percent=True, is_wide=is_wide) if report.kinds[kind] else NONE
                    for kind in (POSITIVE, HARD, RANDOM)
                ),
                *(f"{share:.1%}" for share in each.quarter_share),
            )
            for each in report.objectives
        ),
    )


def pair_table(report: GradientReport, *, is_wide: bool = True) -> Table:
    """How far two objectives ask for the same."""
    places = {each.name: place for place, each in enumerate(report.objectives)}
    parts = [
        part
        for number, part in enumerate(report.parts)
        if is_wide or number == 0 or part.part == "last layer"
    ]
    return Table(
        "Objectives against each other",
        "Difference of the mean sizes of weights, first minus second, with 95 % intervals. Conflict: share of the "
        "candidates that one raises and the other lowers. τ: Kendall's, of the order of the weights' sizes. Then the "
        "cosine of the two gradients: of all hidden states, and of parameters.",
        (
            "objectives",
            "on positives",
            "on negatives",
            "conflict",
            "τ",
            "hidden states",
            *(part.part for part in parts),
        ),
        tuple(
            (
                f"{pair.a} | {pair.b}",
                *(
                    _interval(pair.difference[kind], sign="+", is_wide=is_wide)
                    for kind in (POSITIVE, NEGATIVE)
                ),
                NONE if pair.conflict is None else f"{pair.conflict:.1%}",
                _number(pair.weight_tau),
                _number(pair.whole_cosine),
                *(_number(part.cosines[places[pair.a]][places[pair.b]]) for part in parts),
            )
            for pair in report.pairs
        ),
    )


def norm_table(report: GradientReport) -> Table:
    """The size of the gradient that reaches the parameters."""
    return Table(
        "Norm of the gradient at the parameters",
        "Of the mean over queries, as a training step takes it; parts overlap.",
        ("objective", *(f"{part.part} ({_count(part.num_parameters)})" for part in report.parts)),
        tuple(
            (each.name, *(f"{part.norms[each.name]:.3g}" for part in report.parts))
            for each in report.objectives
        ),
    )


def curve_table(study: GradientStudy, *, is_wide: bool = True) -> Table:
    """Mean weights of several models side by side."""
    first = study.reports[0]
    return Table(
        "Mean weights, model by model",
        "Mean size of the weight on positives, hard and random negatives, with 95 % intervals over the queries of the "
        "batch, which is the same for all. Effective: how many candidates would share the weight equally.",
        (
            "objective",
            "model",
            "loss",
            "positives",
            "hard",
            "random",
            f"effective of {sum(first.kinds.values())}",
        ),
        tuple(
            (
                each.name if number == 0 else "",
                label_of(report),
                f"{each.loss:.3f}",
                *_by_kind(each, report, is_wide=is_wide),
                f"{each.effective_candidates:.1f}",
            )
            for place in range(len(first.objectives))
            for number, report in enumerate(study.reports)
            for each in (report.objectives[place],)
        ),
    )


def label_of(report: GradientReport) -> str:
    """What a report's model is called in a table."""
    return report.model if report.step is None else f"{report.model} step {report.step}"


def markdown(tables: Sequence[Table]) -> str:
    """The tables in Markdown."""
    return "\n".join(
        f"**{each.title}.** {each.note}\n\n"
        + compact_markdown_table(each.columns, each.rows, right=each.columns[1:])
        for each in tables
    )


def _by_kind(each: ObjectiveSummary, report: GradientReport, *, is_wide: bool) -> list[str]:
    return [
        _interval(each.mean_weight[kind], is_wide=is_wide) if report.kinds[kind] else NONE for kind in KINDS
    ]


def _interval(value: Interval, *, is_wide: bool, percent: bool = False, sign: str = "") -> str:
    form = ".0%" if percent else f"{sign}.3f"
    mean, low, high = (f"{number:{form}}" for number in (value.mean, value.low, value.high))
    return f"{mean} [{low}, {high}]" if is_wide else mean


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}"


def _count(number: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)
