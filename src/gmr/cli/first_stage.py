"""``gmr first-stage``: find the candidates of a task once, and freeze them as a run with a record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmr.cli.console import examples, print_note, print_table
from gmr.cli.models import Dtype, check_device
from gmr.cli.tasks import (
    WHAT,
    AllowCounts,
    AllowUnpinned,
    DataRoot,
    Limit,
    PictureRoot,
    Split,
    SuiteName,
    TaskTypes,
    load_tasks,
)
from gmr.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from gmr.core.tasks import RerankTask

EPILOG = examples(
    "gmr first-stage --task data/scifact --retriever bm25 --stop-words en --output runs/scifact.trec.gz",
    "gmr first-stage --suite glyphs --task-type i2i --retriever pixels --output runs/pixels",
    "gmr first-stage --task data/pages --retriever vlm:models/gme --cache cache --output runs/pages.trec",
    "gmr first-stage --task data/scifact --retriever rrf:runs/bm25.trec,runs/e5.trec --output runs/both.trec",
    "gmr first-stage --task data/scifact --retriever import:theirs.json --output runs/theirs.trec",
    "gmr first-stage --verify runs/scifact.trec.gz --task data/scifact",
    "gmr evaluate --task data/scifact --first-stage runs/scifact.trec.gz",
)
RETRIEVER_HELP = (
    "bm25 (words), pixels or colours (pictures), st:MODEL (sentence-transformers), vlm:MODEL (a vision-language "
    "embedder such as GME), rrf:a.trec,b.trec or sum:0.7*a.trec,0.3*b.trec (runs as one), import:FILE (a TREC run, "
    "an mteb prediction, a rank list, top_ranked.jsonl). Of several tasks, {task} in a file name is the task's."
)
BM25, MODELS, RUNS = "Options of bm25", "Options of st: and vlm:", "Options of rrf: and sum:"


def first_stage(
    *,
    task: Annotated[
        list[Path] | None,
        typer.Option(
            "--task", metavar="FOLDER", rich_help_panel=WHAT, help="A folder in BEIR layout; repeatable."
        ),
    ] = None,
    suite: SuiteName = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="PATTERN",
            rich_help_panel=WHAT,
            help="Keep tasks of this name of the suite; repeatable.",
        ),
    ] = None,
    data_root: DataRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    split: Split = "test",
    task_type: TaskTypes = None,
    limit: Limit = None,
    retriever: Annotated[str | None, typer.Option("--retriever", "-r", help=RETRIEVER_HELP)] = None,
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Most candidates of a query.")] = 100,
    exclude_self: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Leave out documents that are the query itself: those of its id, those of its content, or both.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The run of one task (.trec, .trec.gz), or a folder for several."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace runs that are there.")] = False,
    verify: Annotated[
        list[Path] | None,
        typer.Option(
            "--verify",
            metavar="RUN",
            help="Only compare a frozen run with its record, and with --task with what was searched; repeatable.",
        ),
    ] = None,
    k1: Annotated[
        float | None, typer.Option(help="Saturation of repeated words; 0.9.", rich_help_panel=BM25)
    ] = None,
    b: Annotated[
        float | None, typer.Option(help="Weight of the length, 0 to 1; 0.4.", rich_help_panel=BM25)
    ] = None,
    stop_words: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE", help="Words to leave out: en, de, fr, ...; none.", rich_help_panel=BM25
        ),
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option(metavar="LANGUAGE", help="Snowball stemmer: english, ...; none.", rich_help_panel=BM25),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Of vlm: gme or qwen3-vl-embedding; the family's when not given.", rich_help_panel=MODELS
        ),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(help="Of vlm: for queries that bring none; the prompt's own.", rich_help_panel=MODELS),
    ] = None,
    query_prompt: Annotated[
        str | None,
        typer.Option(
            help="Of st: before queries, {instruction} is theirs; the model's own.", rich_help_panel=MODELS
        ),
    ] = None,
    document_prompt: Annotated[
        str | None, typer.Option(help="Of st: before documents; the model's own.", rich_help_panel=MODELS)
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest prompt or text; the model's own.", rich_help_panel=MODELS),
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Of the weights; float32.", rich_help_panel=MODELS)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...; chosen.", rich_help_panel=MODELS)
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep embeddings of documents here.", rich_help_panel=MODELS),
    ] = None,
    rank_constant: Annotated[
        float | None, typer.Option(min=0, help="Of rrf; 60.", rich_help_panel=RUNS)
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Of sum: minmax, zscore or none; minmax.", rich_help_panel=RUNS)
    ] = None,
) -> None:
    """Find the candidates of every query in the whole corpus once, and freeze them.

    A reranker can only put in order what a first stage found, so the candidates are part of every result. They are
    written as a TREC run, with a record beside it (.json): digests of run, model and corpus, all options, and recall
    along the depth. Relevant documents that were not found are never added.
    """
    chosen: dict[str, Any] = {
        "split": split,
        "names": name,
        "task_types": task_type,
        "limit": limit,
        "data_root": data_root,
        "picture_root": picture_root,
        "allow_unpinned": allow_unpinned,
        "allow_counts": allow_counts,
        "needs_first_stage": False,
    }
    if verify:
        if retriever or output:
            raise UsageError("--verify only checks: leave --retriever and --output out")
        _verify(verify, load_tasks(suite, task or [], **chosen) if task or suite else [])
        return
    if retriever is None or output is None:
        raise UsageError(
            "say how and where: --retriever bm25 --output runs/name.trec, or check with --verify RUN"
        )
    options = {
        "k1": k1,
        "b": b,
        "stop_words": stop_words,
        "stem": stem,
        "prompt": prompt,
        "instruction": instruction,
        "query_prompt": query_prompt,
        "document_prompt": document_prompt,
        "max_tokens": max_tokens,
        "dtype": None if dtype is None else dtype.value,
        "device": check_device(device),
        "cache": cache,
        "rank_constant": rank_constant,
        "scale": scale,
    }
    tasks = load_tasks(suite, task or [], **chosen)
    paths = _output_paths([each.name for each in tasks], output, overwrite=overwrite)
    records = _build(tasks, paths, retriever, options, depth=depth, exclude_self=exclude_self)
    _print_records(records)


def _output_paths(names: Sequence[str], output: Path, *, overwrite: bool) -> dict[str, Path]:
    """The run of each task: ``output`` itself, or a file in it."""
    from gmr.core.files import file_names
    from gmr.core.frozen_runs import SUFFIXES, record_path

    if output.name.endswith(SUFFIXES):
        if len(names) > 1:
            raise UsageError(f"--output {output}: one file for {len(names)} tasks; name a folder")
        paths = {names[0]: output}
    else:
        paths = {name: output / f"{slug}.trec" for name, slug in file_names(names).items()}
    there = [path for run in paths.values() for path in (run, record_path(run)) if path.exists()]
    if there and not overwrite:
        raise UsageError(f"--output: {there[0]} is there already; --overwrite replaces it")
    return paths


def _build(
    tasks: "Sequence[RerankTask]",
    paths: Mapping[str, Path],
    spelled: str,
    options: Mapping[str, Any],
    *,
    depth: int,
    exclude_self: str | None,
) -> list[dict[str, Any]]:
    from gmr.core.files import file_names
    from gmr.first_stage.build import build, measure_first_stage
    from gmr.first_stage.freeze import write_first_stage
    from gmr.first_stage.spelling import TASK, find_retriever, is_file

    if is_file(spelled) and TASK not in spelled and len(tasks) > 1:
        raise UsageError(f"--retriever {spelled}: one file for {len(tasks)} tasks; write {TASK} in its name")
    slugs = file_names([each.name for each in tasks])
    # Models are loaded once; files are those of each task.
    shared = None if is_file(spelled) else find_retriever(spelled, options)
    records = []
    for task in tasks:
        retriever = shared or find_retriever(spelled.replace(TASK, slugs[task.name]), options)
        try:
            found = build(task.queries, task.corpus, retriever, depth=depth, exclude_self=exclude_self)
        except DataError as error:
            hint = "; --task-type chooses among the tasks" if len(tasks) > 1 else ""
            raise DataError(f"{task.name}: {error}{hint}") from error
        if lacking := found.counts["queries_without_candidates"]:
            print_note(
                f"{task.name}: {lacking} of {len(task.queries)} queries have no candidate; they count 0"
            )
        if wanted := _num_relevant(found.own, task):
            print_note(
                f"{task.name}: {wanted} documents were left out as the query itself that are judged relevant"
            )
        measured = measure_first_stage(found, task.qrels, measures=["ndcg@10", task.measure])
        records.append(write_first_stage(found, paths[task.name], task=task.name, measured=measured))
        print_note(f"wrote {paths[task.name]} and its record")
    return records


def _num_relevant(doc_ids: Mapping[str, frozenset[str]], task: "RerankTask") -> int:
    return sum(
        task.qrels.get(query_id, {}).get(doc_id, 0) >= 1
        for query_id, ids in doc_ids.items()
        for doc_id in ids
    )


def _verify(runs: Sequence[Path], tasks: "Sequence[RerankTask]") -> None:
    from gmr.core.frozen_runs import verify

    if tasks and len(tasks) != len(runs):
        raise UsageError(
            f"--verify: {len(runs)} runs and {len(tasks)} tasks; give each run its task, or none"
        )
    records = []
    for place, path in enumerate(runs):
        records.append(verify(path, task=tasks[place] if tasks else None))
        what = (
            f"its record, and with the queries and documents of {tasks[place].name}"
            if tasks
            else "its record"
        )
        print_note(f"{path}: agrees with {what}")
    _print_records(records)


def _print_records(records: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for record in records for name in _shown(record)))
    rows = [
        [
            record["task"],
            str(record["counts"]["queries"]),
            str(record["counts"]["documents"]),
            str(record["counts"]["candidates"]),
            *(f"{_shown(record)[name]:.4f}" if name in _shown(record) else "" for name in names),
        ]
        for record in records
    ]
    columns = ["task", "queries", "documents", "candidates", *names]
    retrievers = ", ".join(dict.fromkeys(record["retriever"]["name"] for record in records))
    print_table(columns, rows, title=f"first stage: {retrievers}", right=columns[1:])


def _shown(record: Mapping[str, Any]) -> dict[str, float]:
    """Recall at 10 and at the full depth, and what is no recall."""
    depth = record["depth"]
    return {
        name: value
        for name, value in record["measured"].items()
        if not name.startswith("recall@") or name in (f"recall@{min(10, depth)}", f"recall@{depth}")
    }
