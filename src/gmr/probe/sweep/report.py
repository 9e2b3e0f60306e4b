"""The report of a sweep, made from its files alone: the same files give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gmr.core.files import atomic_write_json, atomic_write_text, parse_json_object, read_text
from gmr.metrics.statistics import SIGNIFICANT
from gmr.probe.sweep.analysis import Analysis, analyse
from gmr.probe.sweep.contents import read_contents
from gmr.probe.sweep.figures import curve_panels, effect_plot
from gmr.probe.sweep.files import RUN
from gmr.probe.sweep.tables import (
    Rows,
    cell_rows,
    contrast_rows,
    how,
    render,
    summary_lines,
    task_rows,
    to_json,
    tuning_rows,
)
from gmr.probe.sweep.verdict import CERTAINTIES, RULE
from gmr.reports.elements import framed, section
from gmr.reports.experiment import Curve
from gmr.reports.html import Markup, page, table, tag
from gmr.reports.standalone import standalone

PAGE, MARKDOWN, NUMBERS, FIGURES = "report.html", "report.md", "analysis.json", "figures"
EFFECTS, WEIGHTS, LOSSES, DEVELOPMENT = "effects", "weights", "losses", "development"
TRAINING_FIGURES = {
    WEIGHTS: (
        "What the objectives still push",
        "Mean size of the weights: what is left to teach, and how hard each objective pushes it.",
    ),
    LOSSES: ("Losses", "Both closed forms are logged whichever objective is trained."),
    DEVELOPMENT: ("Development", "Mean over the development tasks while training."),
}
"""Figures of the training runs: heading and caption."""


def write_report(folder: Path) -> Analysis:
    """Write page, Markdown, numbers and figures beside the runs of a sweep; returns what they say.

    They are ``report.html``, ``report.md``, ``analysis.json`` and ``figures/*.svg``.

    Raises:
        DataError: The folder is no sweep's, or a file of it is not as its run left it.
    """
    analysis = analyse(read_contents(folder))
    figures = figures_of(analysis)
    atomic_write_json(folder / NUMBERS, to_json(analysis))
    atomic_write_text(folder / MARKDOWN, render(analysis, style="markdown"))
    atomic_write_text(folder / PAGE, to_page(analysis, figures))
    for name, figure in figures.items():
        atomic_write_text(folder / FIGURES / f"{name}.svg", standalone(figure))
    return analysis


def figures_of(analysis: Analysis) -> dict[str, Markup]:
    """The figures by name; one with nothing to show is left out."""
    cells = [result.cell.name for result in analysis.cells if result.runs]
    figures = {}
    if any(result.effect for result in analysis.contrasts):
        figures[EFFECTS] = effect_plot(analysis)
    for name, curves in (
        (WEIGHTS, _curves(analysis, ("weight_positive", "weight_negative"))),
        (LOSSES, _curves(analysis, ("sft_loss", "contrastive_loss"))),
        (DEVELOPMENT, _development(analysis)),
    ):
        if curves:
            figures[name] = curve_panels(curves, cells, label=name)
    return figures


def to_page(analysis: Analysis, figures: Mapping[str, Markup]) -> str:
    """The report as one self-contained HTML document."""
    plan = analysis.plan
    body = [
        tag("section", [tag("p", line) for line in summary_lines(analysis)], {"class": "summary"}),
        *_effects(analysis, figures),
        *_cells(analysis),
        *_training(figures),
        *_notes(analysis),
    ]
    return page(f"{plan.name}: {plan.question}", body, subtitle=plan.about)


def _effects(analysis: Analysis, figures: Mapping[str, Markup]) -> list[Markup]:
    if EFFECTS not in figures:
        return []
    marks = "; ".join(f"{mark} is {meaning}" for mark, meaning in CERTAINTIES.items())
    caption = "Our differences with 95 % intervals over seeds and queries; diamonds are the paper's numbers."
    parts = [
        framed(figures[EFFECTS], caption),
        _table(contrast_rows(analysis)),
        tag("p", f"Marks of certainty of the paper's numbers: {marks}.", {"class": "hint"}),
    ]
    _, by_task = task_rows(analysis)
    if by_task:
        hint = "The same by task, without correction for their number: to look at, not to conclude from."
        parts += [tag("p", hint, {"class": "hint"}), _table(task_rows(analysis))]
    return [section("Effects", *parts)]


def _cells(analysis: Analysis) -> list[Markup]:
    parts = [_table(cell_rows(analysis))]
    abouts = [[result.cell.name, result.cell.about] for result in analysis.cells if result.cell.about]
    if abouts:
        parts.append(table(["cell", "what it is"], abouts, classes="facts"))
    if tuning_rows(analysis)[1]:
        parts.append(_table(tuning_rows(analysis)))
    return [section("Cells and their learning rates", *parts)]


def _training(figures: Mapping[str, Markup]) -> list[Markup]:
    return [
        section(title, framed(figures[name], caption))
        for name, (title, caption) in TRAINING_FIGURES.items()
        if name in figures
    ]


def _development(analysis: Analysis) -> list[Curve]:
    return [
        Curve(result.cell.name, "Mean over the development tasks", *run.dev_curve(), seed)
        for result in analysis.cells
        for seed, run in result.runs.items()
        if run.dev_curve()[0]
    ]


def _curves(analysis: Analysis, quantities: Sequence[str]) -> list[Curve]:
    found = []
    for quantity in quantities:
        for result in analysis.cells:
            for seed, run in result.runs.items():
                steps, values = run.curves().get(quantity, ([], []))
                if steps:
                    found.append(Curve(result.cell.name, quantity, steps, values, seed))
    return found


def _notes(analysis: Analysis) -> list[Markup]:
    notes = [how(analysis), RULE]
    notes.append(
        f"A contrast whose corrected p is {SIGNIFICANT} or more is not sure among so many, whatever its verdict."
    )
    parts = [tag("ul", [tag("li", note) for note in notes])]
    facts = _environment(analysis)
    if facts:
        parts.append(table(["environment", ""], facts, classes="facts"))
    return [section("How this was measured, and how it is judged", *parts)]


def _environment(analysis: Analysis) -> Rows:
    """What the first run says of where it was made."""
    for result in analysis.cells:
        for run in result.runs.values():
            path = run.folder / RUN
            if not path.is_file():
                continue
            record = parse_json_object(read_text(path), where=str(path))
            facts = [[name, str(record[name])] for name in ("device", "num_threads") if name in record]
            return facts + [[name, str(version)] for name, version in record.get("versions", {}).items()]
    return []


def _table(rows: tuple[Sequence[str], Rows]) -> Markup:
    header, cells = rows
    return table(header, cells, classes="results")
