"""``gmr bench --suite … --model …``: models on a suite of tasks, resumable, with statistics and a report."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.bench.report import show
from gmr.cli.console import examples, print_note
from gmr.cli.models import (
    DEFAULT_MODEL,
    MODELS,
    Compile,
    Device,
    Dtype,
    Engine,
    EngineName,
    ModelNames,
    Quantize,
    TemplateName,
    WeightType,
    check_device,
    check_models,
)
from gmr.cli.names import parse_measures
from gmr.cli.tasks import (
    WHAT,
    AllowCounts,
    AllowUnpinned,
    DataRoot,
    Limit,
    PictureRoot,
    RunsRoot,
    Split,
    SuiteName,
    TaskTypes,
    load_tasks,
    suite_name,
)
from gmr.core.errors import UsageError

if TYPE_CHECKING:
    from gmr.bench.run import Bench, Load
    from gmr.bench.system import System

EPILOG = examples(
    "gmr bench --suite glyphs --model gmr-nano",
    "gmr bench --suite glyphs --model gmr-nano --model runs/sft/model --output results/glyphs",
    "gmr bench --suite emoji --data-root data --task 'emoji-t2i*' --depth 30 --model gmr-nano",
    "gmr bench --suite glyphs --model BIG --shards 1/4    (and 2/4, 3/4, 4/4; then once without --shards)",
)
RUNNING = "How to run, and where results go"


def run(
    context: typer.Context,
    *,
    suite: SuiteName = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            rich_help_panel=WHAT,
            help="A task in BEIR layout with candidates; repeatable.",
        ),
    ] = None,
    model: ModelNames = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            rich_help_panel=RUNNING,
            help="Folder of the results; results/SUITE when not given.",
        ),
    ] = None,
    split: Split = "test",
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="PATTERN",
            rich_help_panel=WHAT,
            help="Keep tasks of this name, such as 'emoji-*'; repeatable.",
        ),
    ] = None,
    task_type: TaskTypes = None,
    limit: Limit = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=WHAT, help="Rerank the first so many candidates of each query."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE",
            rich_help_panel=WHAT,
            help="ndcg@10, rr@10, …; repeatable; each task's own when not given.",
        ),
    ] = None,
    data_root: DataRoot = None,
    runs_root: RunsRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    template: TemplateName = None,
    device: Device = None,
    dtype: WeightType = Dtype.FLOAT32,
    engine: Engine = EngineName.AUTO,
    quantize: Quantize = None,
    compile: Compile = False,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=MODELS, help="Longest prompt; each model's own when not given."),
    ] = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=MODELS, help="Most tokens of a forward pass; 16,384, or 1,536 on a CPU."
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=RUNNING,
            help="Scores already made; OUTPUT/scores.sqlite when not given.",
        ),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            rich_help_panel=RUNNING,
            help="Score only this part, such as 2/4; without it, what is left.",
        ),
    ] = None,
    ray: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=RUNNING,
            help="Score with so many workers of Ray (extra 'ray').",
        ),
    ] = None,
    bad_media: Annotated[
        str,
        typer.Option(
            metavar="stop|floor",
            rich_help_panel=RUNNING,
            help="Pictures that cannot be used: stop, or take the last place.",
        ),
    ] = "stop",
    allow_non_finite: Annotated[
        bool,
        typer.Option(
            "--allow-non-finite",
            rich_help_panel=RUNNING,
            help="Scores that are not finite take the last place.",
        ),
    ] = False,
    recheck: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            rich_help_panel=RUNNING,
            help="Share of stored scores that is computed again and compared.",
        ),
    ] = 0.01,
    single_writer: Annotated[
        bool,
        typer.Option(
            "--single-writer",
            rich_help_panel=RUNNING,
            help="Do without file locks, where a file system has none.",
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(min=0, rich_help_panel=RUNNING, help="Of the resampling behind intervals and tests."),
    ] = 0,
) -> None:
    """Measure models on a suite, and engines and options on this machine.

    A run can be killed at any moment: the same command goes on where it was, and gives the same files to the last
    byte. Chance, the first stage and the cosine of pixels stand beside every model; every mean has an interval and
    every difference a paired test. OUTPUT then holds runs, values of every query, and report.html.
    """
    if context.invoked_subcommand is not None:
        return
    if bad_media not in ("stop", "floor"):
        raise UsageError(f"--bad-media is {bad_media!r}: stop or floor")
    if shards is not None and ray is not None:
        raise UsageError("--shards and --ray are two ways to share the work: give one of them")
    models = model or [DEFAULT_MODEL]
    check_models(models)
    measures = parse_measures(measure or [])
    tasks = load_tasks(
        suite,
        folder or [],
        split=split,
        names=task,
        task_types=task_type,
        limit=limit,
        depth=depth,
        data_root=data_root,
        runs_root=runs_root,
        picture_root=picture_root,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
        folder_option="--folder",
    )

    from gmr.bench.run import STORE, Bench, Policy, run_bench, run_shard

    name = suite_name(suite, folder or [])
    bench = Bench(
        suite=name,
        tasks=tasks,
        measures=tuple(measures),
        facts={
            "chosen": {
                "suite": suite,
                "folders": [str(each) for each in folder or []],
                "split": split,
                "names": task,
                "task_types": task_type,
                "limit": limit,
                "depth": depth,
            },
            "seed": seed,
        },
        policy=Policy(
            floors_bad_media=bad_media == "floor",
            floors_non_finite=allow_non_finite,
            recheck_share=recheck,
            is_single_writer=single_writer,
        ),
    )
    output = output or Path("results") / name
    options = {
        "template": template,
        "device": check_device(device),
        "dtype": dtype.value,
        "engine": engine.value,
        "quantize": quantize.value if quantize else None,
        "compile": compile,
        "max_tokens": max_tokens,
        "batch_tokens": batch_tokens,
    }
    _say_what(bench, models)
    store_path = store or output / STORE
    if shards is not None:
        from gmr.bench.blocks import Shard

        shard = Shard.parse(shards)
        num_pairs = run_shard(bench, loads(models, options), store_path, shard, progress=True)
        print_note(f"part {shard}: its {num_pairs} pairs are in {store_path}")
        return
    systems, bad = loads(models, options), None
    if ray is not None:
        from gmr.bench.ray import run_on_ray

        scored, bad = run_on_ray(bench, models, options, store_path, num_workers=ray, progress=True)
        systems = [partial(_given, system) for system in scored]
    record = run_bench(bench, systems, output, store_path=store_path, bad=bad, progress=True)
    show(record, tasks, output, seed=seed)
    print_note(f"wrote {output}/ (report.html to look at)")


def loads(models: list[str], options: dict[str, Any]) -> "list[Load]":
    """A function for each model that loads it when its turn comes."""
    return [partial(_load, model, options) for model in models]


def _load(model: str, options: dict[str, Any]) -> "System":
    from gmr.bench.system import load_system

    return load_system(model, **options)


def _given(system: "System") -> "System":
    return system


def _say_what(bench: "Bench", models: list[str]) -> None:
    num_queries = sum(len(task.first_stage) for task in bench.tasks)
    num_pairs = sum(len(scores) for task in bench.tasks for scores in task.first_stage.values())
    print_note(
        f"{bench.suite}: {len(bench.tasks)} tasks, {num_queries} queries, {num_pairs} pairs for each of "
        f"{len(models)} model{'s' * (len(models) != 1)}"
    )
