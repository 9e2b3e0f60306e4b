"""``gmr bench mteb`` runs a model inside mteb, ``gmr bench import`` measures its predictions or shows its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import examples, print_note, print_table, print_text
from gmr.cli.models import (
    DEFAULT_MODEL,
    Device,
    Dtype,
    Engine,
    EngineName,
    ModelName,
    WeightType,
    check_device,
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
    load_tasks,
)
from gmr.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from gmr.bench.mteb import MtebRun, Predictions
    from gmr.core.tasks import RerankTask
    from gmr.evaluation import TaskResult

EPILOG = examples(
    "gmr bench mteb --suite glyphs --output runs/mteb",
    "gmr bench mteb --model runs/sft/model --task AskUbuntuDupQuestions --output runs/mteb",
    "gmr bench mteb --task SciFact --first-stage bm25/SciFact_predictions.json --depth 100 --output runs/mteb",
)
IMPORT_EPILOG = examples(
    "gmr bench import runs/mteb/predictions --suite glyphs",
    "gmr bench import SciFact_predictions.json --task data/scifact --measure ndcg@10",
    "gmr bench import ~/.cache/mteb/results",
)


def mteb(
    *,
    model: ModelName = DEFAULT_MODEL,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "--tasks",
            metavar="NAME",
            rich_help_panel=WHAT,
            help="A retrieval or reranking task of mteb; repeatable.",
        ),
    ] = None,
    suite: SuiteName = None,
    data_root: DataRoot = None,
    runs_root: RunsRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    split: Split = "test",
    limit: Limit = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Candidates of one --task: a TREC run, or predictions that mteb wrote."
        ),
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="First so many candidates of each query.")] = None,
    instruction: Annotated[
        str | None,
        typer.Option(help="For queries without one of their own; the task's prompt when not given."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for mteb's results and predictions.")
    ] = Path("runs/mteb"),
    device: Device = None,
    dtype: WeightType = Dtype.FLOAT32,
    engine: Engine = EngineName.AUTO,
) -> None:
    """Run a model inside mteb on tasks of mteb's, or on a suite of ours.

    mteb computes and files its own results; the predictions that it writes are measured again here, without
    rounding and with confidence intervals. What is in the folder already, from this model on this data, is not run
    again.
    """
    if bool(task) == bool(suite):
        raise UsageError(
            "name what to run: --task NAME of mteb's (repeatable) or --suite glyphs, one of them"
        )
    if first_stage is not None and len(task or []) != 1:
        raise UsageError("--first-stage belongs to one --task")
    if limit is not None and suite is None:
        raise UsageError("--limit belongs to --suite")

    from gmr.bench.mteb import as_mteb_task, mteb_model, run_task

    tasks: list[Any] = list(task or [])
    if suite is not None:
        ours = load_tasks(
            suite,
            [],
            split=split,
            limit=limit,
            data_root=data_root,
            runs_root=runs_root,
            picture_root=picture_root,
            allow_unpinned=allow_unpinned,
            allow_counts=allow_counts,
        )
        tasks = [as_mteb_task(each) for each in ours]
    candidates = _read_first_stage(first_stage) if first_stage is not None else None
    options: dict[str, Any] = {"dtype": str(dtype), "engine": str(engine), "device": check_device(device)}
    loaded = mteb_model(model, instruction=instruction, **options)
    _quieten()
    runs = [
        run_task(loaded, each, output, first_stage=candidates, depth=depth, progress=True) for each in tasks
    ]
    _print_runs(runs)
    print_note(f"wrote {output}/")


def import_(
    *,
    path: Annotated[
        Path, typer.Argument(help="A file of mteb's, of predictions or results, or a folder of either.")
    ],
    suite: SuiteName = None,
    data_root: DataRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    task: Annotated[
        Path | None,
        typer.Option(
            "--task",
            metavar="FOLDER",
            rich_help_panel=WHAT,
            help="The task that was predicted, in BEIR layout.",
        ),
    ] = None,
    split: Split = "test",
    limit: Limit = None,
    subset: Annotated[
        str | None, typer.Option(help="Subset of the predictions, where there are several.")
    ] = None,
    predicted_split: Annotated[
        str | None, typer.Option(help="Split of the predictions, where there are several.")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE", help="ndcg@10, rr@10, ...; repeatable; the task's own when not given."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for runs, per-query values, tables and a page."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling behind intervals and tests.")] = 0,
) -> None:
    """Measure predictions that mteb wrote, or show the scores that it reports.

    Predictions (files *_predictions.json) are measured on the judgments of --suite or --task, per query, with
    intervals and paired tests between models. Result files have no more than means: these are shown as reported.
    """
    if suite is not None and task is not None:
        raise UsageError("--suite and --task: give one of them")
    if limit is not None and suite is None:
        raise UsageError("--limit belongs to --suite")
    measures = parse_measures(measure or [])
    if suite is None and task is None:
        if output is not None or subset is not None or predicted_split is not None:
            raise UsageError(
                "reported results are only shown; name what was predicted: --suite NAME or --task FOLDER"
            )
        _print_reported(path, measures)
        return

    from gmr.bench.mteb import find_predictions, measure_predictions, read_predictions
    from gmr.cli.results import print_results, write_results

    predictions = [read_predictions(each) for each in (find_predictions(path) if path.is_dir() else [path])]
    # Predictions are their own candidates: a folder need not have any.
    judged_tasks = load_tasks(
        suite,
        [task] if task is not None else [],
        split=split,
        limit=limit,
        data_root=data_root,
        picture_root=picture_root,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
        needs_first_stage=False,
    )
    tasks = {each.name: each for each in judged_tasks}
    own = {each.measure for each in tasks.values()}
    measures = measures or (list(own) if len(own) == 1 else ["ndcg@10"])
    results: dict[str, list[TaskResult]] = {}
    for each in predictions:
        judged = _task_of(each, tasks, is_alone=task is not None)
        result = measure_predictions(each, judged, subset=subset, split=predicted_split, measures=measures)
        results.setdefault(_system(each, predictions), []).append(result)
    for of_system in results.values():
        of_system.sort(key=lambda result: list(tasks).index(result.task_name))
    _check_same_tasks(results)
    print_results(results, measures, seed=seed)
    if output is not None:
        write_results(results, measures, output, seed=seed)
        print_note(f"wrote {output}/")


def _read_first_stage(path: Path) -> Any:
    if path.suffix != ".json":
        from gmr.core.trec import read_run

        return read_run(path)
    from gmr.bench.mteb import read_predictions

    return read_predictions(path).run()


def _task_of(predictions: "Predictions", tasks: "dict[str, RerankTask]", *, is_alone: bool) -> "RerankTask":
    if is_alone:
        return next(iter(tasks.values()))
    if predictions.task_name not in tasks:
        known = ", ".join(tasks)
        raise DataError(
            f"{predictions.path}: the suite has no task {predictions.task_name!r}; there are {known}"
        )
    return tasks[predictions.task_name]


def _system(predictions: "Predictions", others: "Sequence[Predictions]") -> str:
    """The model's name, with its revision and folder where another one has the same."""
    same = {(each.model_name, each.revision, each.path.parent) for each in others}
    same = {each for each in same if each[0] == predictions.model_name}
    name = predictions.model_name or str(predictions.path)
    if len(same) < 2:
        return name
    if len({revision for _, revision, _ in same}) == len(same):
        return f"{name} {predictions.revision[:8]}"
    return f"{name} ({predictions.path.parent})"


