"""A scorer or a run on a task to a result: measures per query first, means second, and what was covered."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from gmr.core.errors import DataError
from gmr.core.nouns import Pair, Run
from gmr.core.tasks import RerankTask
from gmr.evaluation.scoring import checked_scores
from gmr.metrics.coverage import Coverage, count_coverage
from gmr.metrics.measures import Measure, evaluate, parse_measure
from gmr.metrics.statistics import Interval, bootstrap_interval

if TYPE_CHECKING:  # the reranker loads torch, which evaluating a run does not need
    from gmr.reranker import Scorer

logger = logging.getLogger(__name__)

# Least pairs in one call of a scorer (whole queries): enough to batch by length and to encode shared pictures
# once, few enough that a progress bar moves and that the pictures of a large task need not fit into memory.
PAIRS_PER_CALL = 1024
# A larger difference between the best and the worst way to break ties is worth a warning.
TIE_SPREAD = 0.001


@dataclass(frozen=True)
class TaskResult:
    """What one system did on one task.

    Attributes:
        task_name: Of the task.
        task_type: Of the task, such as ``"t2it"``.
        run: Query id to document id to score.
        per_query: Measure to query id to value, over every query with a relevant document; the first measure
            is the main one.
        coverage: The denominator, and what was missing, unknown or tied.
        expected_under_ties: Whether the values are expectations under ties instead of canonical.
    """

    task_name: str
    task_type: str
    run: Run
    per_query: Mapping[str, Mapping[str, float]]
    coverage: Coverage
    expected_under_ties: bool = False

    def values(self, measure: str | Measure | None = None) -> Mapping[str, float]:
        """Query id to value of ``measure``, or of the main measure.

        Raises:
            DataError: The measure was not computed.
        """
        name = next(iter(self.per_query)) if measure is None else str(parse_measure(measure))
        if name not in self.per_query:
            raise DataError(
                f"{self.task_name}: {name} was not computed; there are {', '.join(self.per_query)}"
            )
        return self.per_query[name]

    def mean(self, measure: str | Measure | None = None) -> float:
        """Mean over the judged queries of ``measure``, or of the main measure."""
        return float(np.mean(list(self.values(measure).values())))

    def interval(
        self, measure: str | Measure | None = None, *, confidence: float = 0.95, seed: int = 0
    ) -> Interval:
        """The mean with its bootstrap interval over queries."""
        return bootstrap_interval(list(self.values(measure).values()), confidence=confidence, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; ``means`` is there for readers and is not read back."""
        means = {name: self.mean(name) for name in self.per_query}
        return {"means": means, **asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], *, where: str = "result") -> "TaskResult":
        """The result that ``to_dict`` gave, through JSON or not.

        Raises:
            DataError: A field is missing.
        """
        coverage = record.get("coverage")
        coverage = coverage if isinstance(coverage, Mapping) else {}
        missing = [field.name for field in fields(cls) if field.name not in record]
        needed = [field.name for field in fields(Coverage) if field.default is MISSING]
        missing += [f"coverage.{name}" for name in needed if name not in coverage]
        if missing:
            raise DataError(f"{where}: this is no task result, it lacks {', '.join(missing)}")
        known = {field.name: coverage[field.name] for field in fields(Coverage) if field.name in coverage}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        values = {field.name: record[field.name] for field in fields(cls)}
        return cls(**{**values, "coverage": Coverage(**{**known, **lists})})


def evaluate_task(
    scorer: "Scorer",
    task: RerankTask,
    *,
    measures: Sequence[str | Measure] | None = None,
    expected_under_ties: bool = False,
    progress: bool = False,
) -> TaskResult:
    """The result of reranking the candidates of ``task`` with ``scorer``.

    Args:
        scorer: What is evaluated.
        task: Queries, candidates and judgments.
        measures: The first is the main one; ``None`` is the task's own measure.
        expected_under_ties: Give exact expectations under random order among equal scores.
        progress: Show a progress bar on stderr.

    Raises:
        ModelError: The scorer returns a score that is not finite, or not one for each pair.
    """
    run = rerank_run(scorer, task, progress=progress)
    return evaluate_run(run, task, measures=measures, expected_under_ties=expected_under_ties)


def evaluate_run(
    run: Run,
    task: RerankTask,
    *,
    measures: Sequence[str | Measure] | None = None,
    expected_under_ties: bool = False,
) -> TaskResult:
    """The result of a run on ``task``; what the run lacks or has too much is logged and part of the result.

    Args:
        run: Query id to document id to score.
        task: The judgments and the corpus.
        measures: The first is the main one; ``None`` is the task's own measure.
        expected_under_ties: Give exact expectations under random order among equal scores.

    Raises:
        DataError: A score is not finite, or no query has a relevant document.
        ValueError: A measure is unknown, or there is none.
    """
    parsed = [parse_measure(measure) for measure in (measures if measures is not None else [task.measure])]
    if not parsed:
        raise ValueError(f"{task.name}: no measure to compute")
    try:
        per_query = evaluate(run, task.qrels, parsed, expected_under_ties=expected_under_ties)
        coverage = count_coverage(
            run, task.qrels, measure=parsed[0], corpus=task.corpus, candidates=task.first_stage
        )
    except DataError as error:
        raise DataError(f"{task.name}: {error}") from error
    if coverage.missing_queries or coverage.unknown_documents or coverage.num_dropped:
        logger.warning("%s: %s", task.name, coverage)
    if coverage.tie_spread > TIE_SPREAD and not expected_under_ties:
        logger.warning(
            "%s: %d pairs of documents have equal scores: %s is between %.4f and %.4f by their order",
            *(task.name, coverage.num_tied_pairs, parsed[0], coverage.worst_tie, coverage.best_tie),
        )
    return TaskResult(task.name, task.task_type, run, per_query, coverage, expected_under_ties)


def rerank_run(scorer: "Scorer", task: RerankTask, *, progress: bool = False) -> dict[str, dict[str, float]]:
    """The run of ``scorer`` on the candidates of ``task``: every candidate scored, queries in order.

    Raises:
        ModelError: A score is not finite (by query and document), or there is not one for each pair.
    """
    run: dict[str, dict[str, float]] = {query_id: {} for query_id in task.first_stage}
    total = sum(map(len, task.first_stage.values()))
    with tqdm(total=total, desc=task.name, unit="pair", disable=not progress) as bar:
        for pairs in _blocks_of_queries(task):
            scores = checked_scores(scorer, pairs, where=task.name)
            for (query, document), score in zip(pairs, scores.tolist(), strict=True):
                run[query.query_id][document.doc_id] = score
            bar.update(len(pairs))
    return run


def _blocks_of_queries(task: RerankTask) -> Iterator[list[Pair]]:
    """The pairs of the task in blocks of whole queries, each but the last of at least ``PAIRS_PER_CALL``."""
    block: list[Pair] = []
    for query_id in task.first_stage:
        block += [(task.queries[query_id], document) for document in task.candidates(query_id)]
        if len(block) >= PAIRS_PER_CALL:
            yield block
            block = []
    if block:
        yield block
