"""``gmr evaluate``: models or runs on tasks, with intervals, baselines beside, and paired tests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import examples, print_note
from gmr.cli.names import (
    BASELINES,
    CHANCE,
    COMPILE_HELP,
    DOCUMENT_CACHE_HELP,
    ENGINE_HELP,
    FIRST_STAGE,
    PIXEL_COSINE,
    QUANTIZE_HELP,
    Dtype,
    EngineName,
    QuantizeName,
    check_device,
    parse_measures,
    refuse_twice,
)
from gmr.cli.tasks import SUITE_HELP, DataRoot, load_tasks
from gmr.core.errors import UsageError

if TYPE_CHECKING:
    from gmr.core.tasks import RerankTask
    from gmr.evaluation import TaskResult

EPILOG = examples(
    "gmr evaluate --suite glyphs --limit 50",
    "gmr evaluate --model runs/sft/model --model gmr-nano --task data/scifact --output results/scifact",
    "gmr evaluate --run a.trec --run b.trec --qrels test.qrels --measure ndcg@10 --measure rr@10",
)
PICTURES_ON_BOTH_SIDES = ("i2i", "it2i", "it2it")
DEFAULT_MODEL, DEFAULT_MEASURE = "gmr-nano", "ndcg@10"


def evaluate(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A model as in gmr rank; repeatable; gmr-nano when not given.",
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Prompt template of the models; each one's own when not given.")
    ] = None,
    task: Annotated[
        list[Path] | None,
        typer.Option("--task", metavar="FOLDER", help="A folder in BEIR layout with candidates; repeatable."),
    ] = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(help="TREC run with the candidates of --task; those in the folder when not given."),
    ] = None,
    suite: Annotated[str | None, typer.Option(help=SUITE_HELP)] = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option(help="Split of the suite or folder.")] = "test",
    task_type: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Keep tasks of this type of the suite, such as t2it; repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Queries of each task of the suite.")] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="PATH", help="Measure a TREC run instead of a model; repeatable."),
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments for --run, TREC or BEIR.")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE",
            help="ndcg@10, recall@100, rr@10, ap, hit@1, ...; repeatable, the first is tested; "
            "the tasks' own when not given.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for runs, per-query values, tables and a page."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; chosen when not given.")] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Of the weights; scores are float32 in any case.")
    ] = Dtype.FLOAT32,
    engine: Annotated[EngineName, typer.Option(help=ENGINE_HELP)] = EngineName.AUTO,
    document_cache: Annotated[Path | None, typer.Option(metavar="DIR", help=DOCUMENT_CACHE_HELP)] = None,
    quantize: Annotated[QuantizeName | None, typer.Option(help=QUANTIZE_HELP)] = None,
    compile: Annotated[bool, typer.Option("--compile", help=COMPILE_HELP)] = False,
    seed: Annotated[int, typer.Option(help="Of the resampling behind intervals and tests.")] = 0,
) -> None:
    """Measure models on judged queries, with confidence intervals and paired tests.

    Chance (the exact expectation of a random order of the same candidates) and the first stage stand beside
    every number. Queries are the sampling unit; p-values are corrected for the number of tests.
    """
    from gmr.cli.results import print_results, write_results

    measures = parse_measures(measure or [])
    if run or qrels:
        if model or task or suite or first_stage:
            raise UsageError(
                "--run and --qrels measure what is ranked already: leave --model, --task, --suite, --first-stage out"
            )
        if not run or not qrels:
            raise UsageError("--run and --qrels need each other: a ranking, and what is relevant")
        measures = measures or [DEFAULT_MEASURE]
        results = _measure_runs(run, qrels, measures)
    else:
        tasks = load_tasks(
            suite,
            task or [],
            split=split,
            first_stage=first_stage,
            task_types=task_type,
            limit=limit,
            data_root=data_root,
        )
        own = {each.measure for each in tasks}
        measures = measures or (list(own) if len(own) == 1 else [DEFAULT_MEASURE])
        results = _measure_models(
            model or [DEFAULT_MODEL],
            tasks,
            measures,
            template=template,
            device=check_device(device),
            dtype=dtype,
            engine=engine,
            document_cache_folder=document_cache,
            quantize=quantize,
            compile=compile,
        )
    print_results(results, measures, seed=seed)
    if output is not None:
        write_results(results, measures, output, seed=seed)
        print_note(f"wrote {output}/")


def _measure_runs(paths: list[Path], qrels_path: Path, measures: list[str]) -> "dict[str, list[TaskResult]]":
    from gmr.core.trec import read_qrels, read_run
    from gmr.evaluation import TaskResult
    from gmr.metrics.coverage import count_coverage
    from gmr.metrics.measures import evaluate, parse_measure

    names = [str(path) for path in paths]
    refuse_twice("--run", names)
    qrels = read_qrels(qrels_path)
    parsed = [parse_measure(name) for name in measures]
    results = {}
    for name, path in zip(names, paths, strict=True):
        scores = read_run(path)
        coverage = count_coverage(scores, qrels, measure=parsed[0])
        if coverage.missing_queries:
            print_note(f"{path}: {coverage}")
        # A run file does not say what its ids stand for, so there is no task type to name.
        results[name] = [TaskResult(qrels_path.name, "", scores, evaluate(scores, qrels, parsed), coverage)]
    return results


def _measure_models(
    models: list[str],
    tasks: "list[RerankTask]",
    measures: list[str],
    **options: Any,
) -> "dict[str, list[TaskResult]]":
    from gmr.evaluation import evaluate_run, evaluate_task
    from gmr.reranker import Reranker
    from gmr.suites.baselines import PixelCosine, chance_run, first_stage_run

    refuse_twice("--model", models)
    reserved = sorted(set(models) & set(BASELINES))
    if reserved:
        raise UsageError(f"--model: {reserved[0]!r} is the name of a baseline; give the folder's whole path")
    print_note(f"{CHANCE} and {FIRST_STAGE}: from the candidates as they came")
    results = {
        CHANCE: [
            evaluate_run(chance_run(task), task, measures=measures, expected_under_ties=True)
            for task in tasks
        ],
        FIRST_STAGE: [evaluate_run(first_stage_run(task), task, measures=measures) for task in tasks],
    }
    if any(task.task_type in PICTURES_ON_BOTH_SIDES for task in tasks):
        # Where one side has no picture all its scores are equal, and the expectation is chance.
        pixels = PixelCosine()
        results[PIXEL_COSINE] = [
            evaluate_task(pixels, task, measures=measures, expected_under_ties=True) for task in tasks
        ]
    for name in models:
        print_note(
            f"{name}: {sum(len(run) for task in tasks for run in task.first_stage.values())} pairs to score"
        )
        reranker = Reranker(name, **options)
        results[name] = [evaluate_task(reranker, task, measures=measures, progress=True) for task in tasks]
    return results
