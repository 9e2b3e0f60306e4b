"""MRB's public test sets as data: one table each, loaded as reranking tasks from pinned revisions or local mirrors."""

from gmr.suites.mrb.record import LoadRecord
from gmr.suites.mrb.selection import select
from gmr.suites.mrb.spec import SuiteSpec, TaskSpec, load_specs, read_specs, suite_specs
from gmr.suites.mrb.tasks import LoadOptions, load_task, load_tasks

__all__ = [
    "LoadOptions",
    "LoadRecord",
    "SuiteSpec",
    "TaskSpec",
    "load_specs",
    "load_task",
    "load_tasks",
    "read_specs",
    "select",
    "suite_specs",
]
