"""The report of a sweep, made from its files alone: the same files give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

from gmr.core.files import atomic_write_json, atomic_write_text, parse_json_object, read_text
from gmr.probe.sweep.analysis import Analysis, analyse
from gmr.probe.sweep.contents import read_contents
from gmr.probe.sweep.figures import curve_panels, effect_plot
from gmr.probe.sweep.files import RUN
from gmr.probe.sweep.tables import (
    SIGNIFICANT,
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
from gmr.reports.experiment import Curve
from gmr.reports.html import Markup, page, table, tag

PAGE, MARKDOWN, NUMBERS = "report.html", "report.md", "analysis.json"
WEIGHTS = ("weight_positive", "weight_negative")
LOSSES = ("sft_loss", "contrastive_loss")


def write_report(folder: Path) -> Analysis:
    """Write ``report.html``, ``report.md`` and ``analysis.json`` beside the runs of a sweep; returns what they say.

    Raises:
        DataError: The folder is no sweep's, or a file of it is not as its run left it.
    """
    analysis = analyse(read_contents(folder))
    atomic_write_json(folder / NUMBERS, to_json(analysis))
    atomic_write_text(folder / MARKDOWN, render(analysis, style="markdown"))
    atomic_write_text(folder / PAGE, to_page(analysis))
    return analysis


def to_page(analysis: Analysis) -> str:
    """The report as one self-contained HTML document."""
    plan = analysis.plan
    body = [
        tag("section", [tag("p", line) for line in summary_lines(analysis)], {"class": "summary"}),
        *_effects(analysis),
        *_cells(analysis),
        *_training(analysis),
        *_notes(analysis),
    ]
    return page(f"{plan.name}: {plan.question}", body, subtitle=plan.about)


def _effects(analysis: Analysis) -> list[Markup]:
    if not any(result.effect for result in analysis.contrasts):
        return []
    marks = "; ".join(f"{mark} is {meaning}" for mark, meaning in CERTAINTIES.items())
    caption = "Our differences with 95 % intervals over seeds and queries; diamonds are the paper's numbers."
    parts = [
        _framed(effect_plot(analysis), caption),
        _table(contrast_rows(analysis)),
        tag("p", f"Marks of certainty of the paper's numbers: {marks}.", {"class": "hint"}),
    ]
    _, by_task = task_rows(analysis)
    if by_task:
        hint = "The same by task, without correction for their number: to look at, not to conclude from."
        parts += [tag("p", hint, {"class": "hint"}), _table(task_rows(analysis))]
    return [_section("Effects", *parts)]


def _cells(analysis: Analysis) -> list[Markup]:
    parts = [_table(cell_rows(analysis))]
    abouts = [[result.cell.name, result.cell.about] for result in analysis.cells if result.cell.about]
    if abouts:
        parts.append(table(["cell", "what it is"], abouts, classes="facts"))
    if tuning_rows(analysis)[1]:
        parts.append(_table(tuning_rows(analysis)))
    return [_section("Cells and their learning rates", *parts)]


def _training(analysis: Analysis) -> list[Markup]:
    cells = [result.cell.name for result in analysis.cells if result.runs]
    sections = []
    for title, quantities, caption in (
        (
            "What the objectives still push",
            WEIGHTS,
            "Mean size of the weights: what is left to teach, and how hard each objective pushes it.",
        ),
        ("Losses", LOSSES, "Both closed forms are logged whichever objective is trained."),
    ):
        curves = _curves(analysis, quantities)
        if curves:
            figure = curve_panels(curves, cells, label=title)
            sections.append(_section(title, _framed(figure, caption)))
    dev = [
        Curve(result.cell.name, "Mean over the development tasks", *run.dev_curve(), seed)
        for result in analysis.cells
        for seed, run in result.runs.items()
        if run.dev_curve()[0]
    ]
    if dev:
        caption = "Mean over the development tasks while training."
        sections.append(
            _section("Development", _framed(curve_panels(dev, cells, label="development"), caption))
        )
    return sections


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
    return [_section("How this was measured, and how it is judged", *parts)]


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


def _section(title: str, *content: Markup) -> Markup:
    return tag("section", [tag("h2", title), *content])


def _framed(figure: Markup, caption: str) -> Markup:
    return tag("figure", [tag("div", figure, {"class": "scroll"}), tag("figcaption", caption)])


def _table(rows: tuple[Sequence[str], Rows]) -> Markup:
    header, cells = rows
    return table(header, cells, classes="results")
