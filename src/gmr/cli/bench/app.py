"""The sub-commands of ``gmr bench``."""

from collections.abc import Callable

import typer

from gmr.cli.bench import analyze, engine
from gmr.cli.console import reflow

HELP = "Measure models on suites of tasks, and engines and options on this machine."

# Each with its function, which explains it, and examples.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "analyze": (analyze.analyze, analyze.EPILOG),
    "engine": (engine.engine, engine.EPILOG),
}

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
for _name, (_function, _epilog) in COMMANDS.items():
    app.command(_name, help=reflow(_function.__doc__), epilog=_epilog)(_function)


@app.callback()
def bench() -> None:
    """Nothing: with a callback, one command alone keeps its name."""
