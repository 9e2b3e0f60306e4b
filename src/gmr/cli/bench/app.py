"""The sub-commands of ``gmr bench``."""

from collections.abc import Callable

import typer

from gmr.cli.bench import analyze, engine, merge, mteb, report, run, suites
from gmr.cli.console import reflow

# Each with its function, which explains it, and examples.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "analyze": (analyze.analyze, analyze.EPILOG),
    "report": (report.report, report.EPILOG),
    "suites": (suites.suites, suites.EPILOG),
    "merge": (merge.merge, merge.EPILOG),
    "mteb": (mteb.mteb, mteb.EPILOG),
    "import": (mteb.import_, mteb.IMPORT_EPILOG),
    "engine": (engine.engine, engine.EPILOG),
}

app = typer.Typer(
    help=reflow(run.run.__doc__), epilog=run.EPILOG, no_args_is_help=True, rich_markup_mode="rich"
)
app.callback(invoke_without_command=True)(run.run)
for _name, (_function, _epilog) in COMMANDS.items():
    app.command(_name, help=reflow(_function.__doc__), epilog=_epilog)(_function)
