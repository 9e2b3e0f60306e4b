"""``gmr bench merge``: the scores of several stores in one."""

from pathlib import Path
from typing import Annotated

import typer

from gmr.cli.console import examples, print_line, print_note
from gmr.core.errors import UsageError

EPILOG = examples(
    "gmr bench merge part-1.sqlite part-2.sqlite --into results/glyphs/scores.sqlite",
    "gmr bench --suite glyphs --model BIG --output results/glyphs",
)


def merge(
    *,
    stores: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Stores of scores.")],
    into: Annotated[Path, typer.Option(metavar="FILE", help="Store that gets them; made when not there.")],
) -> None:
    """Bring the scores of shards that ran on machines without a common disk into one store.

    The same command without --shards then makes the results from it. A pair that two stores score otherwise is an
    error.
    """
    from gmr.bench.store import ScoreStore

    if missing := [path for path in stores if not path.is_file()]:
        raise UsageError(f"{missing[0]}: no such file")
    if into.resolve() in {path.resolve() for path in stores}:
        raise UsageError(f"--into {into} is one of the stores to merge")
    with ScoreStore(into) as target:
        for path in stores:
            with ScoreStore(path) as source:
                print_note(f"{path}: {target.merge(source)} scores")
        print_line(f"{into} has {len(target)} scores")
