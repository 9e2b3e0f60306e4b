"""Figures as inline SVG whose text and colours follow the page, in light and in dark."""

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gmr.core.nouns import TASK_TYPES, display_type
from gmr.reports.experiment import Curve, ResultRow, System
from gmr.reports.html import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that matplotlib can draw; the page's own colours take their place in the SVG.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
BASELINE_COLOURS = ("--baseline-1", "--baseline-2", "--baseline-3")
MODEL_COLOURS = ("--model-1", "--model-2", "--model-3", "--model-4", "--model-5")

# rc settings, typed loosely because matplotlib types their names as literals.
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": MUTED,
    "ytick.left": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
}

# Columns of a training log, and what their panels are called.
QUANTITIES = {
    "sft_loss": "SFT loss",
    "contrastive_loss": "Contrastive loss",
    "weight_positive": "Mean weight on positives",
    "weight_negative": "Mean weight on negatives",
}


def colours(systems: Sequence[System]) -> dict[str, str]:
    """System name to the name of its CSS colour: greys for baselines, colours for models, in order."""
    counts = {"baseline": 0, "model": 0}
    chosen = {}
    for system in systems:
        kind, names = (
            ("baseline", BASELINE_COLOURS) if system.role == "baseline" else ("model", MODEL_COLOURS)
        )
        chosen[system.name] = names[counts[kind] % len(names)]
        counts[kind] += 1
    return chosen


def bars_by_task_type(rows: Sequence[ResultRow], systems: Sequence[System], *, measure: str) -> Markup:
    """Grouped bars, one group for each task type, with confidence intervals and a mark at chance."""
    with drawing() as new_figure:
        figure = new_figure(max(5.0, 0.9 * len(rows) + 0.9), 2.7)
        axes = figure.subplots()
        width = 0.84 / max(len(systems), 1)
        for place, system in enumerate(systems):
            shown = [(x, row.values[system.name]) for x, row in enumerate(rows) if system.name in row.values]
            if not shown:
                continue
            at = [x - 0.42 + (place + 0.5) * width for x, _ in shown]
            means = [interval.mean for _, interval in shown]
            # Rounding may put a mean outside its own interval by an ulp; lengths cannot be negative.
            below = [max(0.0, interval.mean - interval.low) for _, interval in shown]
            above = [max(0.0, interval.high - interval.mean) for _, interval in shown]
            axes.bar(at, means, width=width * 0.9, color=stand_in(place), label=system.name)
            axes.errorbar(at, means, yerr=[below, above], fmt="none", color=INK, elinewidth=0.9, capsize=1.6)
        for x, row in enumerate(rows):
            if row.chance is not None:
                axes.hlines(
                    row.chance, x - 0.46, x + 0.46, color=INK, linewidth=1.1, linestyle=(0, (1.5, 1.5))
                )
        axes.set_xticks(range(len(rows)), [label_of(row.task_type) for row in rows])
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel(measure)
        axes.grid(axis="y")
        names = {stand_in(place): name for place, name in enumerate(colours(systems).values())}
        return to_svg(figure, names, label=f"{measure} by task type")


def training_curves(curves: Sequence[Curve], systems: Sequence[System]) -> Markup:
    """Small panels, one for each quantity: thin lines are single runs, the thick one their mean."""
    panels: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        panels[curve.quantity].append(curve)
    order = sorted(
        panels, key=lambda name: (list(QUANTITIES).index(name) if name in QUANTITIES else 99, name)
    )
    columns = min(2, len(order))
    lines = -(-len(order) // columns)
    palette = colours(systems)
    places = {system.name: place for place, system in enumerate(systems)}
    with drawing() as new_figure:
        figure = new_figure(9.0 if columns == 2 else 5.0, 2.4 * lines)
        grid = figure.subplots(lines, columns, squeeze=False).flatten()
        for axes in grid[len(order) :]:
            axes.set_visible(False)
        for axes, quantity in zip(grid, order, strict=False):
            axes.set_title(QUANTITIES.get(quantity, quantity), loc="left")
            for name, place in places.items():
                runs = [curve for curve in panels[quantity] if curve.system == name]
                _draw_runs(axes, runs, stand_in(place))
            axes.grid(axis="y")
            axes.set_xlabel("optimiser steps")
            axes.margins(x=0.01)
        names = {stand_in(place): palette[name] for name, place in places.items()}
        return to_svg(figure, names, label="curves of the training runs")


def signed(value: float, *, digits: int = 3) -> str:
    """``value`` with its sign, a true minus where it is below zero."""
    return f"{value:+.{digits}f}".replace("-", "−")


def label_of(task_type: str) -> str:
    """``"T→IT"`` for ``"t2it"``; what is no task type (``"mean"``) as it is."""
    return display_type(task_type) if task_type in TASK_TYPES else task_type


def _draw_runs(axes: "Axes", runs: Sequence[Curve], colour: str) -> None:
    import numpy as np

    for run in runs:
        axes.plot(run.steps, run.values, color=colour, linewidth=1.8 if len(runs) == 1 else 0.7, alpha=1.0)
    shared = sorted(set.intersection(*(set(run.steps) for run in runs))) if runs else []
    if len(runs) > 1 and shared:
        values = [dict(zip(run.steps, run.values, strict=True)) for run in runs]
        mean = np.mean([[run[step] for step in shared] for run in values], axis=0)
        axes.plot(shared, mean, color=colour, linewidth=2.2)


def stand_in(place: int) -> str:
    """The colour that stands for the system at ``place`` until the page's own takes its place."""
    return f"#0a00{place:02x}"


@contextmanager
def drawing() -> Iterator[Any]:
    """A function that makes an empty figure, in the style of this house; pyplot's state is not touched."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        yield lambda width, height: Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: "Figure", names: Mapping[str, str], *, label: str) -> Markup:
    """The figure as an ``<svg>`` element that fills its column and takes colours and fonts from the page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    # Ids inside are hashed with the salt: the same figure gives the same bytes, two figures share no id.
    with mpl.rc_context({"svg.hashsalt": label}):
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = buffer.getvalue()
    text = re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Two figures on one page both have an "axes_1": only ids that something refers to stay.
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda match: match.group() if match.group(1) in used else "", text)
    stand_ins = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper", **names}
    text = re.sub("|".join(stand_ins), lambda match: f"var({stand_ins[match.group()]})", text)
    text = text.replace("#ffffff", "none")
    text = re.sub(r"font: ((?:\w+ )?)([\d.]+px) [^;\"]*", _font, text)
    text = re.sub(r"font-family: '[^;\"]*", "font-family: inherit", text)
    # A small figure is not blown up to the width of the column, and a wide one scrolls in a narrow window.
    width = round(1.65 * 72 * figure.get_figwidth())
    style = f"max-width: {width}px; min-width: {min(620, width)}px"
    opening = re.sub(r' (?:width|height)="[\d.]+pt"', "", text[: text.index(">")])
    return Markup(
        f'{opening} role="img" aria-label="{escape(label)}" class="figure" style="{style}"{text[text.index(">") :]}'
    )


def _font(match: re.Match[str]) -> str:
    weight = {"bold ": "600", "700 ": "600"}.get(match.group(1), "400")
    return f"font-weight: {weight}; font-size: {match.group(2)}; font-family: inherit"