def _check_same_tasks(results: "dict[str, list[TaskResult]]") -> None:
    tasks = {system: [result.task_name for result in of_system] for system, of_system in results.items()}
    first, *others = tasks
    if len(set(tasks[first])) < len(tasks[first]):
        raise DataError(f"{first}: several files of predictions for the same task")
    for system in others:
        if tasks[system] != tasks[first]:
            raise DataError(
                f"{first} and {system} were not run on the same tasks: {', '.join(tasks[first])};"
                f" {', '.join(tasks[system])}"
            )


def _print_runs(runs: "list[MtebRun]") -> None:
    rows = []
    for run in runs:
        for reported, measured in zip(run.reported, run.measured, strict=True):
            place = "" if reported.subset == "default" else f" {reported.subset}"
            rows.append(
                [
                    f"{reported.task_name}{place}",
                    reported.split,
                    str(measured.coverage.num_judged),
                    next(iter(measured.per_query)),
                    f"{reported.main:.5f}",
                    str(measured.interval()),
                ]
            )
    columns = ["task", "split", "queries", "measure", "by mteb", "by gmr [95 % confidence interval]"]
    print_table(columns, rows, right=columns[2:])


def _print_reported(path: Path, measures: list[str]) -> None:
    from gmr.bench.mteb import read_result, read_results_folder, reported_rows

    if len(measures) > 1:
        raise UsageError("--measure: one at a time for reported results")
    if path.name.endswith("_predictions.json"):
        raise UsageError(
            f"{path}: these are predictions; name what was predicted: --suite NAME or --task FOLDER"
        )
    scores = read_results_folder(path) if path.is_dir() else read_result(path)
    header, rows = reported_rows(scores, measure=measures[0] if measures else None)
    print_table(header, rows, right=header[5:6])
    print_text("As mteb reports them: nothing was measured here, there are no values per query.", style="dim")


def _quieten() -> None:
    """The bars of datasets' own say nothing of the work that takes long."""
    import datasets

    datasets.disable_progress_bars()
