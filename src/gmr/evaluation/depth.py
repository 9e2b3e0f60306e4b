"""Rerank-depth curves: the measure when only the first candidates of the first stage are reranked.

At depth ``k`` the first ``k`` candidates stand in the order of the system, and the rest stay behind them in the order
of the first stage. Depth 1 is the first stage itself; the largest depth is the system's own result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gmr.core.errors import DataError
from gmr.core.nouns import Run
from gmr.core.tasks import RerankTask
from gmr.evaluation.results import TaskResult
from gmr.metrics.measures import Measure, judged_queries, measure_grades, parse_measure
from gmr.metrics.order import canonical_order, tie_sizes
from gmr.metrics.statistics import Interval

Table = npt.NDArray[np.float64]

DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
# Many intervals are made from the same resamples: 2,000 place their ends to about a hundredth of their width.
NUM_RESAMPLES = 2_000


@dataclass(frozen=True)
class DepthValues:
    """Per-query values of one task, each ``(depths, queries)`` float64, queries in the order of the judgments.

    Attributes:
        depths: Candidates reranked, ascending.
        systems: By name.
        oracle: The best possible order of the first candidates.
        first_stage: The same at every depth.
    """

    depths: tuple[int, ...]
    systems: Mapping[str, Table]
    oracle: Table
    first_stage: Table


@dataclass(frozen=True)
class DepthCurves:
    """The lines of one figure: means with bootstrap intervals over queries, one for each depth.

    Attributes:
        depths: Candidates reranked, ascending.
        systems: By name.
        oracle: The best possible order of the first candidates.
        first_stage: The line to be above: the same at every depth.
    """

    depths: tuple[int, ...]
    systems: Mapping[str, tuple[Interval, ...]]
    oracle: tuple[Interval, ...]
    first_stage: Interval


def choose_depths(tasks: Iterable[RerankTask]) -> tuple[int, ...]:
    """1, 2, 3, 5, 10, 20, 50, ... up to the most candidates that a query of ``tasks`` has, and that number.

    Raises:
        DataError: No task has a candidate.
    """
    tasks = list(tasks)
    most = max((len(scores) for task in tasks for scores in task.first_stage.values()), default=0)
    if most == 0:
        raise DataError(f"{', '.join(task.name for task in tasks)}: there are no candidates to rerank")
    return (*(depth for depth in DEPTHS if depth < most), most)


def depth_values(
    task: RerankTask,
    runs: Mapping[str, Run],
    *,
    depths: Sequence[int],
    measure: str | Measure | None = None,
    expected_under_ties: Iterable[str] = (),
) -> DepthValues:
    """Per-query values at every depth: of each system, of the best possible order, and of the first stage.

    A candidate that a run does not score is not found; a document of a run that is no candidate is left out,
    since it has no depth.

    Args:
        task: With its first stage.
        runs: System name to its run on the task.
        depths: Candidates to rerank, each at least 1; more than a query has is all it has.
        measure: ``None`` is the task's own.
        expected_under_ties: Systems whose values are expectations under random order among equal scores.

    Raises:
        DataError: The task has no first stage, or no query with a relevant document, or a score is not finite.
        ValueError: A depth is less than 1.
    """
    if not task.first_stage:
        raise DataError(f"{task.name}: there are no candidates to rerank")
    if not depths or min(depths) < 1:
        raise ValueError(f"depths must be at least 1, got {list(depths)}")
    expected = set(expected_under_ties)
    query_ids = judged_queries(task.qrels)
    shape = (len(depths), len(query_ids))
    table = DepthValues(
        tuple(depths), {name: np.zeros(shape) for name in runs}, np.zeros(shape), np.zeros(shape)
    )
    for column, query_id in enumerate(query_ids):
        query = _Query(task, query_id, parse_measure(measure or task.measure))
        for name, run in runs.items():
            scores = run.get(query_id, {})
            table.systems[name][:, column] = query.reranked(scores, depths, name in expected, where=name)
        table.oracle[:, column] = query.reranked(query.gains, depths, False, where="oracle")
        table.first_stage[:, column] = query.value(query.order)
    return table


def depth_curves(
    tables: Sequence[DepthValues],
    *,
    confidence: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> DepthCurves:
    """The curves of the mean over tasks, each of which weighs the same; of one task where there is one.

    Args:
        tables: One for each task, of the same depths and systems.
        confidence: Of the intervals.
        num_resamples: Of the queries, inside each task.
        seed: Of the generator.

    Raises:
        ValueError: There are no tables, or they differ in depths or systems.
    """
    if len({(table.depths, tuple(table.systems)) for table in tables}) != 1:
        raise ValueError("curves need tables of the same depths and systems, and at least one")
    depths, names = tables[0].depths, list(tables[0].systems)
    stacked = [np.stack([*table.systems.values(), table.oracle, table.first_stage]) for table in tables]
    drawn = [_resampled(values, num_resamples, seed=(seed, place)) for place, values in enumerate(stacked)]
    means = np.mean([values.mean(axis=2) for values in stacked], axis=0)
    lows, highs = np.quantile(np.mean(drawn, axis=0), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    *systems, oracle, first_stage = (
        tuple(Interval(*each) for each in zip(*row, strict=True))
        for row in zip(means.tolist(), lows.tolist(), highs.tolist(), strict=True)
    )
    return DepthCurves(depths, dict(zip(names, systems, strict=True)), oracle, first_stage[0])


def depth_curve(
    result: TaskResult,
    task: RerankTask,
    *,
    measure: str | Measure | None = None,
    depths: Sequence[int] | None = None,
    seed: int = 0,
) -> DepthCurves:
    """The curves of one result on its task; the system is called ``"system"``.

    Args:
        result: With its run.
        task: What it is a result of.
        measure: ``None`` is the result's main measure.
        depths: ``None`` is `choose_depths`.
        seed: Of the resampling.

    Raises:
        DataError: The result is not of this task, or the task has no first stage.
    """
    if result.task_name != task.name:
        raise DataError(f"the result is of task {result.task_name!r}, not of {task.name!r}")
    table = depth_values(
        task,
        {"system": result.run},
        depths=choose_depths([task]) if depths is None else depths,
        measure=measure or next(iter(result.per_query)),
        expected_under_ties=["system"] if result.expected_under_ties else [],
    )
    return depth_curves([table], seed=seed)


class _Query:
    """The candidates of one query; a ranking that was measured before is not measured again."""

    def __init__(self, task: RerankTask, query_id: str, measure: Measure) -> None:
        self.order = canonical_order(task.first_stage.get(query_id, {}), where=f"query {query_id!r}")
        self.judged = task.qrels[query_id]
        self.gains = {doc_id: float(self.judged.get(doc_id, 0)) for doc_id in self.order}
        self.measure = measure
        self._known: dict[bytes, float] = {}

    def value(self, order: Sequence[str], sizes: npt.NDArray[np.int64] | None = None) -> float:
        grades = np.array([self.gains[doc_id] for doc_id in order], dtype=np.float64)
        key = grades.tobytes() + (b"" if sizes is None else b"|" + sizes.tobytes())
        if key not in self._known:
            self._known[key] = measure_grades(self.measure, grades, self.judged, sizes=sizes)
        return self._known[key]

    def reranked(
        self, scores: Mapping[str, float], depths: Sequence[int], is_expected: bool, *, where: str
    ) -> list[float]:
        held = {doc_id: scores[doc_id] for doc_id in self.order if doc_id in scores}
        full = canonical_order(held, where=where)
        places = {doc_id: place for place, doc_id in enumerate(self.order)}
        values = []
        for depth in depths:
            first = [doc_id for doc_id in full if places[doc_id] < depth]
            rest = [doc_id for doc_id in self.order[depth:] if doc_id in held]
            sizes = None
            if is_expected:
                sizes = np.concatenate([tie_sizes(held, first), np.ones(len(rest), dtype=np.int64)])
            values.append(self.value([*first, *rest], sizes))
        return values


def _resampled(values: Table, num_resamples: int, *, seed: tuple[int, int]) -> Table:
    """``(resamples, lines, depths)`` means of one task: how often each query was drawn, times its values."""
    num_queries = values.shape[2]
    drawn = np.random.default_rng(seed).integers(0, num_queries, size=(num_resamples, num_queries))
    cells = (drawn + num_queries * np.arange(num_resamples)[:, None]).ravel()
    counts = np.bincount(cells, minlength=num_resamples * num_queries).reshape(num_resamples, num_queries)
    # divided last: whole numbers of equal values have a sum without rounding
    return np.tensordot(counts.astype(np.float64), values, axes=([1], [2])) / num_queries
