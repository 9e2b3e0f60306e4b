"""How many candidates are reranked: the first ones of the first stage."""

from dataclasses import replace

from gmr.core.errors import UsageError
from gmr.core.nouns import Run
from gmr.core.tasks import RerankTask
from gmr.metrics.order import canonical_order


def at_depth(task: RerankTask, depth: int) -> RerankTask:
    """The task with the first ``depth`` candidates of every query, in the canonical order; all else as it is.

    A relevant document below the depth stays relevant and is not found, so that depths can be compared.

    Raises:
        UsageError: for a depth below 1.
    """
    return replace(task, first_stage=first_candidates(task.first_stage, depth))


def first_candidates(run: Run, depth: int) -> dict[str, dict[str, float]]:
    """The run with the first ``depth`` documents of every query: score descending, ties by document id descending.

    Raises:
        UsageError: for a depth below 1.
    """
    if depth < 1:
        raise UsageError(f"depth {depth}: the least is 1 candidate")
    return {
        query_id: {
            doc_id: scores[doc_id] for doc_id in canonical_order(scores, where=f"query {query_id!r}")[:depth]
        }
        for query_id, scores in run.items()
    }
