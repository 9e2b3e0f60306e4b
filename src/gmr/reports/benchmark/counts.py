"""Results to the counts of a report: tasks, coverage, costs, calibration, and means by facts of the metadata."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult
from gmr.evaluation.cost import Cost
from gmr.metrics.calibration import calibrate
from gmr.metrics.measures import judged_queries
from gmr.metrics.statistics import stratified_interval
from gmr.reports.benchmark.contents import (
    BreakdownRow,
    CalibrationRow,
    CostRow,
    CoverageRow,
    PairedQueries,
    TaskFacts,
)

Results = Mapping[str, Sequence[TaskResult]]

LANGUAGE = "language"
# More values than these of one fact make no table that anyone reads (names, ids).
MAX_VALUES = 40
# Cells of the plot of two systems: one over the width of a cell.
GRID = 20


def task_facts(task: RerankTask, *, measure: str) -> TaskFacts:
    """The task in numbers."""
    judged = judged_queries(task.qrels)
    relevant = {
        query_id: {doc_id for doc_id, grade in task.qrels[query_id].items() if grade >= 1}
        for query_id in judged
    }
    candidates = {query_id: task.first_stage.get(query_id, {}) for query_id in judged}
    found = {query_id: len(relevant[query_id] & candidates[query_id].keys()) for query_id in judged}
    sizes = [len(scores) for scores in candidates.values()]
    languages = {facts[LANGUAGE] for facts in task.metadata.values() if LANGUAGE in facts}
    return TaskFacts(
        name=task.name,
        task_type=task.task_type,
        measure=measure,
        num_queries=len(task.queries),
        num_judged=len(judged),
        num_documents=len(task.corpus),
        min_candidates=min(sizes),
        max_candidates=max(sizes),
        num_unreachable=sum(count == 0 for count in found.values()),
        candidate_recall=float(np.mean([found[query_id] / len(relevant[query_id]) for query_id in judged])),
        languages=tuple(sorted(languages)),
    )


def coverage_rows(results: Results) -> tuple[CoverageRow, ...]:
    """By system, then task."""
    return tuple(
        CoverageRow(system, result.task_name, result.coverage, result.expected_under_ties)
        for system, of_system in results.items()
        for result in of_system
    )


def cost_rows(costs: Mapping[str, Mapping[str, Cost]], results: Results) -> tuple[CostRow, ...]:
    """By system, then task in the order of the results, each system's sum first.

    Raises:
        DataError: A cost is of a system or task that has no result.
    """
    rows = []
    for system, of_system in costs.items():
        known = [result.task_name for result in results.get(system, [])]
        unknown = [task for task in of_system if task not in known]
        if not known or unknown:
            what = f"task {unknown[0]!r}" if known else f"system {system!r}"
            raise DataError(f"the costs of {system!r} are given for {what}, of which there is no result")
        if of_system:
            rows.append(CostRow(system, "", sum(of_system.values(), Cost())))
            rows += [CostRow(system, task, of_system[task]) for task in known if task in of_system]
    return tuple(rows)


def calibration_rows(
    models: Sequence[str], results: Results, tasks: Mapping[str, RerankTask]
) -> tuple[CalibrationRow, ...]:
    """By model: the pairs of all tasks (``mean``), then those of each task type."""
    rows = []
    for system in models:
        pairs = {result.task_name: _labelled(result, tasks[result.task_name]) for result in results[system]}
        labels = {
            "mean": list(pairs),
            **{kind: [name for name in pairs if tasks[name].task_type == kind] for kind in TASK_TYPES},
        }
        for label, names in labels.items():
            scores = [score for name in names for score in pairs[name][0]]
            if scores:
                relevant = [label_ for name in names for label_ in pairs[name][1]]
                rows.append(CalibrationRow(system, label, calibrate(scores, relevant)))
    return tuple(rows)


def breakdown_rows(
    results: Results, tasks: Mapping[str, RerankTask], *, measure: str | None, seed: int
) -> tuple[tuple[BreakdownRow, ...], list[str]]:
    """Means by every fact that tells queries apart, and the names of facts with too many values for it.

    Language comes first; values with more queries come before others.
    """
    values = {
        system: {result.task_name: result.values(measure) for result in of_system}
        for system, of_system in results.items()
    }
    first = next(iter(values.values()))
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for name in first:
        for query_id in first[name]:
            for fact, value in tasks[name].metadata.get(query_id, {}).items():
                held[fact][value] += 1
    rows: list[BreakdownRow] = []
    left_out = []
    for fact in sorted(held, key=lambda fact: (fact != LANGUAGE, fact)):
        if len(held[fact]) > MAX_VALUES:
            left_out.append(fact)
        elif len(held[fact]) > 1:
            for value, count in sorted(held[fact].items(), key=lambda pair: (-pair[1], pair[0])):
                members = {
                    name: [q for q in first[name] if tasks[name].metadata.get(q, {}).get(fact) == value]
                    for name in first
                }
                strata = {name: ids for name, ids in members.items() if ids}
                means = {
                    system: stratified_interval(
                        [[of_system[name][q] for q in ids] for name, ids in strata.items()], seed=seed
                    )
                    for system, of_system in values.items()
                }
                rows.append(BreakdownRow(fact, value, len(strata), count, means))
    return tuple(rows), left_out


def paired_queries(results: Results, a: str, b: str, *, measure: str | None) -> PairedQueries:
    """Every judged query of every task by its values under both systems."""
    points = [
        (value, other.values(measure)[query_id])
        for result, other in _together(results[a], results[b])
        for query_id, value in result.values(measure).items()
    ]
    cells = Counter((round(x * GRID), round(y * GRID)) for x, y in points)
    return PairedQueries(
        a=a,
        b=b,
        cells=tuple((x / GRID, y / GRID, count) for (x, y), count in sorted(cells.items())),
        wins=sum(x > y for x, y in points),
        ties=sum(x == y for x, y in points),
        losses=sum(x < y for x, y in points),
    )


def _together(
    left: Iterable[TaskResult], right: Iterable[TaskResult]
) -> Iterable[tuple[TaskResult, TaskResult]]:
    by_name = {result.task_name: result for result in right}
    return ((result, by_name[result.task_name]) for result in left)


def _labelled(result: TaskResult, task: RerankTask) -> tuple[list[float], list[bool]]:
    """Scores and relevance of the pairs of judged queries; a document without a judgment is not relevant."""
    scores: list[float] = []
    relevant: list[bool] = []
    for query_id in judged_queries(task.qrels):
        for doc_id, score in result.run.get(query_id, {}).items():
            scores.append(score)
            relevant.append(task.qrels[query_id].get(doc_id, 0) >= 1)
    return scores, relevant
