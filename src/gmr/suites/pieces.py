"""What queries and documents of a suite are made of before any picture is read, and the plan of a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Words:
    """A text; ``language`` is empty for words that join pictures ("plus"), which no first stage searches for."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture by its name in an album."""

    album: str
    name: str


@dataclass(frozen=True)
class Page:
    """A page that shows pictures in rows of ``columns``, each with its caption when there are captions."""

    cells: tuple[Picture, ...]
    columns: int = 3
    captions: tuple[str, ...] = ()


Piece = Words | Picture | Page
Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Search:
    """What a first stage is given: all but the judgments.

    Attributes:
        queries: query id -> pieces.
        documents: document id -> pieces.
        depth: number of candidates of each query, at most.
        by_parts: whether the pictures of a query are parts of what is looked for, which none of them resembles.
    """

    queries: Mapping[str, Pieces]
    documents: Mapping[str, Pieces]
    depth: int = 50
    by_parts: bool = False


@dataclass(frozen=True)
class Plan:
    """A task before its candidates are found and its pictures are read.

    Attributes:
        name: of the task.
        task_type: one of the nine.
        instruction: one sentence that says what relevance means.
        search: queries and documents.
        relevant: query id -> ids of all documents that answer it.
        metadata: query id -> facts for analysis.
    """

    name: str
    task_type: str
    instruction: str
    search: Search
    relevant: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def pictures_of(pieces: Pieces) -> list[Picture]:
    """The pictures that pieces show, those on pages as well, in order."""
    found: list[Picture] = []
    for piece in pieces:
        if isinstance(piece, Picture):
            found.append(piece)
        elif isinstance(piece, Page):
            found += piece.cells
    return found
