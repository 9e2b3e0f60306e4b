"""The tasks that a command works on: of a suite, of the public test sets, or folders; the same options everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmr.cli.names import refuse_twice
from gmr.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from gmr.core.tasks import RerankTask

WHAT = "What to measure on"

SuiteName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=WHAT,
        help="A suite of tasks (gmr bench suites lists them), or a TOML file of your own.",
    ),
]
TaskFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--task",
        metavar="FOLDER",
        rich_help_panel=WHAT,
        help="A folder in BEIR layout with candidates; repeatable.",
    ),
]
Split = Annotated[str, typer.Option(rich_help_panel=WHAT, help="Split of the suite or folder.")]
TaskTypes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE",
        rich_help_panel=WHAT,
        help="Keep tasks of this type of the suite, such as t2it; repeatable.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=WHAT, help="So many queries of each task of the suite."),
]

DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", rich_help_panel=WHAT, help="Folder with the data of suites that are not embedded."
    ),
]
RunsRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", rich_help_panel=WHAT, help="Folder of first stages, TASK.trec, for public test sets."
    ),
]
PictureRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", rich_help_panel=WHAT, help="Unpack pictures of Parquet tables here, not into memory."
    ),
]
AllowUnpinned = Annotated[
    bool,
    typer.Option(
        "--allow-unpinned", rich_help_panel=WHAT, help="Take data sets whose revision nobody pinned."
    ),
]
AllowCounts = Annotated[
    bool,
    typer.Option("--allow-counts", rich_help_panel=WHAT, help="Take data whose counts are not as expected."),
]


def load_tasks(
    suite: str | None,
    folders: Sequence[Path],
    *,
    split: str = "test",
    names: Sequence[str] | None = None,
    task_types: Sequence[str] | None = None,
    limit: int | None = None,
    depth: int | None = None,
    data_root: Path | None = None,
    runs_root: Path | None = None,
    picture_root: Path | None = None,
    allow_unpinned: bool = False,
    allow_counts: bool = False,
    first_stage: Path | None = None,
    needs_first_stage: bool = True,
    folder_option: str = "--task",
) -> "list[RerankTask]":
    """The tasks that the options name, with the first ``depth`` candidates of each query.

    Args:
        suite: one of ours, one of ``mrb.toml``, or a TOML file.
        folders: in BEIR layout; either these or a suite.
        split: of one of our suites or of the folders; the public sets say their own.
        names: patterns of names to keep, of a suite.
        task_types: types to keep, of a suite.
        limit: most queries of each task of a suite.
        depth: most candidates of each query.
        data_root: where suites that are not embedded find their data.
        runs_root: where public test sets find their first stages.
        picture_root: where their pictures are unpacked.
        allow_unpinned: take data of no known revision.
        allow_counts: take data of other counts than expected.
        first_stage: run with the candidates of the one folder.
        needs_first_stage: whether a task without candidates is an error.
        folder_option: how the command calls the option that gives folders.

    Raises:
        UsageError: options that do not go together, or an unknown suite or split.
        DataError: data that cannot be read.
    """
    if bool(folders) == bool(suite):
        raise UsageError(
            f"name what to measure on: {folder_option} FOLDER (repeatable) or --suite glyphs, one of them"
        )
    if first_stage is not None and len(folders) != 1:
        raise UsageError(f"--first-stage belongs to one {folder_option}")
    is_public = suite is not None and _is_public(suite)
    if runs_root is not None and not is_public:
        raise UsageError(f"--runs-root: {suite or folder_option} brings its own first stages; leave it out")
    if suite is None:
        if names or task_types or limit:
            raise UsageError(
                f"--task-type, --limit and patterns choose from a suite; a {folder_option} folder is taken whole"
            )
        tasks = _read_folders(folders, split, first_stage=first_stage, needs_first_stage=needs_first_stage)
        refuse_twice(folder_option, [task.name for task in tasks])
    elif is_public:
        from gmr.suites import mrb

        if split != "test":
            raise UsageError(
                f"--split: each set of {suite} says its own; leave it out, or write another TOML file"
            )
        tasks = mrb.load_tasks(
            suite,
            data_root=data_root,
            runs_root=runs_root,
            picture_root=picture_root,
            names=names,
            task_types=task_types,
            limit=limit,
            depth=depth,
            allow_unpinned=allow_unpinned,
            allow_counts=allow_counts,
            needs_first_stage=needs_first_stage,
        )
    else:
        from gmr import suites

        if split not in suites.splits(suite):
            raise UsageError(
                f"--split: {suite} has no {split!r}; there are {', '.join(suites.splits(suite))}"
            )
        tasks = suites.load(
            suite, split=split, task_types=task_types, limit=limit, data_root=data_root, names=names
        )
    if depth is not None:
        from gmr.suites.depth import at_depth

        tasks = [at_depth(task, depth) for task in tasks]
    return tasks


def suite_name(suite: str | None, folders: Sequence[Path]) -> str:
    """What results are called after: the suite, its file, or the folders."""
    if suite is None:
        return "+".join(folder.resolve().name for folder in folders)
    return Path(suite).stem if suite.endswith(".toml") else suite


def _is_public(suite: str) -> bool:
    """Whether the suite is of ``mrb.toml`` or a file like it.

    Raises:
        UsageError: it is neither that nor one of ours.
    """
    from gmr import suites
    from gmr.suites import mrb
    from gmr.suites.joined import parts_of

    if all(part in suites.SUITES for part in parts_of(suite)):
        return False
    public = mrb.read_specs().suites
    if suite in public or suite.endswith(".toml"):
        return True
    raise UsageError(f"--suite: unknown suite {suite!r}; there are {', '.join([*suites.SUITES, *public])}")


def _read_folders(
    folders: Sequence[Path], split: str, *, first_stage: Path | None, needs_first_stage: bool
) -> "list[RerankTask]":
    from gmr.core.datasets import read_beir
    from gmr.core.frozen_runs import is_frozen, verify
    from gmr.metrics.measures import parse_measure

    tasks = [
        read_beir(folder, split=split, first_stage=first_stage, needs_first_stage=needs_first_stage)
        for folder in folders
    ]
    for folder, task in zip(folders, tasks, strict=True):
        try:
            parse_measure(task.measure)
        except ValueError as error:
            raise DataError(f"{folder / 'task.json'}: measure: {error}") from None
    if first_stage is not None and is_frozen(first_stage):
        for task in tasks:
            verify(first_stage, task=task)
    return tasks
