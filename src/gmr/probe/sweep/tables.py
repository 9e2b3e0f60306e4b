"""An analysis as tables and as JSON."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gmr.metrics.measures import parse_measure
from gmr.metrics.seeds import Effect
from gmr.metrics.statistics import Interval
from gmr.metrics.tables import TABLES
from gmr.probe.sweep.analysis import Analysis, CellResult, ContrastResult
from gmr.probe.sweep.plan import PaperSection
from gmr.probe.sweep.verdict import RULE

Rows = list[list[str]]


def signed(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{value:+.2f}".replace("-", "−")


def span(interval: Interval) -> str:
    """A difference with its limits."""
    return f"{signed(interval.mean)} [{signed(interval.low)}, {signed(interval.high)}]"


def _short_span(interval: Interval) -> str:
    low, high = (f"{value:+.1f}".replace("-", "−") for value in (interval.low, interval.high))
    return f"{interval.mean:+.1f}".replace("-", "−") + f" [{low}, {high}]"


def contrast_rows(analysis: Analysis) -> tuple[list[str], Rows]:
    """Heading and rows of the contrasts: ours beside the paper's, and the verdict."""
    header = ["contrast", "ours, points [95 %]", "seeds", "p (Holm)", "paper", "verdict"]
    return header, [_contrast_row(result) for result in analysis.contrasts]


def overview_rows(analyses: Sequence[Analysis]) -> tuple[list[str], Rows]:
    """Heading and rows of the contrasts of several sweeps."""
    header, _ = contrast_rows(analyses[0])
    return ["plan", *header], [
        [analysis.plan.name, *row] for analysis in analyses for row in contrast_rows(analysis)[1]
    ]


def cell_rows(analysis: Analysis) -> tuple[list[str], Rows]:
    """Heading and rows of the cells: rate, seeds, mean."""
    header = [
        "cell",
        "learning rate",
        "seeds",
        f"{analysis.plan.test.measure}, points [95 %]",
        "over seeds",
        "",
    ]
    return header, [_cell_row(result) for result in analysis.cells]


def tuning_rows(analysis: Analysis) -> tuple[list[str], Rows]:
    """Heading and rows of the learning rates that were tried, the chosen one marked."""
    header = ["cell", "development mean by learning rate (* is chosen)", ""]
    rows = []
    for result in analysis.cells:
        choice = result.choice
        if choice is None or not choice.values or choice.tuned_as is not None:
            continue
        tried = [
            f"{rate:g}: {'diverged' if value is None else f'{100 * value:.2f}'}"
            + ("*" if rate == choice.learning_rate else "")
            for rate, value in choice.values.items()
        ]
        rows.append(
            [
                result.cell.name,
                "   ".join(tried),
                "at the edge of what was tried" if choice.is_at_edge else "",
            ]
        )
    return header, rows


def task_rows(analysis: Analysis) -> tuple[list[str], Rows]:
    """Heading and rows of the contrasts by task; not corrected for their number."""
    tasks = list(dict.fromkeys(task for result in analysis.contrasts for task in result.by_task))
    rows = [
        [
            result.contrast.name,
            *(_short_span(result.by_task[task]) if task in result.by_task else "" for task in tasks),
        ]
        for result in analysis.contrasts
        if result.by_task
    ]
    # glyphs-t2i, glyphs-i2t, …: what all have in common says nothing.
    prefix = os.path.commonprefix(tasks) if len(tasks) > 1 else ""  # noqa: RUF071  (names are no paths)
    shared = prefix.rfind("-") + 1
    return ["contrast", *(task[shared:] or task for task in tasks)], rows


def summary_lines(analysis: Analysis) -> list[str]:
    """What came out, a sentence for each contrast."""
    lines = []
    for result in analysis.contrasts:
        contrast = result.contrast
        if result.effect is None:
            lines.append(f"{contrast.name}: not run.")
            continue
        low, high = result.effect.interval.low, result.effect.interval.high
        found = "higher" if low > 0 else "lower" if high < 0 else "not to be told apart"
        claim = (
            f"; the paper says {claim_words(contrast.paper)}: {result.verdict}"
            if contrast.paper and result.verdict
            else ""
        )
        lines.append(f"{contrast.name}: {span(result.effect.interval)} points, {found}{claim}.")
    unlearnt = [result.cell.name for result in analysis.cells if result.is_at_chance]
    if unlearnt:
        lines.append(
            f"Not above random order: {', '.join(unlearnt)}. Differences between such cells say nothing about "
            "objectives; train for longer."
        )
    diverged = [
        f"{r.cell.name} ({r.num_diverged} of {len(r.runs)})" for r in analysis.cells if r.num_diverged
    ]
    if diverged:
        lines.append(
            f"Runs diverged: {', '.join(diverged)}. What is compared are the others, which flatters such a cell."
        )
    if analysis.num_missing:
        lines.append(f"{analysis.num_missing} runs are not finished: the same sweep goes on with them.")
    return lines


def claim_words(paper: PaperSection) -> str:
    """The paper's claim: its number where one is known."""
    words = paper.claim.replace("_", " ")
    if paper.claim in ("same", "not_higher", "not_lower"):
        words += f" (within {paper.within:g})"
    return f"{signed(paper.effect)}, {words}" if paper.effect is not None else words


