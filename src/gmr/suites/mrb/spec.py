"""Test sets as data: what a table of ``mrb.toml`` may say, read strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gmr.core.config import load_config
from gmr.core.errors import ConfigError, DataError
from gmr.core.nouns import task_group
from gmr.metrics.measures import parse_measure
from gmr.suites.mrb.loaders import FORMATS

OWN_FILE = Path(__file__).with_name("mrb.toml")

_REVISION = re.compile(r"[0-9a-f]{40}")
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """Where the files of a set, or of a part of it, come from.

    Attributes:
        dataset: id on the hub, and below ``--data-root``.
        revision: the commit of the data set, 40 hexadecimal digits; None when it is not known.
        folder: a local folder instead; relative to the TOML file.
    """

    dataset: str | None = None
    revision: str | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        if (self.dataset is None) == (self.folder is None):
            raise ValueError("give either dataset or folder")
        if self.dataset is not None and not _DATASET.fullmatch(self.dataset):
            raise ValueError(f"dataset {self.dataset!r} is no id such as 'mteb/scifact'")
        if self.revision is not None and self.dataset is None:
            raise ValueError("a folder has no revision")
        if self.revision is not None and not _REVISION.fullmatch(self.revision):
            raise ValueError(
                f"revision {self.revision!r} is not a commit (40 hexadecimal digits): a branch or a tag may move"
            )

    @property
    def is_pinned(self) -> bool:
        """Whether the content is fixed: a folder is the user's own affair."""
        return self.folder is not None or self.revision is not None


@dataclass(frozen=True)
class FirstStage:
    """A frozen first stage: a TREC run below the folder of runs, and the SHA-256 of that file."""

    path: str
    sha256: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"first_stage: sha256 {self.sha256!r} is not 64 hexadecimal digits")


@dataclass(frozen=True)
class TaskSpec:
    """One test set.

    Attributes:
        task_type: one of the nine, such as ``"t2it"``.
        format: how the files are laid out: ``beir``, ``mbeir``, ``mteb`` or ``vidore``.
        name: the name of the table; not a key in it.
        dataset: id on the hub; ``revision`` its commit. Or ``folder``, or ``parts``.
        parts: several sets with one corpus each that make one task; their ids then begin with ``part/``.
        config: subset of the data set, where it has several; for ``mbeir`` data set and task, ``cirr_task7``.
        split: of the judgments.
        language: of the queries, where a column says it.
        files: patterns of the files to download; by default all but pictures and archives.
        instruction: of queries that do not bring their own.
        measure: the main measure.
        umrb_measure: the measure of UMRB, where it has the set.
        licence: as stated by ``source``; "unknown" when nothing is.
        source: where the set comes from.
        num_queries: judged queries; this and the next two are checked where they are known.
        num_documents: size of the corpus.
        num_relevant: judgments other than 0.
        num_absent: judged documents that the corpus lacks; None for any number.
        published: nDCG@10 (percent) of a published first stage.
        mteb: name of the task in mteb.
        first_stage: the frozen first stage.
    """

    task_type: str
    format: str
    name: str = ""
    dataset: str | None = None
    revision: str | None = None
    folder: str | None = None
    parts: Mapping[str, Origin] = field(default_factory=dict)
    config: str | None = None
    split: str = "test"
    language: str | None = None
    files: tuple[str, ...] = ()
    instruction: str | None = None
    measure: str = "ndcg@10"
    umrb_measure: str | None = None
    licence: str = "unknown"
    source: str = ""
    num_queries: int | None = None
    num_documents: int | None = None
    num_relevant: int | None = None
    num_absent: int | None = 0
    published: float | None = None
    mteb: str | None = None
    first_stage: FirstStage | None = None

    def __post_init__(self) -> None:
        try:
            task_group(self.task_type)
        except DataError as error:
            raise ValueError(str(error)) from None
        if self.format not in FORMATS:
            raise ValueError(f"unknown format {self.format!r}; there are {', '.join(FORMATS)}")
        for option in ("config", "language"):
            if getattr(self, option) is not None and option not in FORMATS[self.format]:
                raise ValueError(f"format {self.format!r} has no {option}")
        if self.format == "mbeir" and self.config is None:
            raise ValueError("format 'mbeir' needs config, the data set and task, such as 'cirr_task7'")
        for measure in (self.measure, self.umrb_measure):
            if measure is not None:
                parse_measure(measure)
        if self.parts and (self.dataset, self.revision, self.folder) != (None, None, None):
            raise ValueError("give dataset or folder, or parts, not both")
        if not self.parts:
            _ = Origin(self.dataset, self.revision, self.folder)
        wrong = [name for name in self.parts if not _NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no name of a part (letters, digits, '.', '_' and '-')")

    @property
    def origins(self) -> dict[str, Origin]:
        """Part -> where its files come from; one origin named "" for a task without parts."""
        return dict(self.parts) or {"": Origin(self.dataset, self.revision, self.folder)}

    @property
    def is_pinned(self) -> bool:
        """Whether every origin is fixed."""
        return all(origin.is_pinned for origin in self.origins.values())


@dataclass(frozen=True)
class SuiteSpec:
    """Test sets that are reported together.

    Attributes:
        about: what the suite is, in a line.
        tasks: their names.
        rule: how they were chosen, in words.
        limit: so many queries of each task; None for all.
        depth: so many candidates of each query; None for all.
    """

    about: str
    tasks: tuple[str, ...]
    rule: str = ""
    limit: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.tasks if self.tasks.count(name) > 1})
        if twice or not self.tasks:
            raise ValueError(f"tasks are listed twice: {', '.join(twice)}" if twice else "no tasks")
        for option, value in (("limit", self.limit), ("depth", self.depth)):
            if value is not None and value < 1:
                raise ValueError(f"{option} is {value}; the least is 1")


