"""The words of the house: queries, documents, rankings, judgments, runs and task types."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gmr.core.errors import DataError
from gmr.core.files import shorten
from gmr.core.images import check_image
from gmr.core.items import Item, images_of, is_item, replace_surrogates

Qrels = Mapping[str, Mapping[str, int]]
"""Judgments: query_id -> doc_id -> relevance; 0 and below are not relevant."""

Run = Mapping[str, Mapping[str, float]]
"""Scores: query_id -> doc_id -> score, higher is better."""

TASK_TYPES = ("t2t", "i2i", "t2i", "t2vd", "i2t", "t2it", "it2t", "it2i", "it2it")


@dataclass(frozen=True)
class Query:
    """What is looked for, and optionally one sentence that says what relevance means."""

    query_id: str
    item: Item
    instruction: str | None = None

    def __post_init__(self) -> None:
        _check_identified("query", self.query_id, self.item)
        if self.instruction is not None:
            if not isinstance(self.instruction, str):
                raise DataError(
                    f"query {self.query_id!r}: instruction {shorten(self.instruction)} is no string"
                )
            object.__setattr__(self, "instruction", replace_surrogates(self.instruction))


@dataclass(frozen=True)
class Document:
    """What may be found."""

    doc_id: str
    item: Item

    def __post_init__(self) -> None:
        _check_identified("document", self.doc_id, self.item)


Pair = tuple[Query, Document]
"""What is scored."""


@dataclass(frozen=True)
class RankedDocument:
    """A document in its place: ``rank`` counts from 1, ``score`` a log-odds, unbounded (or a grade: `Ranking`)."""

    rank: int
    doc_id: str
    score: float
    document: Document


@dataclass(frozen=True)
class Ranking:
    """The documents of one query, best first; iterates and indexes as a sequence of `RankedDocument`.

    Attributes:
        query: what was asked.
        documents: in order.
        in_log_odds: whether the scores are log-odds; those of a model that reads out grades are not, and have no
            `probability`.
    """

    query: Query
    documents: tuple[RankedDocument, ...]
    in_log_odds: bool = True

    def __iter__(self) -> Iterator[RankedDocument]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> RankedDocument:
        return self.documents[index]


def owner_name(owner: Query | Document) -> str:
    """What errors call a query or document: ``query 'q1'``."""
    return f"query {owner.query_id!r}" if isinstance(owner, Query) else f"document {owner.doc_id!r}"


def pair_name(query: Query, document: Document) -> str:
    """What errors call a pair: ``query 'q1' with document 'd1'``."""
    return f"{owner_name(query)} with {owner_name(document)}"


def picture_fault(item: Item) -> str | None:
    """Why a picture of the item cannot be shown, as far as the structure of its file tells; None if all can."""
    try:
        for image in images_of(item):
            check_image(image.source, where=image.name)
            _ = image.key  # of the same bytes; threads that ask for many share the work
    except DataError as error:
        return str(error)
    return None


def check_pictures(*owners: Query | Document) -> None:
    """Open every picture of the queries and documents: who meets a broken one learns whose it is.

    Raises:
        DataError: for the first picture that cannot be opened, naming the query or document and the file.
    """
    for owner in owners:
        for image in images_of(owner.item):
            try:
                image.open()
            except DataError as error:
                raise DataError(f"{owner_name(owner)}: {error}") from error


def probability(score: float) -> float:
    """``sigmoid(score)``: the model's probability that the document is relevant, for display."""
    if score < 0:  # exp of a large positive number would overflow
        odds = math.exp(score)
        return odds / (1 + odds)
    return 1 / (1 + math.exp(-score))


def task_group(task_type: str) -> str:
    """``"fused"`` if a side is image and text, ``"single"`` if both sides are alike, else ``"cross"``.

    Raises:
        DataError: for a task type that is none of the nine.
    """
    query, document = _sides(task_type)
    if "it" in (query, document):
        return "fused"
    return "single" if query == document else "cross"


def display_type(task_type: str) -> str:
    """A task type as papers write it: ``"t2it"`` is ``"T→IT"``.

    Raises:
        DataError: for a task type that is none of the nine.
    """
    return "→".join(_sides(task_type)).upper()


def _sides(task_type: str) -> tuple[str, str]:
    if task_type not in TASK_TYPES:
        raise DataError(f"unknown task type {task_type!r}; known are {', '.join(TASK_TYPES)}")
    query, _, document = task_type.partition("2")
    return query, document


def _check_identified(noun: str, identifier: object, item: object) -> None:
    if not isinstance(identifier, str) or not identifier:
        raise DataError(f"{noun}: the id must be a non-empty string, this is {shorten(identifier)}")
    if not is_item(item):
        raise DataError(f"{noun} {identifier!r}: {shorten(item)} is not an item; spell it with as_item(...)")
