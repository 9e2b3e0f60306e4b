"""``gmr probe report``: the reports of sweeps, made anew from their files."""

from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.console import examples, print_line, print_note, print_table
from gmr.cli.probe.sweep import print_analysis
from gmr.core.errors import UsageError

EPILOG = examples(
    "gmr probe report sweeps/paper-combinations",
    "gmr probe report sweeps/*",
    "gmr probe report sweeps/* --table markdown",
)


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folder of a sweep; of several, one table is printed.", metavar="DIR..."),
    ],
    *,
    table: Annotated[
        str | None, typer.Option(help="Print the effects alone, as text, markdown, latex or csv.")
    ] = None,
) -> None:
    """Make the reports of sweeps anew, from the files of their runs alone; nothing is trained or scored.

    What is not finished is left out and counted. The same files give the same report.html, report.md, analysis.json
    and figures.
    """
    from gmr.metrics.tables import TABLES
    from gmr.probe.sweep.report import PAGE, write_report
    from gmr.probe.sweep.tables import overview_rows

    if table is not None and table not in TABLES:
        raise UsageError(f"--table is {table!r}: it must be one of {', '.join(TABLES)}")
    analyses = [write_report(folder) for folder in folders]
    header, rows = overview_rows(analyses)
    if table is not None:
        print(TABLES[table](header, rows), end="")
    elif len(analyses) == 1:
        print_analysis(analyses[0])
    else:
        print_table(header, rows)
    for folder, analysis in zip(folders, analyses, strict=True):
        if analysis.num_missing and (table is not None or len(analyses) > 1):
            print_note(f"{folder}: {analysis.num_missing} runs are not finished")
    for folder in folders:
        (print_line if table is None else print_note)(str(folder / PAGE))
