"""Training examples from plans, made when they are indexed: pages are drawn for no example that is not looked at."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from gmr.core.files import digest, sha256_file
from gmr.core.nouns import Document, Query
from gmr.core.tasks import LazyDocuments, TrainingExample, TrainingSet
from gmr.suites.albums import Albums
from gmr.suites.pieces import Page, Plan, pictures_of
from gmr.suites.tasks import item_of

MAX_HARD = 12
Near = Callable[[str], Iterable[str]]
"""What is easily taken for a concept or stamp, nearest first."""


class PlannedExamples(Sequence[TrainingExample]):
    """The queries of plans as training examples; all that answers a query is positive, the plan's name is its pool.

    Hard negatives are the documents of what the query itself shows (a picture that was not changed) and of what is
    near to the answer.
    """

    def __init__(self, rows: Sequence[tuple[Plan, str]], albums: Albums, near: Near) -> None:
        self._rows = rows
        self._albums = albums
        self._near = near
        self._documents_of: dict[str, dict[str, list[str]]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, index: slice) -> "PlannedExamples": ...
    def __getitem__(self, index: int | slice) -> "TrainingExample | PlannedExamples":
        if isinstance(index, slice):
            return PlannedExamples(self._rows[index], self._albums, self._near)
        plan, query_id = self._rows[index]
        make = maker(plan, self._albums)
        item = item_of(plan.search.queries[query_id], self._albums)
        return TrainingExample(
            example_id=query_id,
            query=Query(query_id, item, plan.instruction),
            positives=tuple(map(make, plan.relevant[query_id])),
            negatives=LazyDocuments(itertools.islice(self._hard(plan, query_id), MAX_HARD), make),
            pool=plan.name,
        )

    def _hard(self, plan: Plan, query_id: str) -> Iterator[str]:
        if plan.name not in self._documents_of:
            self._documents_of[plan.name] = _documents_by_subject(plan)
        documents = self._documents_of[plan.name]
        relevant = plan.relevant[query_id]
        kinds = {doc_id.partition(":")[0] for doc_id in relevant}
        shown = [picture.name for picture in pictures_of(plan.search.queries[query_id])]
        targets = [subject for doc_id in relevant[:1] for subject in _subjects(plan, doc_id)]
        # A page shows many: its neighbours in the pool are as hard as any.
        near = [subject for target in targets[-1:] for subject in self._near(target)]
        given = set(relevant)
        for subject in (*shown, *targets, *near):
            for doc_id in documents.get(subject, ()):
                if doc_id not in given and doc_id.partition(":")[0] in kinds:
                    given.add(doc_id)
                    yield doc_id


@dataclass(frozen=True)
class PlannedTrainingSet(TrainingSet):
    """A training set that is a function of data files; it is described by them, not by making it all."""

    description: str = ""

    def __post_init__(self) -> None:
        """Nothing to check: query ids are unique in a plan and carry its name, pools are the plans."""

    def fingerprint(self) -> str:
        """SHA-256 of what the plans are made of and of what was asked for."""
        return digest(self.description.encode())


def maker(plan: Plan, albums: Albums) -> Callable[[str], Document]:
    """The document of an id of the plan."""
    return lambda doc_id: Document(doc_id, item_of(plan.search.documents[doc_id], albums))


def planned_training_set(
    plans: Sequence[Plan], albums: Albums, *, near: Near, files: Iterable[Path], limit: int | None = None
) -> TrainingSet:
    """Examples of all plans in turn, the first ``limit`` of them.

    Args:
        plans: their queries become examples.
        albums: where pictures are.
        near: what is easily taken for a concept, for hard negatives.
        files: all data that the plans and pictures are made of; their contents tell the set from others.
        limit: number of examples to keep; all by default.
    """
    queues = [[(plan, query_id) for query_id in plan.search.queries] for plan in plans]
    rows = [row for turn in itertools.zip_longest(*queues) for row in turn if row is not None][:limit]
    asked = [[plan.name, plan.instruction, query_id, *plan.relevant[query_id]] for plan, query_id in rows]
    contents = [sha256_file(path) for path in files]
    return PlannedTrainingSet(
        PlannedExamples(rows, albums, near),
        {plan.name: LazyDocuments(plan.search.documents, maker(plan, albums)) for plan in plans},
        json.dumps([contents, asked]),
    )


def _documents_by_subject(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for doc_id in plan.search.documents:
        for subject in _subjects(plan, doc_id):
            found[subject].append(doc_id)
    return found


def _subjects(plan: Plan, doc_id: str) -> list[str]:
    """The concepts or stamps that a document shows; those of a text stand in its id."""
    pieces = plan.search.documents[doc_id]
    shown = [picture.name for picture in pictures_of(pieces)]
    if any(isinstance(piece, Page) for piece in pieces):
        return []
    return shown or [doc_id.partition(":")[2]]
