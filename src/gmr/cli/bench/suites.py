"""``gmr bench suites``: what there is to measure on."""

from typing import Annotated

import typer

from gmr.cli.console import examples, print_note, print_table
from gmr.core.errors import UsageError

EPILOG = examples("gmr bench suites", "gmr bench suites emoji", "gmr bench suites mrb-open-mini")


def suites(
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="[SUITE]", help="Show the tasks of this suite.")
    ] = None,
) -> None:
    """List the suites, or the tasks of one: what is embedded, what reads a data folder, what is public.

    Nothing is read or downloaded.
    """
    from gmr import suites as local
    from gmr.suites import mrb

    public = mrb.read_specs()
    if name is None:
        rows = [[each, str(len(local.task_names(each))), about] for each, about in local.SUITES.items()]
        rows += [[each, str(len(plan.tasks)), plan.about] for each, plan in public.suites.items()]
        print_table(["suite", "tasks", "what it is"], rows, right=["tasks"])
        print_note(
            "Any folder in BEIR layout is a task as well (--folder), and a TOML file a suite: docs/mrb.md"
        )
        return
    if name in local.SUITES:
        from gmr.core.nouns import display_type

        types = local.task_types(name)
        rows = [[task, display_type(kind)] for task, kind in types.items()]
        print_table(["task", "type"], rows)
        return
    if name not in public.suites:
        known = ", ".join([*local.SUITES, *public.suites])
        raise UsageError(f"unknown suite {name!r}; there are {known}")
    _print_public(name)


def _print_public(name: str) -> None:
    from gmr.core.nouns import display_type
    from gmr.suites import mrb

    specs, plan = mrb.select(name)
    rows = [
        [
            spec.name,
            display_type(spec.task_type),
            spec.dataset or f"{len(spec.parts)} data sets",
            *(
                f"{number:,}" if number is not None else "?"
                for number in (spec.num_queries, spec.num_documents)
            ),
            spec.measure,
            spec.licence,
        ]
        for spec in specs
    ]
    columns = ["task", "type", "data set", "queries", "documents", "measure", "licence"]
    print_table(columns, rows, right=["queries", "documents"], is_dense=True)
    if plan.limit or plan.depth:
        print_note(
            f"{name} takes {plan.limit or 'all'} queries of each, and {plan.depth or 'all'} candidates"
        )
