"""The suites by name: what each is, and how its tasks are loaded."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask, TrainingSet
from gmr.suites.choosing import choose_tasks
from gmr.suites.joined import join, parts_of, shares


class Source(Protocol):
    """What the module of a suite offers."""

    SPLITS: dict[str, str]

    def task_types(self, split: str, /) -> Mapping[str, str]:
        """Task type by name of the task, without reading any data."""

    def load_tasks(
        self, data_root: Path, split: str, wanted: Sequence[str], /, *, limit: int | None = None
    ) -> list[RerankTask]:
        """The tasks of some names."""


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes:
        description: one line.
        splits: their names, the first one the default.
        needs_data: whether it is read from a folder.
        source: its module, imported when it is asked for.
        training: makes its training set of so many examples from a data root; None when it has none.
    """

    description: str
    splits: tuple[str, ...]
    needs_data: bool
    source: Callable[[], Source]
    training: Callable[[Path, int | None], TrainingSet] | None = None


def _glyphs() -> Source:
    from gmr.suites.glyphs import tasks

    return tasks


def _emoji() -> Source:
    from gmr.suites.emoji import tasks

    return tasks


def _stamps() -> Source:
    from gmr.suites.stamps import tasks

    return tasks


def _vaswani() -> Source:
    from gmr.suites import vaswani

    return vaswani


def _xquad() -> Source:
    from gmr.suites import xquad

    return xquad


def _train_glyphs(_data_root: Path, limit: int | None) -> TrainingSet:
    from gmr.suites.glyphs import training

    return training.training_set(limit=limit)


def _train_emoji(data_root: Path, limit: int | None) -> TrainingSet:
    from gmr.suites.emoji import training

    return training.training_set(data_root, limit=limit)


def _train_stamps(data_root: Path, limit: int | None) -> TrainingSet:
    from gmr.suites.stamps import training

    return training.training_set(data_root, limit=limit)


CATALOGUE: dict[str, Suite] = {
    "glyphs": Suite(
        "characters, their pictures and names; nine task types; embedded, needs no download",
        ("test", "known", "dev"),
        False,
        _glyphs,
        _train_glyphs,
    ),
    "emoji": Suite(
        "emoji by three vendors, named in 17 languages; nine task types, several pictures, interleaved; --data-root",
        ("test", "dev"),
        True,
        _emoji,
        _train_emoji,
    ),
    "stamps": Suite(
        "photographs and drawings with captions in 58 languages and varieties; six task types; --data-root",
        ("test", "dev"),
        True,
        _stamps,
        _train_stamps,
    ),
    "vaswani": Suite(
        "11,429 abstracts of physics, 93 queries, with its BM25 run; text; --data-root",
        ("test",),
        True,
        _vaswani,
    ),
    "xquad": Suite(
        "questions and paragraphs in 12 languages, within and across languages; text; --data-root",
        ("test",),
        True,
        _xquad,
    ),
}
SUITES: dict[str, str] = {name: suite.description for name, suite in CATALOGUE.items()}


def load(
    name: str,
    *,
    split: str = "test",
    task_types: Sequence[str] | None = None,
    limit: int | None = None,
    data_root: Path | str | None = None,
    names: Sequence[str] | None = None,
) -> list[RerankTask]:
    """The tasks of a suite.

    Args:
        name: a key of ``CATALOGUE``, or several with "+" between them.
        split: which part of it, one of ``splits(name)``.
        task_types: which of the nine task types; all by default.
        limit: first so many queries of each task; all by default.
        data_root: folder that holds the folders ``emoji``, ``stamps``, ``vaswani``, ``xquad``; ``glyphs`` needs none.
        names: names of tasks, or patterns such as ``emoji-t2i*``; all by default.

    Raises:
        DataError: unknown suite, split, task type or task; no data root, or none with the suite's data; damaged data.
    """
    known = splits(name)
    if split not in known:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(known)}")
    wanted = task_names(name, split=split, task_types=task_types, names=names)
    tasks = []
    for part in _parts(name):
        source = CATALOGUE[part].source()
        own = source.task_types(split)
        chosen = [task for task in wanted if task in own]
        if chosen:
            tasks += source.load_tasks(_root(part, data_root), split, chosen, limit=limit)
    return tasks


def task_names(
    name: str,
    *,
    split: str = "test",
    task_types: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> list[str]:
    """The names of a suite's tasks, in its order; no data is read.

    Raises:
        DataError: unknown suite or task type, or a pattern that no task matches.
    """
    types = _types(name, split)
    return choose_tasks(types, whose=name, names=names, task_types=task_types)


def task_types(name: str, *, split: str = "test") -> Mapping[str, str]:
    """Name of the task to its type, of a suite; no data is read.

    Raises:
        DataError: unknown suite.
    """
    return _types(name, split)


def splits(name: str) -> tuple[str, ...]:
    """The splits of a suite; of several, those that all of them have.

    Raises:
        DataError: unknown suite.
    """
    first, *others = (CATALOGUE[part].splits for part in _parts(name))
    return tuple(split for split in first if all(split in other for other in others))


def training_set(name: str, *, limit: int | None = None, data_root: Path | str | None = None) -> TrainingSet:
    """The training examples of a suite, or of several with "+" between their names; made when they are indexed.

    Of several suites, a limit takes the same number from each.

    Raises:
        DataError: unknown suite, one without training examples, or no data root where it needs one.
    """
    parts = _parts(name)
    for part in parts:
        if CATALOGUE[part].training is None:
            trained = ", ".join(key for key, value in CATALOGUE.items() if value.training is not None)
            raise DataError(f"{part} has no training examples; these have: {trained}")
    sets = []
    for part, share in zip(parts, shares(limit, len(parts)), strict=True):
        make = CATALOGUE[part].training
        if make is not None and share != 0:
            sets.append(make(_root(part, data_root), share))
    return sets[0] if len(sets) == 1 else join(sets)


def _types(name: str, split: str) -> Mapping[str, str]:
    types: dict[str, str] = {}
    for part in _parts(name):
        types |= CATALOGUE[part].source().task_types(split)
    return types


def _parts(name: str) -> list[str]:
    parts = parts_of(name)
    for part in parts:
        if part not in CATALOGUE:
            near = difflib.get_close_matches(part, CATALOGUE, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DataError(f"unknown suite {part!r}; there are {', '.join(CATALOGUE)}{hint}")
        if parts.count(part) > 1:
            raise DataError(f"suite {part!r} is named twice in {name!r}")
    return parts


def _root(name: str, data_root: Path | str | None) -> Path:
    if data_root is None and CATALOGUE[name].needs_data:
        raise DataError(
            f"{name} is read from files: give --data-root, the folder that holds {name}/ (data.root in a recipe)"
        )
    return Path(data_root or "")