@dataclass(frozen=True)
class SpecFile:
    """What a TOML file of test sets says."""

    tasks: Mapping[str, TaskSpec]
    suites: Mapping[str, SuiteSpec] = field(default_factory=dict)


def read_specs(path: Path | str | None = None) -> SpecFile:
    """The test sets and suites of a TOML file; ours by default.

    Folders are made absolute, so that they are found from anywhere.

    Raises:
        DataError: naming the table and key, for TOML that cannot be read, an unknown key, task type, format,
            measure or task of a suite, a wrong type, or a table given twice.
    """
    path = OWN_FILE if path is None else Path(path)
    try:
        page = load_config(path, SpecFile)
    except ConfigError as error:
        raise DataError(str(error)) from None
    tasks: dict[str, TaskSpec] = {}
    for name, spec in page.tasks.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"{path}: {name!r} is no name of a task (letters, digits, '.', '_' and '-')")
        if spec.name:
            raise DataError(
                f"{path}: unknown key 'tasks.{name}.name'; the name of the table is the task's name"
            )
        parts = {part: _absolute(origin, path.parent) for part, origin in spec.parts.items()}
        folder = None if spec.folder is None else str((path.parent / spec.folder).resolve())
        tasks[name] = replace(spec, name=name, folder=folder, parts=parts)
    for suite, listed in page.suites.items():
        unknown = [name for name in listed.tasks if name not in tasks]
        if unknown:
            raise DataError(f"{path}: [suites.{suite}] lists {', '.join(unknown)}: no such task")
    return SpecFile(tasks, dict(page.suites))


def load_specs(path: Path | str | None = None) -> dict[str, TaskSpec]:
    """The test sets of a TOML file by name; ours by default.

    Raises:
        DataError: as `read_specs`.
    """
    return dict(read_specs(path).tasks)


def suite_specs(name: str, path: Path | str | None = None) -> list[TaskSpec]:
    """The test sets of a suite, in its order.

    Raises:
        DataError: as `read_specs`, and for a suite that the file does not have.
    """
    page = read_specs(path)
    if name not in page.suites:
        raise DataError(f"unknown suite {name!r}; there are {', '.join(page.suites) or 'none'}")
    return [page.tasks[task] for task in page.suites[name].tasks]


def _absolute(origin: Origin, base: Path) -> Origin:
    return origin if origin.folder is None else replace(origin, folder=str((base / origin.folder).resolve()))
