"""``gmr probe sweep``: the runs of a plan, their analysis, and the comparison with the paper."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmr.cli.console import examples, print_line, print_note, print_table, print_text

if TYPE_CHECKING:
    from gmr.probe.sweep.analysis import Analysis
    from gmr.probe.sweep.sweep import PlannedRun, Sweep

EPILOG = examples(
    "gmr probe plans",
    "gmr probe sweep paper-combinations --quick",
    "gmr probe sweep paper-combinations --dry-run",
    "gmr probe sweep paper-combinations --output sweeps/table-1 --workers 2",
    "gmr probe sweep paper-weights --reuse sweeps/table-1",
    "gmr probe sweep my-plan.toml --only sft --set seeds=[0,1] --set common.training.max_steps=100",
)


class Over(StrEnum):
    """Where runs are made."""

    PROCESSES = "processes"
    ACCELERATE = "accelerate"
    RAY = "ray"


def sweep(
    plan: Annotated[
        str, typer.Argument(help="A plan of this package by name (gmr probe plans), or a .toml file.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the sweep; sweeps/NAME (or NAME-quick) when not given."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time, each with one thread; one for each core when not given."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer steps, seeds and queries, as the plan's \\[quick] says.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the runs and how long they may take; make none.")
    ] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Another sweep, or a folder of sweeps: what is finished there is not made again; repeatable.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CELL", help="Run this cell alone; repeatable.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change the plan; repeatable."),
    ] = None,
    over: Annotated[
        Over,
        typer.Option(
            help="processes of this machine; accelerate launch, one run at a time over all devices; or tasks of Ray, "
            "with a GPU each where there are GPUs."
        ),
    ] = Over.PROCESSES,
) -> None:
    """Make the training runs of a plan, compare its cells, and put the effects beside the paper's.

    A plan is one page: the recipe, the cells that change it, seeds, learning rates to choose from on development
    tasks, the test, and the contrasts, declared before anything is run. Stopped at any time, the same command goes
    on; the results are the same bytes. The report is made from the files of the runs alone.
    """
    from gmr.probe.sweep.plan import load_plan
    from gmr.probe.sweep.sweep import Sweep

    page = load_plan(plan, overrides or [], quick=quick)
    folder = output or Path("sweeps") / (f"{page.name}-quick" if quick else page.name)
    opened = Sweep(page, folder, only=only or [], reuse=reuse or [])
    if reuse and not dry_run:
        print_note(f"{opened.adopt()} runs are taken from other sweeps")
    num_workers = workers or (1 if over is Over.ACCELERATE else _num_cores())
    rows = opened.table()
    if dry_run:
        print_text(page.question)
        _print_runs(rows)
    _print_estimate(opened, rows, num_workers)
    if dry_run:
        return
    opened.run(num_workers=num_workers, over=over.value)

    from gmr.probe.sweep.report import PAGE, write_report

    print_analysis(write_report(folder))
    print_line(str(folder / PAGE))


def print_analysis(analysis: "Analysis") -> None:
    """Effects, cells and learning rates as tables, and what they say."""
    from gmr.probe.sweep.tables import cell_rows, contrast_rows, summary_lines, tuning_rows

    print_text(analysis.plan.question)
    for rows in (contrast_rows, cell_rows, tuning_rows):
        header, cells = rows(analysis)
        if cells:
            print_table(header, cells)
    for line in summary_lines(analysis):
        print_text(line)


def _print_runs(rows: "Sequence[PlannedRun]") -> None:
    cells = [
        [
            row.cell,
            "chooses the rate" if row.purpose == "tuning" else "is reported",
            ", ".join(f"{rate:g}" for rate in row.learning_rates)
            or ("to be chosen" if row.purpose == "test" else ""),
            ", ".join(map(str, row.seeds)),
            f"{row.num_done} of {row.num_runs}",
            f"{row.work.num_steps:,}",
            f"{row.work.num_trained:,}",
            f"{row.work.num_scored:,}",
        ]
        for row in rows
    ]
    header = ["cell", "", "learning rate", "seeds", "done", "steps", "prompts trained", "pairs scored"]
    print_table(
        header, cells, title="Runs; the last three columns are of each", right=header[5:], is_dense=True
    )


def _print_estimate(sweep: "Sweep", rows: "Sequence[PlannedRun]", num_workers: int) -> None:
    left = sum(row.num_runs - row.num_done for row in rows)
    if not left:
        print_note("all runs are finished")
        return
    seconds = sweep.seconds(num_workers=num_workers)
    told = (
        "how long is known when the first one is finished"
        if seconds is None
        else f"about {_minutes(seconds)} if the cores are free"
    )
    print_note(f"{left} runs, {min(num_workers, left)} at a time: {told}")


def _minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
