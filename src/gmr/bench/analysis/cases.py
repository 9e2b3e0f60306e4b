"""The queries of a task that are looked at, with their candidates, what is relevant, and the measure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gmr.bench.analysis.options import Options, draw
from gmr.bench.analysis.scoring import scores_of
from gmr.core.items import Item
from gmr.core.nouns import Document, Pair, Query
from gmr.core.tasks import RerankTask
from gmr.metrics.measures import evaluate, judged_queries, parse_measure

if TYPE_CHECKING:
    from gmr.reranker import Scorer

Scores = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One query of a task with its candidates in the order of the first stage."""

    task: RerankTask
    query: Query
    candidates: tuple[Document, ...]

    @cached_property
    def relevant(self) -> tuple[Document, ...]:
        """The candidates judged relevant."""
        return tuple(document for document in self.candidates if self.is_relevant(document.doc_id))

    @cached_property
    def irrelevant(self) -> tuple[Document, ...]:
        """The other candidates: judged irrelevant, or not judged."""
        return tuple(document for document in self.candidates if not self.is_relevant(document.doc_id))

    def is_relevant(self, doc_id: str) -> bool:
        """Whether the document is judged relevant."""
        return self.task.qrels[self.query.query_id].get(doc_id, 0) >= 1

    def measure(self, scores: Mapping[str, float]) -> float:
        """The task's measure of this query ranked by the scores, as expected in random order among equals."""
        query_id = self.query.query_id
        qrels = {query_id: self.task.qrels[query_id]}
        values = evaluate({query_id: scores}, qrels, [self.task.measure], expected_under_ties=True)
        return next(iter(values.values()))[query_id]

    def some_irrelevant(
        self, options: Options, *, having: Callable[[Item], bool] | None = None
    ) -> list[Document]:
        """At most ``options.num_documents`` of the irrelevant candidates, drawn by lot."""
        fitting = {d.doc_id: d for d in self.irrelevant if having is None or having(d.item)}
        return draw(fitting, self.query.query_id, num=options.num_documents, seed=options.seed)

    def with_item(self, item: Item) -> Query:
        """The query with another content."""
        return replace(self.query, item=item)


def cases_of(task: RerankTask, options: Options) -> list[Case]:
    """Queries with a judged relevant document and candidates, drawn by lot, sorted by id."""
    judged = {query_id: query_id for query_id in judged_queries(task.qrels) if task.first_stage.get(query_id)}
    drawn = draw(judged, task.name, num=options.limit, seed=options.seed)
    return [
        Case(task, task.queries[query_id], tuple(task.candidates(query_id)[: options.depth]))
        for query_id in drawn
    ]


def score_candidates(
    scorer: "Scorer", cases: Sequence[Case], *, change: Callable[[Case, Document], Pair | None] | None = None
) -> list[Scores]:
    """Document id to score, for each case.

    Args:
        scorer: what scores.
        cases: whose candidates are scored.
        change: the pair that is scored instead; None leaves the candidate out.
    """
    changed = change or (lambda case, document: (case.query, document))
    places: list[tuple[int, str]] = []

    def pairs() -> Iterator[Pair]:
        for number, case in enumerate(cases):
            for document in case.candidates:
                pair = changed(case, document)
                if pair is not None:
                    places.append((number, document.doc_id))
                    yield pair

    scores = scores_of(scorer, pairs())
    found: list[Scores] = [{} for _ in cases]
    for (number, doc_id), score in zip(places, scores.tolist(), strict=True):
        found[number][doc_id] = score
    return found


def score_changed(
    scorer: "Scorer",
    cases: Sequence[Case],
    documents: Sequence[Sequence[Document]],
    change: Callable[[Case, Item], Item | None],
) -> list[Scores]:
    """Document id to score of each case's given documents with their items changed; None leaves one out."""
    chosen = {id(case): {d.doc_id for d in some} for case, some in zip(cases, documents, strict=True)}

    def changed(case: Case, document: Document) -> Pair | None:
        item = change(case, document.item) if document.doc_id in chosen[id(case)] else None
        return None if item is None else (case.query, replace(document, item=item))

    return score_candidates(scorer, cases, change=changed)


def measure_heading(tasks: Sequence[RerankTask]) -> str:
    """The title of the tasks' measure, or ``measure`` where they have several."""
    titles = {parse_measure(task.measure).title for task in tasks}
    return titles.pop() if len(titles) == 1 else "measure"


def spread_of(scores: Mapping[str, float]) -> float:
    """Standard deviation of a query's scores: the yardstick by which models of other scales are compared."""
    return float(np.std(list(scores.values()))) if scores else 0.0


def mean_of(values: Iterable[float]) -> float | None:
    """The mean; None where there is nothing."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def ratio(value: float | None, yardstick: float) -> float | None:
    """The value in units of the yardstick; None where either says nothing."""
    return value / yardstick if value is not None and yardstick > 0 else None


def expected_rank(score: float, others: Sequence[float]) -> float:
    """Rank from 1 of a score among others, those of equal score counted half."""
    values = np.asarray(others, dtype=np.float64)
    return 1.0 + float((values > score).sum()) + 0.5 * float((values == score).sum())


def chance_in_top(score: float, others: Sequence[float], *, k: int) -> float:
    """Probability of being among the first ``k``, in random order among equal scores."""
    values = np.asarray(others, dtype=np.float64)
    above, equal = int((values > score).sum()), int((values == score).sum())
    return float(min(1.0, max(0.0, (k - above) / (equal + 1))))
