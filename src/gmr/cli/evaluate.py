"""``gmr evaluate``: models or runs on tasks, with intervals, baselines beside, and paired tests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import examples, print_note
from gmr.cli.models import (
    DEFAULT_MODEL,
    Compile,
    Device,
    DocumentCache,
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
from gmr.cli.names import parse_measures, refuse_twice
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
    TaskFolders,
    TaskTypes,
    load_tasks,
)
from gmr.core.errors import UsageError
from gmr.suites.baselines import CHANCE, FIRST_STAGE

if TYPE_CHECKING:
    from gmr.core.tasks import RerankTask
    from gmr.evaluation import TaskResult

EPILOG = examples(
    "gmr evaluate --suite glyphs --limit 50",
    "gmr evaluate --model runs/sft/model --model gmr-nano --task data/scifact --output results/scifact",
    "gmr evaluate --run a.trec --run b.trec --qrels test.qrels --measure ndcg@10 --measure rr@10",
)
DEFAULT_MEASURE = "ndcg@10"


def evaluate(
    *,
    model: ModelNames = None,
    template: TemplateName = None,
    task: TaskFolders = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=WHAT,
            help="TREC run with the candidates of --task; those in the folder when not given.",
        ),
    ] = None,
    suite: SuiteName = None,
    data_root: DataRoot = None,
    runs_root: RunsRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    split: Split = "test",
    task_type: TaskTypes = None,
    limit: Limit = None,
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
    device: Device = None,
    dtype: WeightType = Dtype.FLOAT32,
    engine: Engine = EngineName.AUTO,
    document_cache: DocumentCache = None,
    quantize: Quantize = None,
    compile: Compile = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling behind intervals and tests.")] = 0,
) -> None:
    """Measure models on judged queries, with confidence intervals and paired tests.

    Chance (the exact expectation of a random order of the same candidates) and the first stage stand beside
    every number. Queries are the sampling unit; p-values are corrected for the number of tests.
    """
    from gmr.cli.results import print_results, write_results

    measures = parse_measures(measure or [])
    facts: dict[str, dict[str, str]] = {}
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
            runs_root=runs_root,
            picture_root=picture_root,
            allow_unpinned=allow_unpinned,
            allow_counts=allow_counts,
        )
        own = {each.name: each.measure for each in tasks}
        if not measures and len(set(own.values())) > 1:
            raise UsageError(
                f"the tasks have measures of their own ({', '.join(f'{name}: {own[name]}' for name in own)}): name one "
                "for all with --measure; gmr bench takes each task's own"
            )
        measures = measures or [tasks[0].measure]
        results, facts = _measure_models(
            model or [DEFAULT_MODEL],
            tasks,
            measures,
            describes=output is not None,
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
        write_results(results, measures, output, seed=seed, facts=facts)
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
        if coverage.missing_queries or coverage.unjudged_queries:
            print_note(f"{path}: {coverage}")
        # A run file does not say what its ids stand for, so there is no task type to name.
        results[name] = [TaskResult(qrels_path.name, "", scores, evaluate(scores, qrels, parsed), coverage)]
    return results


def _measure_models(
    models: list[str],
    tasks: "list[RerankTask]",
    measures: list[str],
    *,
    describes: bool,
    **options: Any,
) -> "tuple[dict[str, list[TaskResult]], dict[str, dict[str, str]]]":
    """Results by system and, where ``describes``, what a model's scores depend on: all weights are read for it."""
    from gmr.bench.baselines import baseline_results
    from gmr.bench.identity import reranker_facts
    from gmr.evaluation import evaluate_task
    from gmr.reranker import Reranker

    check_models(models)
    print_note(f"{CHANCE} and {FIRST_STAGE}: from the candidates as they came")
    results = baseline_results(tasks, measures)
    facts = {}
    for name in models:
        print_note(
            f"{name}: {sum(len(run) for task in tasks for run in task.first_stage.values())} pairs to score"
        )
        reranker = Reranker(name, **options)
        if describes:
            facts[name] = reranker_facts(reranker)
        results[name] = [evaluate_task(reranker, task, measures=measures, progress=True) for task in tasks]
        if reranker.tally.num_cut:
            print_note(f"{name}: {reranker.tally.cuts(reranker.model.processor.max_tokens)} in all")
    return results, facts
