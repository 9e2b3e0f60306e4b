"""``gmr bench analyze``: what a model's scores depend on besides relevance."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import (
    examples,
    json_line,
    print_line,
    print_note,
    print_table,
    print_text,
    terminal_width,
)
from gmr.cli.models import (
    DEFAULT_MODEL,
    Device,
    Dtype,
    Engine,
    EngineName,
    ModelNames,
    Quantize,
    TemplateName,
    WeightType,
    check_device,
)
from gmr.cli.names import refuse_twice
from gmr.cli.tasks import (
    WHAT,
    AllowCounts,
    AllowUnpinned,
    DataRoot,
    PictureRoot,
    RunsRoot,
    Split,
    SuiteName,
    TaskFolders,
    TaskTypes,
    load_tasks,
)
from gmr.core.errors import UsageError

if TYPE_CHECKING:
    from gmr.bench.analysis.results import AnalysisResult
    from gmr.bench.analysis.run import AnalysisReport
    from gmr.core.nouns import Run
    from gmr.core.tasks import RerankTask

EPILOG = examples(
    "gmr bench analyze --suite glyphs",
    "gmr bench analyze --suite glyphs --analysis attacks --analysis modality --limit 50",
    "gmr bench analyze --model runs/sft/model --model gmr-nano --task data/scifact --output results/analysis",
)
# Whole cells of the widest table take about so many characters.
WIDE = 170


def analyze(
    *,
    model: ModelNames = None,
    template: TemplateName = None,
    task: TaskFolders = None,
    suite: SuiteName = None,
    data_root: DataRoot = None,
    runs_root: RunsRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    split: Split = "test",
    task_type: TaskTypes = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="modality, length, order, position, resolution, ablation, attacks, first-stage or fusion; "
            "repeatable; all that apply when not given.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, rich_help_panel=WHAT, help="Most queries of each task, drawn by lot.")
    ] = 20,
    depth: Annotated[int, typer.Option(min=1, rich_help_panel=WHAT, help="Most candidates of a query.")] = 20,
    documents: Annotated[
        int, typer.Option(min=1, help="Most irrelevant candidates of a query to change one by one.")
    ] = 5,
    top_k: Annotated[int, typer.Option(min=1, help="Ranks that count as the top.")] = 5,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            metavar="PATH",
            rich_help_panel=WHAT,
            help="TREC run of another first stage of the one --task; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every lot and every resampling.")] = 0,
    device: Device = None,
    dtype: WeightType = Dtype.FLOAT32,
    engine: Engine = EngineName.AUTO,
    quantize: Quantize = None,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for analysis.json, analysis.md and analysis.html."),
    ] = None,
) -> None:
    """Ask a model nine questions: what its scores depend on besides relevance, and what can fool it.

    Bias for text or pictures, length, order of parts, place in the request, resolution, use of both sides of a
    query, words that argue for a document, strength and depth of the first stage, and fusion with it.
    Every effect comes with an interval over queries; a sentence claims what a corrected test shows.
    """
    from gmr.bench.analysis.run import ANALYSES, run_analyses
    from gmr.reranker import Reranker

    models = model or [DEFAULT_MODEL]
    refuse_twice("--model", models)
    unknown = [name for name in analysis or [] if name not in ANALYSES]
    if unknown:
        raise UsageError(f"--analysis: {unknown[0]!r} is unknown; there are {', '.join(ANALYSES)}")
    check_device(device)
    tasks = load_tasks(
        suite,
        task or [],
        split=split,
        task_types=task_type,
        data_root=data_root,
        runs_root=runs_root,
        picture_root=picture_root,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
    )
    runs = _read_runs(run or [], tasks, is_folder=bool(task))
    reports: dict[str, AnalysisReport] = {}
    for name in models:
        print_note(f"{name}: at most {limit} queries of each of {len(tasks)} tasks")
        reranker = Reranker(
            name, template=template, device=device, dtype=dtype, engine=engine, quantize=quantize
        )
        reports[name] = run_analyses(
            reranker,
            tasks,
            analysis,
            seed=seed,
            limit=limit,
            depth=depth,
            num_documents=documents,
            top_k=top_k,
            runs=runs,
            progress=not json,
        )
        if not json:
            _print(reports[name], model=name)
    if json:
        print_line(json_line(_record(reports)))
    else:
        _print_legend()
    if output is not None:
        _write(output, reports)


def _read_runs(
    paths: list[Path], tasks: "list[RerankTask]", *, is_folder: bool
) -> "dict[str, dict[str, Run]]":
    if not paths:
        return {}
    if not is_folder or len(tasks) != 1:
        raise UsageError("--run is another first stage of one --task")
    from gmr.core.trec import read_run

    names = [str(path) for path in paths]
    refuse_twice("--run", names)
    return {name: {tasks[0].name: read_run(path)} for name, path in zip(names, paths, strict=True)}


def _print(report: "AnalysisReport", *, model: str) -> None:
    from gmr.bench.analysis.report import not_applied_in_words, scope_in_words

    print_text(model, style="bold")
    print_text(scope_in_words(report), style="dim")
    for result in report.results:
        print_line()
        _print_result(result)
    print_line()
    for line in not_applied_in_words(report):
        print_text(line, style="dim")


def _print_result(result: "AnalysisResult") -> None:
    from gmr.bench.analysis.report import cells

    print_text(f"{result.name}: {result.question}", style="bold")
    for table in result.tables:
        # A curve of many points says more as a figure: it is in the files.
        if table.rows and not table.axis:
            header, rows = cells(table, table.summary(), is_narrow=terminal_width() < WIDE)
            print_table(header, rows, title=table.title, right=header[1:], is_dense=True)
    for sentence in result.sentences:
        print_text(f"- {sentence}", style="green")


def _print_legend() -> None:
    from gmr.bench.analysis.report import LEGEND

    for line in LEGEND:
        print_text(line, style="dim")


def _record(reports: "Mapping[str, AnalysisReport]") -> dict[str, Any]:
    from gmr.core.environment import environment

    return {
        "models": {name: report.to_dict() for name, report in reports.items()},
        "environment": environment(),
    }


def _write(folder: Path, reports: "Mapping[str, AnalysisReport]") -> None:
    from gmr.bench.analysis.page import analysis_page
    from gmr.bench.analysis.report import markdown
    from gmr.core.files import atomic_write_json, atomic_write_text

    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_json(folder / "analysis.json", _record(reports))
    title = f"Analysis of {' and '.join(reports)}"
    atomic_write_text(folder / "analysis.md", markdown(reports, title=title))
    atomic_write_text(folder / "analysis.html", analysis_page(reports, title=title))
    print_note(f"wrote {folder}/")
