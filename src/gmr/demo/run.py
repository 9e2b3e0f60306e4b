"""``gmr demo``: train the small model by two objectives, measure on held-out queries, write the report."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, atomic_write_text
from gmr.core.tasks import RerankTask
from gmr.core.trec import write_run
from gmr.demo.report import build_report
from gmr.demo.systems import (
    BASE,
    CHANCE,
    FIRST_STAGE,
    PIXELS,
    SHIPPED,
    DemoSystem,
    evaluate_baseline,
    evaluate_models,
    packaged_folder,
    trained_system,
)
from gmr.demo.tables import comparison_lines, results_table, verdicts
from gmr.demo.training import TrainingJob, train_all
from gmr.evaluation import Comparison, SummaryRow, TaskResult, compare_systems, summarise
from gmr.reports.experiment import Curve
from gmr.reports.experiment_page import experiment_page

logger = logging.getLogger(__name__)
CURVES = ("sft_loss", "contrastive_loss", "weight_positive", "weight_negative")


@dataclass(frozen=True)
class DemoPlan:
    """How much of everything the demo does.

    Attributes:
        num_steps: training steps of each run.
        num_queries: held-out queries per task type; None for all of them.
        num_seeds: training runs per objective.
    """

    num_steps: int = 1000
    num_queries: int | None = None
    num_seeds: int = 1


FULL = DemoPlan()
QUICK = DemoPlan(num_steps=120, num_queries=20)


@dataclass(frozen=True)
class DemoResult:
    """What the demo found; printed, it is the table and where the report lies."""

    output_dir: Path
    report: Path
    systems: tuple[DemoSystem, ...]
    results: Mapping[str, Sequence[TaskResult]]
    rows: tuple[SummaryRow, ...]
    comparisons: tuple[Comparison, ...]
    example_model: Path
    seconds: float

    def __str__(self) -> str:
        lines = [
            "nDCG@10 on held-out queries: characters and typefaces that no training picture showed "
            "(95% bootstrap intervals)",
            "",
            results_table(self.rows, self.systems),
            "",
            *comparison_lines(self.comparisons),
            "",
            *verdicts(self.rows, self.comparisons, self.systems),
            "",
            f"Report: {self.report}   ({self.seconds:.0f} s; runs, models and TREC runs are beside it)",
            f'Next:   gmr rank --model {self.example_model} --query "black queen" --documents FOLDER',
        ]
        return "\n".join(lines)


def run_demo(
    output_dir: str | Path = "demo-output",
    *,
    quick: bool = False,
    seeds: int | None = None,
    plan: DemoPlan | None = None,
    progress: bool = True,
) -> DemoResult:
    """Runs the demo; interrupted and started again, it goes on where it stopped.

    Args:
        output_dir: where runs, models, results and the report go.
        quick: fewer steps and queries.
        seeds: training runs per objective; one by default.
        plan: how much of everything; ``FULL`` or ``QUICK`` when not given.
        progress: show what is going on, on stderr.

    Raises:
        DataError: the folder holds something else than a demo.
    """
    started = time.monotonic()
    plan = plan or (QUICK if quick else FULL)
    num_seeds = seeds or plan.num_seeds
    folder = Path(output_dir)
    _claim(folder)
    say = _Steps(progress, total=3)

    trained = [
        trained_system(objective, seed, num_seeds=num_seeds)
        for objective in ("sft", "cl")
        for seed in range(num_seeds)
    ]
    jobs = [_job(system, plan, folder / "runs") for system in trained]
    say(f"training {', '.join(job.name for job in jobs)}: {plan.num_steps} steps each from the same start")
    models = dict(zip((system.name for system in trained), train_all(jobs, progress=progress), strict=True))
    # Not before: the parent process would hold all pictures while the runs need the memory.
    tasks = suites.load("glyphs", limit=plan.num_queries)
    curves = [curve for system in trained for curve in _curves(system, models[system.name].history)]
    systems = [CHANCE, PIXELS, FIRST_STAGE, BASE, *trained]
    folders = {name: model.folder for name, model in models.items()}
    systems.append(SHIPPED)
    folders |= {system.name: packaged_folder(system) for system in (BASE, SHIPPED)}

    say(f"ranking the candidates of {sum(len(task.queries) for task in tasks):,} held-out queries")
    results = {
        system.name: evaluate_baseline(system, tasks) for system in systems if system.name not in folders
    }
    results |= evaluate_models(
        folders, num_queries=plan.num_queries, cache_dir=folder / "results", progress=progress
    )
    results = {system.name: results[system.name] for system in systems}

    say("comparing and writing the report")
    rows = tuple(summarise(results, levels=("type", "mean")))
    comparisons = tuple(compare_systems(results, _pairs(systems), levels=("type", "mean")))
    seconds = time.monotonic() - started
    example_model = models[trained[0].name].folder
    result = DemoResult(
        folder, folder / "report.html", tuple(systems), results, rows, comparisons, example_model, seconds
    )
    report = build_report(
        systems=result.systems,
        tasks=tasks,
        results=results,
        rows=rows,
        comparisons=comparisons,
        curves=curves,
        seconds=seconds,
        quick=plan.num_queries is not None,
    )
    atomic_write_text(result.report, experiment_page(report))
    _write_results(result, tasks)
    say.close()
    return result


def _pairs(systems: Sequence[DemoSystem]) -> list[tuple[str, str]]:
    """Comparisons chosen before any number is seen: SFT with CL, and each with what it has to beat."""
    trained = [system for system in systems if system.role == "trained"]
    sft = [system.name for system in trained if system.recipe == "gmr-nano-sft"]
    cl = [system.name for system in trained if system.recipe == "gmr-nano-cl"]
    pairs = list(zip(sft, cl, strict=True))
    pairs += [(system.name, other.name) for system in trained for other in (FIRST_STAGE, BASE)]
    return pairs


def _job(system: DemoSystem, plan: DemoPlan, runs_dir: Path) -> TrainingJob:
    """The training run that makes a system."""
    recipe = str(system.recipe)
    # A quick and a full demo may share a folder, so the number of steps is part of a run's name.
    run_dir = runs_dir / f"{recipe.removeprefix('gmr-nano-')}-{system.seed}-{plan.num_steps}"
    return TrainingJob(system.name, recipe, run_dir, plan.num_steps, system.seed)


def _curves(system: DemoSystem, history: Sequence[Mapping[str, float]]) -> list[Curve]:
    found = []
    for quantity in CURVES:
        points = [(line["step"], line[quantity]) for line in history if quantity in line and "step" in line]
        if points:
            steps, values = zip(*points, strict=True)
            found.append(Curve(system.name, quantity, steps, values, system.seed))
    return found


def _write_results(result: DemoResult, tasks: Sequence[RerankTask]) -> None:
    """TREC runs, per-query values and the table as text, Markdown and JSON."""
    for system, rows in result.results.items():
        for task, row in zip(tasks, rows, strict=True):
            write_run(row.run, result.output_dir / "trec" / f"{task.name}.{system.replace(' ', '-')}.trec")
    table = {name: [row.to_dict() for row in rows] for name, rows in result.results.items()}
    slim = {
        name: [{k: v for k, v in row.items() if k != "run"} for row in rows] for name, rows in table.items()
    }
    atomic_write_json(result.output_dir / "results.json", slim)
    atomic_write_text(result.output_dir / "results.txt", f"{result}\n")
    atomic_write_text(
        result.output_dir / "results.md", results_table(result.rows, result.systems, style="markdown")
    )


def _claim(folder: Path) -> None:
    """Makes the folder, or makes sure that it is one of ours."""
    marker = folder / "gmr-demo.json"
    if folder.exists() and not marker.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: not empty and not the output of an earlier demo; name another --output")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_json(marker, {"format": 1})


class _Steps:
    """Headlines of the demo's steps, numbered, with the time since the start."""

    def __init__(self, progress: bool, *, total: int) -> None:
        self.write: Callable[[str], None] = (
            (lambda line: tqdm.write(line, file=sys.stderr)) if progress else logger.info
        )
        self.total = total
        self.number = 0
        self.started = time.monotonic()

    def __call__(self, text: str) -> None:
        self.number += 1
        self.write(f"[{self.number}/{self.total}] {time.monotonic() - self.started:5.0f} s  {text}")

    def close(self) -> None:
        """The time it all took."""
        self.write(f"[done] {time.monotonic() - self.started:4.0f} s")
