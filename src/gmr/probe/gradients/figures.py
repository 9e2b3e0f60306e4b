"""Figures of a probe as inline SVG, made of the numbers of its reports alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gmr.probe.gradients.batch import HARD, KINDS, NEGATIVE, POSITIVE, RANDOM
from gmr.probe.gradients.results import Candidate, GradientReport, GradientStudy
from gmr.probe.gradients.summary import NUM_QUARTERS
from gmr.reports.figures import BASELINE_COLOURS, INK, MODEL_COLOURS, drawing, stand_in, to_svg
from gmr.reports.html import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KIND_COLOURS = {POSITIVE: "--good", HARD: "--model-2", RANDOM: "--model-1"}
QUARTER_COLOURS = ("--baseline-1", "--baseline-2", "--baseline-3", "--model-4")
AGREE, OPPOSE = "--model-1", "--bad"
MAX_POINTS = 1500
"""Candidates in a scatter; of more, every so-manieth is drawn."""
LOG_FROM = 30
_COLUMNS = 3


def weights_by_score(report: GradientReport) -> Markup:
    """Signed weight of every candidate over its log-odds, one panel for each objective."""
    names = [each.name for each in report.objectives]
    shown = thinned(report.candidates)
    columns = min(_COLUMNS, len(names))
    lines = -(-len(names) // columns)
    with drawing() as new_figure:
        figure = new_figure(3.3 * columns, 2.5 * lines)
        grid = figure.subplots(lines, columns, squeeze=False).flatten()
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(grid, names, strict=False):
            for place, kind in enumerate(KINDS):
                points = [(c.score, c.gradients[name].weight) for c in shown if c.kind == kind]
                axes.plot(*_columns(points), "o", color=stand_in(place), markersize=3.6, alpha=0.75)
            axes.axhline(0, color=INK, linewidth=0.8)
            axes.set_title(name, loc="left", fontsize=9)
            axes.grid(axis="both")
            axes.set_xlabel("score (log-odds)")
        for line in range(lines):
            grid[line * columns].set_ylabel("signed weight")
        colours = {stand_in(place): KIND_COLOURS[kind] for place, kind in enumerate(KINDS)}
        return to_svg(figure, colours, label=f"weights by score, {report.model} {report.step}")


def shares(report: GradientReport) -> Markup:
    """Stacked bars: the share of the gradient by kind, and among the negatives by quarter of the score."""
    rows = report.objectives[::-1]
    with drawing() as new_figure:
        figure = new_figure(9.4, 0.9 + 0.32 * len(rows))
        left, right = figure.subplots(1, 2)
        for place, kind in enumerate(KINDS):
            _stack(left, [each.share[kind].mean for each in rows], stand_in(place))
        for quarter in range(NUM_QUARTERS):
            _stack(right, [each.quarter_share[quarter] for each in rows], stand_in(len(KINDS) + quarter))
        left.set_yticks(range(len(rows)), [each.name for each in rows])
        left.tick_params(axis="y", colors=INK)
        right.set_yticks([])
        for axes, title in ((left, "of all candidates"), (right, "of the negatives, by score")):
            axes.set_title(title, loc="left")
            axes.set_xlim(0, 1)
            axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        colours = [KIND_COLOURS[kind] for kind in KINDS] + list(QUARTER_COLOURS)
        names = {stand_in(place): colour for place, colour in enumerate(colours)}
        return to_svg(figure, names, label=f"shares of the gradient, {report.model} {report.step}")


def cosines(report: GradientReport) -> Markup:
    """Heat maps of the cosines between objectives, at the hidden states and at parts of the parameters."""
    names = [each.name for each in report.objectives]
    maps = {"hidden states": _whole_cosines(report)} | {
        part.part: part.cosines for part in report.parts if part.part in ("all", "adapter", "last layer")
    }
    size = 0.55 * len(names)
    with drawing() as new_figure:
        figure = new_figure(1.7 + (size + 0.35) * len(maps), 0.9 + size)
        for place, (axes, (title, values)) in enumerate(
            zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True)
        ):
            _heat(axes, values)
            axes.set_title({"all": "all parameters"}.get(title, title), loc="left", fontsize=9)
            axes.set_xticks(range(len(names)), [str(number) for number in range(1, len(names) + 1)])
            labels = [f"{name}  {number}" for number, name in enumerate(names, start=1)] if place == 0 else []
            axes.set_yticks(range(len(names)) if place == 0 else [], labels)
            axes.tick_params(length=0, colors=INK)
        names_of = {stand_in(0): AGREE, stand_in(1): OPPOSE}
        return to_svg(figure, names_of, label=f"cosines between objectives, {report.model} {report.step}")


def curves(study: GradientStudy) -> Markup:
    """Mean weights over the steps of training, or model by model: positives, negatives; bands are intervals."""
    names = [each.name for each in study.reports[0].objectives]
    steps = [report.step for report in study.reports]
    are_steps = all(step is not None for step in steps)
    places = [float(step) if step is not None and are_steps else float(n) for n, step in enumerate(steps)]
    with drawing() as new_figure:
        figure = new_figure(9.4, 2.9)
        for axes, kind in zip(figure.subplots(1, 2), (POSITIVE, NEGATIVE), strict=True):
            for number, name in enumerate(names):
                values = [report.objectives[number].mean_weight[kind] for report in study.reports]
                colour = stand_in(number)
                axes.plot(
                    places, [each.mean for each in values], "o-", color=colour, markersize=3.2, label=name
                )
                axes.fill_between(
                    places,
                    [each.low for each in values],
                    [each.high for each in values],
                    color=colour,
                    alpha=0.14,
                    linewidth=0,
                )
            axes.set_title(f"mean weight on {kind}s", loc="left")
            _scale(
                axes,
                [
                    report.objectives[n].mean_weight[kind].mean
                    for report in study.reports
                    for n in range(len(names))
                ],
            )
            axes.grid(axis="y")
            if are_steps:
                axes.set_xlabel("optimiser steps")
            else:
                axes.set_xticks(places, [report.model for report in study.reports])
        colours = {stand_in(number): objective_colour(number) for number in range(len(names))}
        return to_svg(figure, colours, label="mean weights, model by model")


def objective_colour(number: int) -> str:
    """CSS colour of the objective at that place."""
    colours = (*MODEL_COLOURS, *BASELINE_COLOURS)
    return colours[number % len(colours)]


def thinned(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """At most ``MAX_POINTS`` of the candidates, evenly spread."""
    return candidates[:: -(-len(candidates) // MAX_POINTS)] if candidates else candidates


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """A logarithmic axis where one objective's weights would press all others to the floor."""
    above = [value for value in values if value > 0]
    if above and max(above) > LOG_FROM * min(above):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5 * min(above))
    else:
        axes.set_ylim(bottom=0)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _stack(axes: "Axes", values: Sequence[float], colour: str) -> None:
    """One more layer on the bars that stand there already."""
    below = [0.0] * len(values)
    for container in axes.containers:
        below = [start + bar.get_width() for start, bar in zip(below, container, strict=True)]
    axes.barh(range(len(values)), values, left=below, height=0.72, color=colour)


def _whole_cosines(report: GradientReport) -> tuple[tuple[float | None, ...], ...]:
    names = [each.name for each in report.objectives]
    found = {(pair.a, pair.b): pair.whole_cosine for pair in report.pairs}
    return tuple(tuple(1.0 if a == b else found.get((a, b), found.get((b, a))) for b in names) for a in names)


def _heat(axes: "Axes", values: Sequence[Sequence[float | None]]) -> None:
    from matplotlib.patches import Rectangle

    for row, line in enumerate(values):
        for column, value in enumerate(line):
            shown = 0.0 if value is None else value
            # Colour is faint enough for the number on it to be read in light and in dark.
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=stand_in(0 if shown >= 0 else 1),
                    alpha=0.55 * abs(shown),
                    linewidth=0,
                )
            )
            text = "–" if value is None else f"{value:.2f}".replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=INK)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.spines[["left", "bottom"]].set_visible(False)
