"""The development tasks while training: a bounded number of queries, shared by the processes of a run."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gmr.core.nouns import Pair
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult, evaluate_run, rerank_run
from gmr.inference.scoring import score_pairs
from gmr.modeling.model import RerankModel


class ModelScorer:
    """The model in training as a scorer."""

    def __init__(self, model: RerankModel) -> None:
        self.model = model

    def score(self, pairs: Sequence[Pair], /) -> npt.NDArray[np.float32]:
        """``(pairs,)`` log-odds, in the order of the pairs."""
        return score_pairs(self.model, pairs)


def select_queries(task: RerankTask, query_ids: Sequence[str]) -> RerankTask:
    """The task with these queries alone; the corpus stays whole."""
    chosen = set(query_ids)
    tables: dict[str, Any] = {
        name: {query_id: value for query_id, value in getattr(task, name).items() if query_id in chosen}
        for name in ("queries", "qrels", "first_stage", "metadata")
    }
    return dataclasses.replace(task, **tables)


def bounded(task: RerankTask, *, max_queries: int) -> RerankTask:
    """The task with at most ``max_queries`` of its queries that have a relevant document, evenly spread."""
    judged = [query_id for query_id, row in task.qrels.items() if any(grade > 0 for grade in row.values())]
    limit = min(max_queries, len(judged))
    return select_queries(task, [judged[number * len(judged) // limit] for number in range(limit)])


def evaluate_dev(
    model: RerankModel,
    tasks: Sequence[RerankTask],
    *,
    measure: str,
    max_queries: int,
    process: tuple[int, int] = (0, 1),
    gather: Callable[[list[Any]], list[Any]] = list,
) -> list[TaskResult]:
    """The model's results on the tasks, each process scoring every n-th query.

    Args:
        model: The model, in whatever mode.
        tasks: The tasks.
        measure: What is measured.
        max_queries: Queries per task.
        process: Number of this process and how many there are.
        gather: Joins the lists of all processes, in their order.
    """
    rank, num_processes = process
    scorer = ModelScorer(model)
    results = []
    for task in tasks:
        whole = bounded(task, max_queries=max_queries)
        mine = select_queries(whole, list(whole.qrels)[rank::num_processes])
        scored = dict(pair for run in gather([rerank_run(scorer, mine)]) for pair in run.items())
        run = {query_id: scored[query_id] for query_id in whole.qrels if query_id in scored}
        results.append(evaluate_run(run, whole, measures=(measure,)))
    return results
