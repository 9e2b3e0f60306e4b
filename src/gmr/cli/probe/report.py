"""``gmr probe report``: the report of a sweep, made anew from its files."""

from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.console import examples, print_line
from gmr.cli.probe.sweep import print_analysis

EPILOG = examples("gmr probe report sweeps/paper-combinations")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.", metavar="DIR")],
) -> None:
    """Make the report of a sweep anew, from the files of its runs alone; nothing is trained or scored.

    What is not finished is left out and counted. The same files give the same report.html, report.md and
    analysis.json.
    """
    from gmr.probe.sweep.report import PAGE, write_report

    print_analysis(write_report(folder))
    print_line(str(folder / PAGE))
