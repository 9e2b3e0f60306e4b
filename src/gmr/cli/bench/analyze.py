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
from gmr.cli.names import (
    ENGINE_HELP,
    QUANTIZE_HELP,
    Dtype,
    EngineName,
    QuantizeName,
    check_device,
    refuse_twice,
)
from gmr.cli.tasks import SUITE_HELP, DataRoot, load_tasks
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
    suite: Annotated[str | None, typer.Option(help=SUITE_HELP)] = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option(help="Split of the suite or folder.")] = "test",
    task_type: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Keep tasks of this type of the suite, such as t2it; repeatable."),
    ] = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="modality, length, order, position, resolution, ablation, attacks, first-stage or fusion; "
            "repeatable; all that apply when not given.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most queries of each task, drawn by lot.")] = 20,
    depth: Annotated[int, typer.Option(min=1, help="Most candidates of a query.")] = 20,
    documents: Annotated[
        int, typer.Option(min=1, help="Most irrelevant candidates of a query to change one by one.")
    ] = 5,
    top_k: Annotated[int, typer.Option(min=1, help="Ranks that count as the top.")] = 5,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run", metavar="PATH", help="TREC run of another first stage of the one --task; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every lot and every resampling.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; chosen when not given.")] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Of the weights; scores are float32 in any case.")
    ] = Dtype.FLOAT32,
    engine: Annotated[EngineName, typer.Option(help=ENGINE_HELP)] = EngineName.AUTO,
    quantize: Annotated[QuantizeName | None, typer.Option(help=QUANTIZE_HELP)] = None,
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

    models = model or ["gmr-nano"]
    refuse_twice("--model", models)
    unknown = [name for name in analysis or [] if name not in ANALYSES]
    if unknown:
        raise UsageError(f"--analysis: {unknown[0]!r} is unknown; there are {', '.join(ANALYSES)}")
    check_device(device)
    tasks = load_tasks(suite, task or [], split=split, task_types=task_type, data_root=data_root)
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
    from gmr.core.environment import git_commit, machine, versions

    environment = versions() | machine() | ({"commit": commit} if (commit := git_commit()) else {})
    return {
        "models": {name: report.to_dict() for name, report in reports.items()},
        "environment": environment,
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
