"""The figures of a sweep: effects beside the paper's, and curves of the training runs."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gmr.probe.sweep.analysis import Analysis
from gmr.reports.experiment import Curve
from gmr.reports.figures import INK, MODEL_COLOURS, MUTED, QUANTITIES, drawing, stand_in, to_svg
from gmr.reports.html import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("-", (0, (4, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2)))
"""Styles of lines, for more cells than there are colours."""
OURS, PAPER = stand_in(0), stand_in(1)


def effect_plot(analysis: Analysis) -> Markup:
    """A row for each contrast: our effect with its interval, and the paper's where a number is known."""
    shown = [result for result in analysis.contrasts if result.effect is not None]
    with drawing() as new_figure:
        figure = new_figure(9.0, 1.1 + 0.42 * len(shown))
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=1.0)
        for place, result in enumerate(shown):
            y = len(shown) - 1 - place
            if result.effect is not None:
                interval = result.effect.interval
                axes.plot([interval.low, interval.high], [y, y], color=OURS, linewidth=2.2)
                axes.plot([interval.mean], [y], "o", color=OURS, markersize=6, label=_once("ours", place))
            paper = result.contrast.paper
            if paper is not None and paper.effect is not None:
                axes.plot(
                    [paper.effect],
                    [y - 0.22],
                    "D",
                    color=PAPER,
                    markersize=5,
                    label="the paper, on its own data",
                )
        axes.set_yticks(range(len(shown)), [result.contrast.name for result in reversed(shown)])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel(f"difference in points of {analysis.plan.test.measure}")
        axes.grid(axis="x")
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(
            unique.values(), unique.keys(), loc="outside upper right", ncols=2, frameon=False, fontsize=8.5
        )
        names = {OURS: MODEL_COLOURS[0], PAPER: MODEL_COLOURS[1]}
        return to_svg(figure, names, label="effects with their intervals beside the paper's")


def curve_panels(curves: Sequence[Curve], cells: Sequence[str], *, label: str) -> Markup:
    """A panel for each quantity: the mean over seeds of each cell, the single runs thin behind it."""
    panels: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        panels[curve.quantity].append(curve)
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with drawing() as new_figure:
        width = 9.0 if columns == 2 else 5.5
        # Columns of the legend: at its size a letter takes 0.07 inches, a line before it half of one.
        fitting = max(1, int(width / (0.07 * max(map(len, cells), default=1) + 0.6)))
        in_row = min(4, fitting, max(1, len(cells)))
        figure = new_figure(width, 2.5 * lines + 0.19 * -(-len(cells) // in_row) + 0.4)
        grid = figure.subplots(lines, columns, squeeze=False).flatten()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (quantity, found) in zip(grid, panels.items(), strict=False):
            axes.set_title(QUANTITIES.get(quantity, quantity), loc="left")
            for place, cell in enumerate(cells):
                _draw(axes, [curve for curve in found if curve.system == cell], cell, place)
            axes.grid(axis="y")
            axes.set_xlabel("optimiser steps")
            axes.margins(x=0.01)
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=in_row, frameon=False, fontsize=8.5)
        colours = {stand_in(place): name for place, name in enumerate(MODEL_COLOURS)}
        return to_svg(figure, colours, label=label)


def _draw(axes: "Axes", runs: Sequence[Curve], cell: str, place: int) -> None:
    import numpy as np

    colour = stand_in(place % len(MODEL_COLOURS))
    style = LINES[place // len(MODEL_COLOURS) % len(LINES)]
    if not runs:
        return
    if len(runs) > 1:
        for run in runs:
            point = "." if len(run.steps) == 1 else ""
            axes.plot(run.steps, run.values, marker=point, color=colour, linewidth=0.5, alpha=0.45)
    shared = sorted(set.intersection(*(set(run.steps) for run in runs)))
    values = [dict(zip(run.steps, run.values, strict=True)) for run in runs]
    mean = np.mean([[run[step] for step in shared] for run in values], axis=0) if shared else []
    point = "o" if len(shared) == 1 else ""  # a line of one point is nothing
    axes.plot(
        shared, mean, color=colour, linewidth=1.8, linestyle=style, marker=point, markersize=5, label=cell
    )


def _once(name: str, place: int) -> str:
    return name if place == 0 else f"_{name}"