def render(analysis: Analysis, *, style: str = "text") -> str:
    """The report as text (``text``, ``markdown``, ``latex`` or ``csv`` tables)."""
    plan = analysis.plan
    table = TABLES[style]
    title = f"# {plan.name}" if style == "markdown" else plan.name
    parts = [title, plan.question]
    if plan.about:
        parts.append(plan.about)
    for rows in (contrast_rows, cell_rows, tuning_rows):
        header, cells = rows(analysis)
        if cells:
            parts.append(table(header, cells).rstrip("\n"))
    parts += ["\n".join(f"- {line}" for line in summary_lines(analysis)), RULE, how(analysis)]
    return "\n\n".join(part for part in parts if part) + "\n"


def how(analysis: Analysis) -> str:
    """How the numbers came about, in a paragraph."""
    plan = analysis.plan
    test = plan.test
    where = str(test.folder) if test.folder is not None else f"{test.suite}, split {test.split}"
    some = f", the first {test.limit} queries of each task" if test.limit is not None else ""
    seeds = f"seeds {', '.join(map(str, plan.seeds))}"
    tuned = (
        f" Learning rates were chosen on the development tasks with seeds {', '.join(map(str, plan.tuning.seeds))}, as "
        "many for every cell; the test was not looked at for it."
        if len(plan.tuning.learning_rates) > 1
        else " Learning rates were given, not chosen: an objective may be at a disadvantage by its rate."
    )
    level = ""
    if analysis.levels is not None:
        chance, first_stage = (
            100 * sum(row.values()) / len(row)
            for row in (analysis.levels.chance, analysis.levels.first_stage)
        )
        level = f" Without a model: {chance:.2f} in random order, {first_stage:.2f} in the order of the first stage."
    effects = [result.effect for result in analysis.contrasts if result.effect is not None]
    single = (
        " With one seed the intervals say nothing about the luck of training, and there is no p."
        if any(effect.num_seeds == 1 for effect in effects)
        else ""
    )
    return (
        f"Measured: {parse_measure(test.measure)} on {where}{some}; every task weighs the same.{level} "
        f"Recipe {plan.recipe}, {seeds}. Effects are paired over seeds and queries; intervals are over both: Student's "
        "t over seeds, a bootstrap over the queries of each task. p is corrected by Holm over all "
        f"contrasts of the plan.{tuned}{single}"
    )


def to_json(analysis: Analysis) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "plan": analysis.plan.name,
        "question": analysis.plan.question,
        "measure": analysis.plan.test.measure,
        "rule": RULE,
        "num_missing": analysis.num_missing,
        "levels": asdict(analysis.levels) if analysis.levels else None,
        "contrasts": [
            {
                **{name: getattr(result.contrast, name) for name in ("name", "a", "b", "depth_a", "depth_b")},
                "effect": _effect(result.effect),
                "adjusted_p_value": result.adjusted_p_value,
                "paper": asdict(result.contrast.paper) if result.contrast.paper else None,
                "verdict": result.verdict,
                "is_at_chance": result.is_at_chance,
                "by_task": {task: asdict(interval) for task, interval in result.by_task.items()},
            }
            for result in analysis.contrasts
        ],
        "cells": [
            {
                "name": result.cell.name,
                "about": result.cell.about,
                "learning_rate": result.choice.learning_rate if result.choice else None,
                "dev_by_learning_rate": {str(rate): value for rate, value in result.choice.values.items()}
                if result.choice
                else {},
                "tuned_as": result.cell.tuned_as,
                "seeds": sorted(result.runs),
                "num_diverged": result.num_diverged,
                "mean": _effect(result.mean),
                "chance": result.chance,
                "is_at_chance": result.is_at_chance,
                "by_task": dict(result.by_task),
            }
            for result in analysis.cells
        ],
    }


def _effect(effect: Effect | None) -> dict[str, Any] | None:
    return None if effect is None else asdict(effect)


def _contrast_row(result: ContrastResult) -> list[str]:
    paper = result.contrast.paper
    told = f"{claim_words(paper)} [{paper.certainty}]" if paper else "–"
    if result.effect is None:
        return [result.contrast.name, "not run", "0", "–", told, "–"]
    p_value = result.adjusted_p_value
    return [
        result.contrast.name,
        span(result.effect.interval),
        str(result.effect.num_seeds),
        "–" if p_value is None else f"{p_value:.4f}",
        told,
        result.verdict or "–",
    ]


def _cell_row(result: CellResult) -> list[str]:
    choice = result.choice
    rate = "not chosen" if choice is None else "recipe's" if choice.learning_rate is None else ""
    rate = rate or f"{choice.learning_rate:g}" if choice and choice.learning_rate is not None else rate
    seeds = f"{len(result.runs)} of {result.num_wanted}"
    if result.num_diverged:
        seeds += f", {result.num_diverged} diverged"
    if result.mean is None:
        return [result.cell.name, rate, seeds, "–", "–", ""]
    mean = result.mean.interval
    spread = f"± {result.mean.seed_deviation:.2f}" if result.mean.num_seeds > 1 else "–"
    value = f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]"
    return [result.cell.name, rate, seeds, value, spread, "not above chance" if result.is_at_chance else ""]
