"""Results that others published, to be shown beside a report and never inside its tables."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class PublishedRow:
    """One model.

    Attributes:
        model: Its name.
        size: Parameters as listed there.
        values: Column label to value, in the table's unit; a column without a value is not public.
        mark: Key of the table's ``marks``: how certain the numbers are.
    """

    model: str
    size: str
    values: Mapping[str, float]
    mark: str


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        title: Of the table.
        paper: Where it was published.
        caution: Why it cannot be compared with our own tables.
        unit: Of the values, and what was ranked.
        columns: Task type (or ``mean``) to number of test sets.
        rows: The models.
        marks: Mark to what it means.
        notes: What else is to be known, each with its mark.
    """

    title: str
    paper: str
    caution: str
    unit: str
    columns: Mapping[str, int]
    rows: tuple[PublishedRow, ...]
    marks: Mapping[str, str]
    notes: tuple[tuple[str, str], ...]


def published_table() -> PublishedTable:
    """The rows of the paper's own benchmark, MRB."""
    source = files("gmr.reports").joinpath("published.toml").read_text(encoding="utf-8")
    record = tomllib.loads(source)
    return PublishedTable(
        title=record["title"],
        paper=record["paper"],
        caution=record["caution"],
        unit=record["unit"],
        columns={column["label"]: column["num_sets"] for column in record["columns"]},
        rows=tuple(PublishedRow(**row) for row in record["rows"]),
        marks=record["marks"],
        notes=tuple((note["text"], note["mark"]) for note in record["notes"]),
    )
