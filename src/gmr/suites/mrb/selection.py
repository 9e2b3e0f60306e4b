"""Which test sets are meant: a suite or a file, by name and by type."""

from collections.abc import Sequence
from pathlib import Path

from gmr.core.errors import DataError
from gmr.suites.choosing import choose_tasks
from gmr.suites.mrb.spec import SuiteSpec, TaskSpec, read_specs


def select(
    name: str | Path,
    *,
    suite: str | None = None,
    names: Sequence[str] | None = None,
    task_types: Sequence[str] | None = None,
) -> tuple[list[TaskSpec], SuiteSpec]:
    """The test sets that `load_tasks` would load, and the suite with its limits.

    Raises:
        DataError: for an unknown suite or type, or when nothing matches.
    """
    is_file = str(name).endswith(".toml")
    page = read_specs(Path(name) if is_file else None)
    suite = suite if is_file else str(name)
    if suite is None:
        plan = SuiteSpec(about=str(name), tasks=tuple(page.tasks)) if page.tasks else None
    else:
        plan = page.suites.get(suite)
    if plan is None:
        known = ", ".join(page.suites) or "none"
        raise DataError(f"unknown suite {suite!r}; there are {known}" if suite else f"{name}: no tasks")
    types = {task: page.tasks[task].task_type for task in plan.tasks}
    chosen = choose_tasks(types, whose=str(suite or name), names=names, task_types=task_types)
    specs = [page.tasks[task] for task in chosen]
    if not specs:
        raise DataError(f"{suite or name}: no task of type {', '.join(task_types or ())} among those named")
    return specs, plan
