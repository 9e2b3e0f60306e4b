"""The page of the lab's findings says what the results beside it say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gmr.metrics.statistics import Interval
from gmr.probe.sweep.plan import PaperSection, packaged_plans
from gmr.probe.sweep.tables import claim_words, span
from tests.conftest import REPOSITORY

LAB = REPOSITORY / "docs" / "lab"
PAGE = (REPOSITORY / "docs" / "lab.md").read_text(encoding="utf-8")
# A sweep of a packaged plan with a third learning rate, which has a section and no rows.
CHANGED = "rates"
RUN = sorted(path.name for path in LAB.iterdir() if path.name != CHANGED)


def rows_of(plan: str) -> list[list[str]]:
    """The rows of the page's table."""
    lines = [line for line in PAGE.splitlines() if re.match(rf"\| {plan} +\|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]


def row_of(contrast: dict[str, Any]) -> list[str]:
    """A row as the numbers give it."""
    effect, paper, p_value = contrast["effect"], contrast["paper"], contrast["adjusted_p_value"]
    return [
        contrast["name"],
        span(Interval(**effect["interval"])),
        str(effect["num_seeds"]),
        "–" if p_value is None else f"{p_value:.4f}",
        f"{claim_words(PaperSection(**paper))} [{paper['certainty']}]" if paper else "–",
        contrast["verdict"] or "–",
    ]


@pytest.mark.parametrize("plan", RUN)
def test_the_table_holds_every_contrast_as_its_results_have_it(plan: str) -> None:
    found = json.loads((LAB / plan / "analysis.json").read_text(encoding="utf-8"))
    assert found["num_missing"] == 0
    assert rows_of(plan) == [row_of(contrast) for contrast in found["contrasts"]]


def test_the_page_tells_which_plans_were_run() -> None:
    plans = packaged_plans()
    assert set(RUN) <= set(plans)
    loop = PAGE.split("for plan in", 1)[1].split("; do", 1)[0].replace("\\", " ")
    assert sorted(loop.split()) == RUN
    number = "all" if len(RUN) == len(plans) else len(RUN)
    assert f"`gmr probe plans` lists {len(plans)} plans; {number} of them have been run whole" in PAGE
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"What {number} of the plans found" in readme


@pytest.mark.parametrize("plan", [*RUN, CHANGED])
def test_figures_and_reports_of_the_page_are_there(plan: str) -> None:
    assert (LAB / plan / "report.md").is_file()
    shown = {Path(path) for path in re.findall(rf"lab/{plan}/([\w.]+)", PAGE)}
    assert shown
    assert all((LAB / plan / path).is_file() for path in shown)
