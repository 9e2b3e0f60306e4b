"""The command ``gmr``: its sub-commands, its help, and how an error ends."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from gmr import __version__
from gmr.cli import demo, evaluate, info, rank, train
from gmr.cli.bench.app import app as bench_app
from gmr.cli.console import examples, print_line, print_note, reflow, showing_log
from gmr.cli.probe.app import app as probe_app
from gmr.core.errors import GmrError

INTERNAL_ERROR = 70
INTERRUPTED = 130

HELP = "Universal multimodal reranking with LLMs: queries and documents of text, pictures, or both."
EPILOG = "\n\n".join(
    [
        examples(
            'gmr rank --query "black chess queen" --documents pictures/',
            "gmr train gmr-nano-sft --output runs/sft --set training.max_steps=200",
            "gmr evaluate --model runs/sft/model --model gmr-nano --suite glyphs",
            title="Three examples",
        ),
        "[bold]Next steps[/bold]",
        "[cyan]gmr demo --quick[/cyan]     the whole story in about a minute, without a download",
        "[cyan]gmr COMMAND --help[/cyan]   every command explains itself, with examples",
        "[cyan]gmr train --list[/cyan]     the recipes to start from",
        "[cyan]gmr info[/cyan]             versions, devices, models and suites that are here",
    ]
)
COMMANDS: dict[str, tuple[str, Callable[..., None], str]] = {
    "rank": ("Use a model", rank.rank, rank.EPILOG),
    "evaluate": ("Use a model", evaluate.evaluate, evaluate.EPILOG),
    "train": ("Make a model", train.train, train.EPILOG),
    "demo": ("Look around", demo.demo, demo.EPILOG),
    "info": ("Look around", info.info, info.EPILOG),
}

# Commands with sub-commands of their own.
GROUPS: dict[str, tuple[str, typer.Typer]] = {
    "bench": ("Use a model", bench_app),
    "probe": ("Make a model", probe_app),
}


@dataclass
class Settings:
    """What the options before the command set, for the one run of the command line."""

    debug: bool = False


app = typer.Typer(
    name="gmr",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, (_panel, _function, _epilog) in COMMANDS.items():
    app.command(_name, rich_help_panel=_panel, help=reflow(_function.__doc__), epilog=_epilog)(_function)
for _name, (_panel, _group) in GROUPS.items():
    app.add_typer(_group, name=_name, rich_help_panel=_panel)


def _print_version(value: bool) -> None:
    if value:
        print_line(f"gmr {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error as well.")] = False,
    version: Annotated[  # noqa: ARG001  (acts in its callback)
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Keep the options that hold for every command."""
    if isinstance(context.obj, Settings):
        context.obj.debug = debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of one run of the command line.

    Args:
        arguments: Words after ``gmr``; those of the process when not given.

    Returns:
        0 done; at fault: 2 the command line, 65 data, configuration or model, 70 gmr itself; 130 interrupted.
    """
    settings = Settings()
    try:
        with showing_log():
            words = None if arguments is None else list(arguments)
            status = app(args=words, obj=settings, standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe (head, less) has seen enough; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if settings.debug:
            traceback.print_exc()
        message, status = _explain(error)
        if message:
            print_note(f"error: {message}")
    if status == INTERRUPTED:
        print_note("interrupted")
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> tuple[str, int]:
    """One line for ``error``, and the exit status that goes with it."""
    if isinstance(error, GmrError):
        return str(error), error.exit_code
    # typer may bring its own copy of click: know its exceptions by what they can do.
    if callable(format_message := getattr(error, "format_message", None)):
        if not format_message():  # no command was given: the help stands there already
            return "", 2
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "gmr"
        return f"{' '.join(str(format_message()).split()).removesuffix('.')} (see {command} --help)", 2
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror, GmrError.exit_code
    hint = "run gmr --debug ... to see where" if error.__traceback__ else ""
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())} ({hint})", INTERNAL_ERROR
