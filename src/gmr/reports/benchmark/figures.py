"""The figures of a benchmark's page: depth curves, reliability, two systems query by query, cost against quality."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gmr.metrics.calibration import Calibration
from gmr.metrics.statistics import Interval
from gmr.reports.benchmark.contents import DepthRow, PairedQueries
from gmr.reports.experiment import System
from gmr.reports.figures import MUTED, colours, drawing, label_of, stand_in, to_svg
from gmr.reports.html import Markup, without_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Lines of systems that share a colour, because there are more of them than colours, differ in their dashes.
DASHES = ("-", (0, (4, 1.5)), (0, (1.5, 1.2)))
COLUMNS = 5
MOST_TICKS = 7
NAME_CHARS = 28


def depth_panels(rows: Sequence[DepthRow], systems: Sequence[System], *, measure: str) -> Markup:
    """The measure by depth of reranking: all tasks large, task types small beside it.

    Args:
        rows: Of level ``mean`` first, then of level ``type``.
        systems: In the order of colours; those without a line are left out.
        measure: Written at the axis.
    """
    large, *small = rows
    lines = -(-len(small) // 3)
    with drawing() as new_figure:
        figure = new_figure(9.4 if small else 5.2, max(3.2, 1.75 * lines))
        if small:
            left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
            grid = right.subplots(lines, 3, squeeze=False, sharex=True).flatten()
        else:
            left, grid = figure, []
        axes = left.subplots()
        _draw_depth(axes, large, systems, has_bands=True)
        axes.set_xlabel("candidates reranked")
        axes.set_ylabel(measure)
        axes.set_title("all tasks", loc="left")
        for place, panel in enumerate(grid):
            if place >= len(small):
                panel.set_visible(False)
                continue
            _draw_depth(panel, small[place], systems, has_bands=False)
            panel.set_title(label_of(small[place].label), loc="left", fontsize=8.5)
            panel.tick_params(labelsize=7.5)
        return to_svg(figure, _names(systems), label=f"{measure} by depth of reranking")


def reliability_panels(rows: Mapping[str, Calibration], systems: Sequence[System]) -> Markup:
    """For each model the share of relevant pairs against the probability, above the number of pairs."""
    columns = min(COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    places = {system.name: place for place, system in enumerate(systems)}
    with drawing() as new_figure:
        figure = new_figure(max(3.2, 2.35 * columns), 3.0 * lines)
        grid = figure.subplots(2 * lines, columns, squeeze=False, sharex=True, height_ratios=[3, 1] * lines)
        for number in range(lines * columns):
            line, column = divmod(number, columns)
            upper, lower = grid[2 * line][column], grid[2 * line + 1][column]
            if number >= len(rows):
                upper.set_visible(False)
                lower.set_visible(False)
                continue
            name = list(rows)[number]
            _draw_reliability(upper, lower, rows[name], stand_in(places[name]))
            upper.set_title(_short(name), loc="left", fontsize=8.5)
            if column == 0:
                upper.set_ylabel("share relevant")
                lower.set_ylabel("pairs")
            if line == lines - 1:
                lower.set_xlabel("probability")
        return to_svg(figure, _names(systems), label="reliability diagrams")


def paired_panels(pairs: Sequence[PairedQueries], systems: Sequence[System], *, measure: str) -> Markup:
    """Every query by its values under two systems; the area of a circle is the number of queries."""
    places = {system.name: place for place, system in enumerate(systems)}
    most = max((count for pair in pairs for _, _, count in pair.cells), default=1)
    with drawing() as new_figure:
        figure = new_figure(3.7 * len(pairs), 3.5)
        for axes, pair in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
            for sign, name in ((1, pair.a), (-1, pair.b), (0, "")):
                cells = [cell for cell in pair.cells if _sign(cell[0] - cell[1]) == sign]
                axes.scatter(
                    [y for _, y, _ in cells],
                    [x for x, _, _ in cells],
                    s=[4 + 300 * count / most for _, _, count in cells],
                    color=stand_in(places[name]) if name else MUTED,
                    alpha=0.75,
                    linewidths=0,
                )
            axes.set_xlabel(f"{_short(pair.b)}: {measure}")
            axes.set_ylabel(f"{_short(pair.a)}: {measure}")
            axes.set_xlim(-0.06, 1.06)
            axes.set_ylim(-0.06, 1.06)
            axes.set_aspect("equal")
            axes.text(0.02, 0.99, f"better on {pair.wins}", va="top", fontsize=8.5)
            axes.text(0.99, 0.02, f"worse on {pair.losses}", ha="right", fontsize=8.5)
            axes.grid()
        return to_svg(figure, _names(systems), label=f"two systems query by query, {measure}")


def cost_plot(
    points: Mapping[str, tuple[float, Interval]], systems: Sequence[System], *, measure: str
) -> Markup:
    """Mean with interval against CPU seconds for a thousand pairs, on a logarithmic axis.

    Args:
        points: System name to CPU seconds (more than 0) and mean.
        systems: In the order of colours.
        measure: Written at the axis.
    """
    places = {system.name: place for place, system in enumerate(systems)}
    with drawing() as new_figure:
        figure = new_figure(5.2, 3.0)
        axes = figure.subplots()
        for name, (seconds, value) in points.items():
            colour = stand_in(places[name])
            axes.plot([seconds] * 2, [value.low, value.high], color=colour, linewidth=1.4)
            axes.plot([seconds], [value.mean], "o", color=colour, markersize=7)
            axes.annotate(
                _short(name), (seconds, value.mean), xytext=(7, 4), textcoords="offset points", fontsize=8.5
            )
        least, most = (limit(seconds for seconds, _ in points.values()) for limit in (min, max))
        axes.set_xscale("log")
        _tick_logarithmic(axes.xaxis, least / 2, most * 6, steps=(1, 2, 5))  # room for the names on the right
        axes.set_xlabel("CPU seconds for 1,000 pairs")
        axes.set_ylabel(measure)
        axes.grid()
        return to_svg(figure, _names(systems), label=f"cost against {measure}")


def _draw_depth(axes: "Axes", row: DepthRow, systems: Sequence[System], *, has_bands: bool) -> None:
    depths = row.curves.depths
    axes.axhline(row.curves.first_stage.mean, color=MUTED, linewidth=1.0, linestyle=(0, (1.5, 1.5)))
    axes.plot(depths, [value.mean for value in row.curves.oracle], color=MUTED, linewidth=1.0)
    for place, system in enumerate(systems):
        if system.name not in row.curves.systems:
            continue
        values = row.curves.systems[system.name]
        axes.plot(
            depths,
            [value.mean for value in values],
            color=stand_in(place),
            linestyle=_dash(place, systems),
            linewidth=1.8 if has_bands else 1.3,
            marker="o" if has_bands else None,
            markersize=3,
        )
        if has_bands and system.role != "baseline":
            lows, highs = ([getattr(value, end) for value in values] for end in ("low", "high"))
            axes.fill_between(depths, lows, highs, color=stand_in(place), alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    shown = [depth for depth in depths if has_bands or depth in (1, 10, 100, 1000, depths[-1])]
    axes.set_xticks(shown, [str(depth) for depth in shown])
    axes.minorticks_off()
    axes.set_ylim(0, 1.03)
    axes.grid(axis="y")


def _draw_reliability(upper: "Axes", lower: "Axes", value: Calibration, colour: str) -> None:
    bins = value.bins
    at = [row.mean_probability for row in bins]
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    upper.vlines(at, [row.low for row in bins], [row.high for row in bins], color=colour, linewidth=1.0)
    upper.plot(
        at, [row.share_relevant for row in bins], color=colour, marker="o", markersize=3.5, linewidth=1.2
    )
    upper.text(0.03, 0.96, f"ECE {value.ece:.3f}\nBrier {value.brier:.3f}", va="top", fontsize=8)
    upper.set_xlim(-0.03, 1.03)
    upper.set_ylim(-0.03, 1.03)
    upper.grid()
    lower.bar(at, [row.count for row in bins], width=0.045, color=colour)
    lower.set_yscale("log")
    _tick_logarithmic(lower.yaxis, 0.7, 2 * max(row.count for row in bins), steps=(1,))


def _tick_logarithmic(axis: "Axis", low: float, high: float, *, steps: Sequence[int]) -> None:
    """Ticks in plain numbers: the labels of matplotlib's own are formulas, which this house does not parse."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    while len(ticks) > MOST_TICKS:
        ticks = ticks[::2]
    axis.axes.minorticks_off()
    axis.set_ticks(ticks, [f"{tick:,.15g}" for tick in ticks])
    axis.set_view_interval(low, high, ignore=True)


def _dash(place: int, systems: Sequence[System]) -> "str | tuple[int, tuple[float, float]]":
    palette = colours(systems)
    shared = [system for system in systems[:place] if palette[system.name] == palette[systems[place].name]]
    return DASHES[len(shared) % len(DASHES)]


def _names(systems: Sequence[System]) -> dict[str, str]:
    return {stand_in(place): colour for place, colour in enumerate(colours(systems).values())}


def _short(name: str) -> str:
    """A name that fits a figure: of a long one the end, which is what tells paths apart."""
    shown = without_controls(name)
    return shown if len(shown) <= NAME_CHARS else f"…{shown[1 - NAME_CHARS :]}"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
