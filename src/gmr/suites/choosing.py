"""Which of many tasks are meant, by name, pattern and type."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES


def choose_tasks(
    types: Mapping[str, str],
    *,
    whose: str,
    names: Sequence[str] | None = None,
    task_types: Sequence[str] | None = None,
) -> list[str]:
    """The tasks that are meant, in their order; none where no named one is of these types.

    Args:
        types: task -> its type.
        whose: what errors call what they are of.
        names: of tasks, or patterns such as ``emoji-t2i*``; all by default.
        task_types: which of the nine; all by default.

    Raises:
        DataError: an unknown task type, or a name or pattern that no task matches.
    """
    unknown = [task_type for task_type in task_types or () if task_type not in TASK_TYPES]
    if unknown:
        raise DataError(f"unknown task type {unknown[0]!r}; there are {', '.join(TASK_TYPES)}")
    for pattern in names or ():
        if not any(fnmatchcase(task, pattern) for task in types):
            raise DataError(f"{whose} has no task {pattern!r}{_nearest(pattern, list(types))}")
    return [
        task
        for task, task_type in types.items()
        if (task_types is None or task_type in task_types)
        and (names is None or any(fnmatchcase(task, pattern) for pattern in names))
    ]


def _nearest(name: str, known: Sequence[str]) -> str:
    """The end of an error about an unknown name: the known one that it is like, else all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
