"""Test sets as reranking tasks: files found, read as far as needed, checked against what the table says."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import safe_join, sha256_file
from gmr.core.items import modality
from gmr.core.task_source import TaskSource, assemble, first_file, joined
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_run
from gmr.core.unpacked import unpacked
from gmr.metrics.measures import parse_measure
from gmr.suites.depth import first_candidates
from gmr.suites.mrb.hub import find_snapshot
from gmr.suites.mrb.loaders import open_source
from gmr.suites.mrb.record import LoadRecord, check_record, make_record
from gmr.suites.mrb.selection import select
from gmr.suites.mrb.spec import TaskSpec


@dataclass(frozen=True)
class LoadOptions:
    """How test sets are loaded.

    Attributes:
        data_root: folder of mirrors, ``data_root/<dataset id>``.
        runs_root: folder of first stages: as a table's ``first_stage`` says, else ``<task>.trec`` or ``.trec.gz``.
        picture_root: folder into which pictures from Parquet are unpacked; they are held in memory by default.
        limit: at most so many queries of each task.
        depth: the first so many candidates of each query.
        allow_unpinned: take data sets without a revision.
        allow_counts: take a data set whose counts are not as expected, with a warning.
        needs_first_stage: whether a task without candidates is an error; else they are to be found yet.
    """

    data_root: Path | None = None
    runs_root: Path | None = None
    picture_root: Path | None = None
    limit: int | None = None
    depth: int | None = None
    allow_unpinned: bool = False
    allow_counts: bool = False
    needs_first_stage: bool = True


def load_tasks(
    name: str | Path,
    *,
    suite: str | None = None,
    data_root: Path | str | None = None,
    runs_root: Path | str | None = None,
    picture_root: Path | str | None = None,
    names: Sequence[str] | None = None,
    task_types: Sequence[str] | None = None,
    limit: int | None = None,
    depth: int | None = None,
    allow_unpinned: bool = False,
    allow_counts: bool = False,
    needs_first_stage: bool = True,
) -> list[RerankTask]:
    """The tasks of a suite of ``mrb.toml``, or of a TOML file of one's own.

    Args:
        name: a suite, or a ``.toml`` file, of which every task is loaded unless ``suite`` names one of its suites.
        suite: of the file.
        data_root: folder of mirrors, ``data_root/<dataset id>``; the hub is asked for what is not there.
        runs_root: folder of first stages, TREC runs.
        picture_root: folder into which pictures from Parquet are unpacked; they are held in memory by default.
        names: only tasks that match one of these patterns, such as ``vidore-*``.
        task_types: only tasks of these of the nine types.
        limit: at most so many queries of each task, the same ones whatever the order of the files; the suite's by
            default.
        depth: the first so many candidates of each query; the suite's by default.
        allow_unpinned: take data sets without a revision.
        allow_counts: take data whose counts are not as expected, with a warning.
        needs_first_stage: whether a task without candidates is an error.

    Raises:
        DataError: naming the task and what to do.
    """
    specs, plan = select(name, suite=suite, names=names, task_types=task_types)
    options = LoadOptions(
        data_root=_path(data_root),
        runs_root=_path(runs_root),
        picture_root=_path(picture_root),
        limit=plan.limit if limit is None else limit,
        depth=plan.depth if depth is None else depth,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
        needs_first_stage=needs_first_stage,
    )
    return [load_task(spec, options)[0] for spec in specs]


def load_task(spec: TaskSpec, options: LoadOptions | None = None) -> tuple[RerankTask, LoadRecord]:
    """One test set as a task, and the record of what was loaded.

    Raises:
        DataError: naming the task and what to do.
    """
    options = options or LoadOptions()
    run_file = _run_file(spec, options)
    snapshots = {
        part: find_snapshot(
            origin,
            name=spec.name,
            data_root=options.data_root,
            files=spec.files,
            allow_unpinned=options.allow_unpinned,
        )
        for part, origin in spec.origins.items()
    }
    source = _source(spec, {part: snapshot.folder for part, snapshot in snapshots.items()})
    run = source.candidates() if run_file is None else read_run(run_file)
    if not run and options.needs_first_stage:
        raise DataError(
            f"{spec.name}: no first stage; make one with `gmr first-stage` and put it into "
            f"{(options.runs_root or Path('RUNS')) / spec.name}.trec (--runs-root)"
        )
    if options.picture_root is not None:
        source = unpacked(source, options.picture_root)
    # Cut before the corpus is read: what is not reranked need not be held.
    candidates = run if options.depth is None else first_candidates(run, options.depth)
    tables = assemble(dataclasses.replace(source, candidates=lambda: candidates), limit=options.limit)
    record = make_record(spec, tuple(snapshots.values()), tables, run_file)
    # Of data that nobody pinned nobody knows the counts.
    check_record(record, tables, is_exact=not (options.allow_counts or options.allow_unpinned))
    task = RerankTask(
        name=spec.name,
        task_type=spec.task_type,
        queries=tables.queries,
        corpus=tables.corpus,
        qrels=tables.qrels,
        first_stage=tables.first_stage,
        measure=str(parse_measure(spec.measure)),
        metadata=tables.metadata,
    )
    _check_pictures(task)
    return task, record


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _run_file(spec: TaskSpec, options: LoadOptions) -> Path | None:
    """The file of the first stage: the frozen one, its hash checked, or one named after the task."""
    root, frozen = options.runs_root, spec.first_stage
    if frozen is None:
        return None if root is None else first_file(root, (f"{spec.name}.trec", f"{spec.name}.trec.gz"))
    if root is None:
        if options.needs_first_stage:
            raise DataError(
                f"{spec.name}: its first stage {frozen.path} is looked for below --runs-root: give it"
            )
        return None
    path = safe_join(root, frozen.path, where=f"{spec.name}: first_stage")
    if (found := sha256_file(path)) != frozen.sha256:
        raise DataError(
            f"{path}: SHA-256 {found}, and {spec.name} wants {frozen.sha256}: not the frozen first stage"
        )
    return path


def _source(spec: TaskSpec, folders: dict[str, Path]) -> TaskSource:
    sources = {
        part: open_source(
            folder,
            spec.format,
            split=spec.split,
            instruction=spec.instruction,
            config=spec.config,
            language=spec.language,
        )
        for part, folder in folders.items()
    }
    return joined(sources, where=spec.name) if spec.parts else sources[""]


def _check_pictures(task: RerankTask) -> None:
    """A side that is of pictures has one: else they are somewhere that was not read."""
    query, _, document = task.task_type.partition("2")
    sides = {
        "query": (query, (each.item for each in task.queries.values())),
        "document": (document, (each.item for each in task.corpus.values())),
    }
    for noun, (code, items) in sides.items():
        if code != "t" and not any("i" in modality(item) for item in items):
            raise DataError(f"{task.name}: no {noun} has a picture, and the task is {task.task_type}")
