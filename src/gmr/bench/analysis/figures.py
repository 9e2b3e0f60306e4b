"""Figures of an analysis as inline SVG: effects with their intervals, or curves."""

from collections.abc import Sequence

from gmr.bench.analysis.results import Row, Table
from gmr.reports.figures import GRID, INK, MODEL_COLOURS, drawing, stand_in, to_svg
from gmr.reports.html import Markup


def figure_of(table: Table, *, label: str) -> Markup:
    """The table's drawn column: lines over the axis where it has one, else a row of points."""
    rows = [row for row in table.summary() if table.drawn in row.estimates]
    if not rows:
        return Markup("")
    return _curves(table, rows, label=label) if table.axis else _points(table, rows, label=label)


def _points(table: Table, rows: Sequence[Row], *, label: str) -> Markup:
    with drawing() as new_figure:
        figure = new_figure(6.4, 0.7 + 0.27 * len(rows))
        axes = figure.subplots()
        for place, row in enumerate(rows):
            estimate = row.estimates[table.drawn]
            value = estimate.value
            axes.plot([value.low, value.high], [place, place], color=stand_in(0), linewidth=2.0)
            # What is not shown is hollow.
            is_hollow = estimate.p_value is not None and not estimate.is_shown
            axes.plot(
                [value.mean],
                [place],
                "o",
                color=stand_in(0),
                markersize=5.5,
                markerfacecolor="#ffffff" if is_hollow else stand_in(0),
            )
        if table.columns[table.drawn].is_effect:
            axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [row.change.label for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, colors=INK)
        axes.set_xlabel(table.columns[table.drawn].about)
        # A power of ten for the whole axis would stand on the end of its label.
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.grid(axis="x", color=GRID)
        return to_svg(figure, {stand_in(0): MODEL_COLOURS[0]}, label=label)


def _curves(table: Table, rows: Sequence[Row], *, label: str) -> Markup:
    with drawing() as new_figure:
        figure = new_figure(6.4, 3.0)
        axes = figure.subplots()
        series = list(dict.fromkeys(row.change.series for row in rows))
        for place, name in enumerate(series):
            found = [row for row in rows if row.change.series == name and row.change.x is not None]
            xs = [float(row.change.x or 0.0) for row in found]
            values = [row.estimates[table.drawn].value for row in found]
            colour = stand_in(place)
            axes.plot(xs, [value.mean for value in values], "o-", color=colour, markersize=3.5, label=name)
            axes.fill_between(
                xs, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.12, linewidth=0
            )
        positive = [row.change.x for row in rows if row.change.x]
        if positive and max(positive) > 20 * min(positive):
            # Zero has a place too, at the left of the smallest.
            axes.set_xscale("symlog", linthresh=min(positive))
        axes.set_xlabel(table.axis)
        axes.set_ylabel(table.drawn)
        axes.grid(axis="y", color=GRID)
        axes.legend(frameon=False, fontsize=8.5)
        names = {stand_in(i): MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(series))}
        return to_svg(figure, names, label=label)
