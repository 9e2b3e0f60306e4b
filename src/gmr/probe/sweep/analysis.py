"""From the files of a sweep's runs to effects over seeds and queries, beside what the paper found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gmr.core.errors import DataError
from gmr.metrics.seeds import Effect, crossed_effect
from gmr.metrics.statistics import Interval, holm
from gmr.probe.sweep.cells import Cell
from gmr.probe.sweep.choose import Choice
from gmr.probe.sweep.contents import Contents
from gmr.probe.sweep.files import RunResult, read_result
from gmr.probe.sweep.levels import LEVELS, Levels, read_levels
from gmr.probe.sweep.plan import ContrastSection, Plan
from gmr.probe.sweep.verdict import Verdict, verdict

POINTS = 100.0
"""Measures from 0 to 1 are told in points, hundredths, as the paper tells them."""

Table = NDArray[np.float64]


@dataclass(frozen=True)
class CellResult:
    """What one cell's runs found.

    Attributes:
        cell: The cell.
        choice: Its learning rate; None while it is not chosen.
        runs: The finished runs that are reported, by seed.
        num_wanted: Seeds of the plan.
        num_diverged: Finished runs without a model.
        mean: Mean of task means, in points, over seeds and queries; None without a trained run.
        by_task: Task to mean over seeds and queries, in points.
        chance: What random order gets on the same tasks, in points; None where the sweep does not hold it.
    """

    cell: Cell
    choice: Choice | None
    runs: Mapping[int, RunResult]
    num_wanted: int
    num_diverged: int
    mean: Effect | None
    by_task: Mapping[str, float]
    chance: float | None = None

    @property
    def is_at_chance(self) -> bool:
        """Whether its interval does not lie wholly above random order: then it has learnt nothing that shows."""
        return self.mean is not None and self.chance is not None and self.mean.interval.low <= self.chance


@dataclass(frozen=True)
class ContrastResult:
    """A contrast's effect.

    Attributes:
        contrast: As it was declared.
        effect: ``a - b`` in points, paired over seeds and queries; None while a cell has no run.
        adjusted_p_value: After Holm's correction over the plan's contrasts, those that are not run yet included; None
            as the effect, and for a single seed.
        verdict: About the paper's claim; None where there is no claim or no effect.
        by_task: Task to effect with its interval, in points, not corrected.
        is_at_chance: Neither cell is above random order: the effect is one of models that do not rank.
    """

    contrast: ContrastSection
    effect: Effect | None
    adjusted_p_value: float | None
    verdict: Verdict | None
    by_task: Mapping[str, Interval]
    is_at_chance: bool = False


@dataclass(frozen=True)
class Analysis:
    """Everything that a report says.

    Attributes:
        plan: The plan.
        cells: In the order of the plan.
        contrasts: In the order of the plan.
        num_missing: Runs that are reported and not finished.
        levels: What the test is worth without a model; None for a sweep that does not hold it.
    """

    plan: Plan
    cells: Sequence[CellResult]
    contrasts: Sequence[ContrastResult]
    num_missing: int
    levels: Levels | None = None


def analyse(sweep: Contents) -> Analysis:
    """The analysis of what is finished of a sweep, from its files alone.

    Raises:
        DataError: A file is not as its run left it, or two runs were measured on other queries.
    """
    plan = sweep.plan
    levels = read_levels(sweep.folder)
    cells = [_cell_result(sweep, cell, levels) for cell in sweep.cells.values()]
    by_name = {result.cell.name: result for result in cells}
    contrasts = [_contrast_result(by_name, contrast) for contrast in plan.contrasts]
    # What is not run yet counts as if nothing came of it: p must not grow while a sweep goes on.
    adjusted = holm([1.0 if result.effect is None else result.effect.p_value for result in contrasts])
    contrasts = [
        replace(result, adjusted_p_value=p_value) if _has_seeds(result.effect) else result
        for result, p_value in zip(contrasts, adjusted, strict=True)
    ]
    missing = sum(result.num_wanted - len(result.runs) for result in cells)
    return Analysis(plan, cells, contrasts, missing, levels)


def _cell_result(sweep: Contents, cell: Cell, levels: Levels | None) -> CellResult:
    choice = sweep.choice(cell.name)
    runs: dict[int, RunResult] = {}
    for spec in sweep.reported(cell.name):
        result = read_result(sweep.runs_dir / spec.name, spec)
        if result is not None:
            runs[spec.seed] = result
    trained = {seed: run for seed, run in runs.items() if run.outcome == "trained"}
    tables = _tables(trained, depth=None) if trained else {}
    return CellResult(
        cell=cell,
        choice=choice,
        runs=runs,
        num_wanted=len(sweep.plan.seeds),
        num_diverged=len(runs) - len(trained),
        mean=crossed_effect(list(tables.values())) if tables else None,
        by_task={task: float(table.mean()) for task, table in tables.items()},
        chance=_chance(sweep, levels, list(tables)) if levels and tables else None,
    )


def _chance(sweep: Contents, levels: Levels, tasks: Sequence[str]) -> float:
    unknown = [task for task in tasks if task not in levels.chance]
    if unknown:
        raise DataError(f"{sweep.folder / LEVELS}: says nothing of {unknown[0]!r}; run the sweep again")
    return POINTS * float(np.mean([levels.chance[task] for task in tasks]))


def _contrast_result(cells: Mapping[str, CellResult], contrast: ContrastSection) -> ContrastResult:
    sides = [_trained(cells[name]) for name in (contrast.a, contrast.b)]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    if not seeds:
        return ContrastResult(contrast, None, None, None, {})
    a, b = (
        _tables({seed: side[seed] for seed in seeds}, depth=depth)
        for side, depth in zip(sides, (contrast.depth_a, contrast.depth_b), strict=True)
    )
    if {name: table.shape for name, table in a.items()} != {name: table.shape for name, table in b.items()}:
        raise DataError(f"contrast {contrast.name!r}: its cells were not measured on the same queries")
    differences = {task: a[task] - b[task] for task in a}
    effect = crossed_effect(list(differences.values()))
    paper = contrast.paper
    pair = [cells[name] for name in (contrast.a, contrast.b)]
    at_chance = all(result.is_at_chance for result in pair)
    # Those that did not diverge flatter a cell, and one seed tells nothing of the luck of training.
    is_told = not at_chance and _has_seeds(effect) and not any(result.num_diverged for result in pair)
    found = None if paper is None else verdict(effect.interval, paper.claim, within=paper.within)
    return ContrastResult(
        contrast=contrast,
        effect=effect,
        adjusted_p_value=None,
        verdict=found if is_told or found is None else "cannot tell",
        by_task={task: crossed_effect([table]).interval for task, table in differences.items()},
        is_at_chance=at_chance,
    )


def _has_seeds(effect: Effect | None) -> bool:
    return effect is not None and effect.num_seeds > 1


def _trained(result: CellResult) -> dict[int, RunResult]:
    return {seed: run for seed, run in result.runs.items() if run.outcome == "trained"}


def _tables(runs: Mapping[int, RunResult], *, depth: int | None) -> dict[str, Table]:
    """Task to ``(seeds, queries)`` values in points, the queries in one order.

    Raises:
        DataError: The runs were not measured on the same tasks and queries.
    """
    values = [run.values(depth=depth) for run in runs.values()]
    first = values[0]
    for run, found in zip(runs.values(), values, strict=True):
        if {task: list(row) for task, row in found.items()} != {
            task: list(row) for task, row in first.items()
        }:
            raise DataError(f"{run.folder}: measured on other tasks or queries than its neighbours")
    return {
        task: POINTS * np.array([[found[task][query_id] for query_id in first[task]] for found in values])
        for task in first
    }
