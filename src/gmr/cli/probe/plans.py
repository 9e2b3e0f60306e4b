"""``gmr probe plans``: the plans of this package, each with its question."""

import tomllib
from importlib.resources import files

from gmr.cli.console import examples, print_table

EPILOG = examples("gmr probe plans", "gmr probe sweep paper-combinations --quick")


def plans() -> None:
    """List the plans that come with the package: the paper's tables, and the questions that it left open."""
    folder = files("gmr.probe").joinpath("plans")
    pages = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name
    )
    rows = []
    for page in pages:
        content = tomllib.loads(page.read_text(encoding="utf-8"))
        rows.append([page.name.removesuffix(".toml"), content["question"]])
    print_table(["plan", "question"], rows)
