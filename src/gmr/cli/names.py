"""Checks of what may be named on a command line: measures, and values that are given once."""

from gmr.core.errors import UsageError


def parse_measures(names: list[str]) -> list[str]:
    """The measures of ``--measure`` as they print.

    Raises:
        UsageError: one is unknown or given twice.
    """
    from gmr.metrics.measures import parse_measure

    try:
        measures = [str(parse_measure(name)) for name in names]
    except ValueError as error:
        raise UsageError(f"--measure: {error}") from None
    refuse_twice("--measure", measures)
    return measures


def refuse_twice(option: str, names: list[str]) -> None:
    """Stop when a value of a repeatable option is given twice.

    Raises:
        UsageError: naming it.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{option}: {twice[0]!r} is given twice")
