"""``gmr train``: a recipe to a model folder, or the list of recipes."""

import shlex
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.console import examples, print_line, print_note, print_table
from gmr.core.errors import UsageError

EPILOG = examples(
    "gmr train --list",
    "gmr train gmr-nano-sft --output runs/sft",
    "gmr train my.toml --set training.learning_rate=2e-4 --set objective.weight=focal",
    "accelerate launch -m gmr train gmr-3b-sft --set data.path=train.jsonl",
)


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A recipe of this package by name, or a .toml file.", show_default=False),
    ] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; runs/NAME when not given.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change the recipe; repeatable."),
    ] = None,
    resume: Annotated[
        str,
        typer.Option(
            help="auto goes on from the newest good checkpoint; never starts anew; force goes on although "
            "data, recipe or versions changed; or the folder of one checkpoint."
        ),
    ] = "auto",
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes, one line each.")] = False,
) -> None:
    """Train a reranker from a recipe; started again, a run goes on where it stopped.

    A recipe is one page: the model to start from, the data, the objective (weight and direction), and options
    of transformers' trainer under their own names.
    """
    if list_recipes:
        rows = [[name, about] for name, about in recipes().items()]
        print_table(["recipe", "what it makes"], rows)
        return
    if recipe is None:
        raise UsageError("no recipe is named: give one of gmr train --list, or a .toml file")
    forced = resume == "force"

    from accelerate import PartialState

    from gmr.train.recipe import load_recipe
    from gmr.train.run import train as run_training

    page = load_recipe(recipe, overrides or [])
    folder = output or Path("runs") / page.name
    result = run_training(page, output_dir=folder, resume="auto" if forced else resume, force=forced)
    if not PartialState().is_main_process:
        return  # every process of torchrun comes here, and one of them speaks
    if result.model_dir is None:
        print_note(f"stopped after step {result.num_steps}; the same command goes on from there")
        raise typer.Exit(143)  # as a shell reports a process that SIGTERM ended
    rows = [[dev.task_name, name, str(dev.interval(name))] for dev in result.dev for name in dev.per_query]
    if rows:
        print_table(["development task", "measure", "mean [95 % interval]"], rows)
    if result.num_skipped_steps:
        print_note(f"{result.num_skipped_steps} steps were skipped: their loss or gradient was not finite")
    folder_word = shlex.quote(str(result.model_dir))
    print_note(f"{result.num_steps} steps in {result.seconds:.0f} s; try: gmr rank --model {folder_word} ...")
    print_line(str(result.model_dir))


def recipes() -> dict[str, str]:
    """Names of the packaged recipes, and what each says about itself; torch is not loaded for it."""
    folder = files("gmr").joinpath("train", "recipes")
    pages = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name.removesuffix(".toml"),
    )
    return {
        page.name.removesuffix(".toml"): tomllib.loads(page.read_text(encoding="utf-8")).get("about", "")
        for page in pages
    }
