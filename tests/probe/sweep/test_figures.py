"""Curves of a sweep are seen, also those of one point, and every name of the legend is whole."""

import re

import pytest

from gmr.probe.sweep.figures import curve_panels
from gmr.reports.experiment import Curve

CELLS = ["focal/random_to_hard=1:0", "focal/random_to_hard=1:1", "sft/random_to_hard=1:0", "a"]


def panels(steps: list[int], cells: list[str]) -> str:
    """The figure of two seeds of each cell."""
    curves = [
        Curve(cell, "weight_positive", steps, [0.5 + 0.1 * place + 0.01 * seed for _ in steps])
        for place, cell in enumerate(cells)
        for seed in range(2)
    ]
    return str(curve_panels(curves, cells, label="weights"))


def test_a_curve_of_one_point_is_a_point() -> None:
    markers = [panels(steps, CELLS).count("<use ") for steps in ([3], [3, 6])]
    # Ticks are marks as well, and there are fewer or as many of them where there is one step.
    assert markers[0] - markers[1] >= 2 * len(CELLS)


@pytest.mark.parametrize(
    "cells", [CELLS, ["a", "b", "c", "d"], ["an uncommonly long name of a cell, " * 2 + "and more"]]
)
def test_the_legend_lies_within_the_figure(cells: list[str]) -> None:
    figure = panels([3, 6], cells)
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', figure)[0])
    names = {
        name: float(x) for x, name in re.findall(r'<text [^>]*x="([-\d.]+)"[^>]*>([^<]+)</text>', figure)
    }
    found = {name: place for name, place in names.items() if name in cells}
    assert len(found) == len(cells)
    for name, place in found.items():
        assert 0 < place < width - 4.0 * len(name), name
