"""The sub-commands of ``gmr probe``."""

from collections.abc import Callable

import typer

from gmr.cli.console import reflow
from gmr.cli.probe import gradients, plans, report, sweep

HELP = "The objective lab: what an objective does to a model, and which part of it makes the difference."

# Each with its function, which explains it, and examples.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "gradients": (gradients.gradients, gradients.EPILOG),
    "plans": (plans.plans, plans.EPILOG),
    "sweep": (sweep.sweep, sweep.EPILOG),
    "report": (report.report, report.EPILOG),
}

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
for _name, (_function, _epilog) in COMMANDS.items():
    app.command(_name, help=reflow(_function.__doc__), epilog=_epilog)(_function)


@app.callback()
def probe() -> None:
    """Nothing: with a callback, one command alone keeps its name."""
