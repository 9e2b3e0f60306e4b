"""The suites by name."""

from collections.abc import Sequence

from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask, TrainingSet

SUITES: dict[str, str] = {
    "glyphs": "characters, their pictures and names; nine task types; embedded, needs no download",
}


def load(
    name: str, *, split: str = "test", task_types: Sequence[str] | None = None, limit: int | None = None
) -> list[RerankTask]:
    """The tasks of a suite.

    Args:
        name: a key of ``SUITES``.
        split: which part of it; ``glyphs`` has ``test``, ``known`` and ``dev``.
        task_types: which of the nine task types; all by default.
        limit: first so many queries of each task; all by default.

    Raises:
        DataError: unknown suite, split or task type.
    """
    _check(name)
    from gmr.suites.glyphs.tasks import load_tasks

    return load_tasks(split, task_types=task_types, limit=limit)


def splits(name: str) -> tuple[str, ...]:
    """The splits of a suite.

    Raises:
        DataError: unknown suite.
    """
    _check(name)
    from gmr.suites.glyphs.tasks import SPLITS

    return tuple(SPLITS)


def training_set(name: str, *, limit: int | None = None) -> TrainingSet:
    """The training examples of a suite, made when they are indexed.

    Raises:
        DataError: unknown suite.
    """
    _check(name)
    from gmr.suites.glyphs import training

    return training.training_set(limit=limit)


def _check(name: str) -> None:
    if name not in SUITES:
        raise DataError(f"unknown suite {name!r}; there are {', '.join(SUITES)}")
