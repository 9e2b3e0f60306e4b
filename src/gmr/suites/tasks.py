"""Plans to tasks: pieces become items, the first stage is read from its frozen file or found anew."""

import json
from collections.abc import Callable, Iterable
from functools import cache

from gmr.core.files import digest
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query, Run
from gmr.core.tasks import RerankTask
from gmr.suites.albums import Albums
from gmr.suites.frozen import FrozenRuns
from gmr.suites.pages import draw_page
from gmr.suites.pieces import Page, Picture, Pieces, Plan, Search, Words, pictures_of
from gmr.suites.retrieval import Retriever


def item_of(pieces: Pieces, albums: Albums) -> Item:
    """The item that pieces stand for; pictures are read and pages drawn."""
    return tuple(_part(piece, albums) for piece in pieces)


def search_digest(search: Search, albums: Albums) -> str:
    """SHA-256 (64 hex digits) of what a first stage is given; pictures by checksum."""
    both = (search.queries, search.documents)
    sides = [[[name, [_facts(piece) for piece in side[name]]] for name in sorted(side)] for side in both]
    shown = {picture for side in both for pieces in side.values() for picture in pictures_of(pieces)}
    checksums = sorted([picture.album, picture.name, albums.checksum(picture)] for picture in shown)
    return digest(json.dumps([search.depth, search.by_parts, *sides, checksums]).encode())


def make_tasks(
    suite: str,
    plans: Iterable[Plan],
    albums: Albums,
    find_with: Callable[[], Retriever],
    *,
    limit: int | None = None,
) -> list[RerankTask]:
    """The tasks of plans, each with its frozen first stage.

    Where the queries or documents are not those that the frozen one was made for, candidates are found anew, and a
    warning says that results are not comparable.

    Args:
        suite: whose frozen runs are read.
        plans: of the tasks.
        albums: where pictures are.
        find_with: what finds candidates; made when it is needed.
        limit: first so many queries of each task; all by default.
    """
    frozen = FrozenRuns(suite)
    # Made once: it looks at every example picture.
    retriever = cache(find_with)
    tasks = []
    for plan in plans:
        search = plan.search
        run: Run | None = frozen.read(
            plan.name,
            search_digest(search, albums),
            query_ids=list(search.queries),
            doc_ids=sorted(search.documents),
        )
        tasks.append(make_task(plan, albums, run or retriever().run(search), limit=limit))
    return tasks


def make_task(plan: Plan, albums: Albums, run: Run, *, limit: int | None = None) -> RerankTask:
    """The task of a plan and a first stage; pictures are read and pages drawn."""
    search = plan.search
    kept = list(search.queries)[:limit]
    return RerankTask(
        name=plan.name,
        task_type=plan.task_type,
        queries={name: Query(name, item_of(search.queries[name], albums), plan.instruction) for name in kept},
        corpus={name: Document(name, item_of(pieces, albums)) for name, pieces in search.documents.items()},
        qrels={name: dict.fromkeys(plan.relevant[name], 1) for name in kept},
        first_stage={name: run[name] for name in kept},
        metadata={name: plan.metadata[name] for name in kept if name in plan.metadata},
    )


def _part(piece: Words | Picture | Page, albums: Albums) -> Text | Image:
    if isinstance(piece, Words):
        return Text(piece.text)
    return albums.image(piece) if isinstance(piece, Picture) else draw_page(piece, albums)


def _facts(piece: Words | Picture | Page) -> list[object]:
    if isinstance(piece, Words):
        return [piece.text, piece.language]
    if isinstance(piece, Picture):
        return [piece.album, piece.name]
    return [[[cell.album, cell.name] for cell in piece.cells], piece.columns, list(piece.captions)]
