"""What a run covers of the judgments and how much of its value hangs on ties: part of every result."""

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from gmr.core.nouns import Qrels, Run
from gmr.metrics.formulas import Gains
from gmr.metrics.measures import Measure, judged_queries, measure_grades, parse_measure
from gmr.metrics.order import canonical_order, tie_sizes
from gmr.metrics.ties import Sizes


@dataclass(frozen=True)
class Coverage:
    """The denominator of a result and what was not as expected.

    Attributes:
        num_judged: Queries with a relevant document: the denominator.
        num_answered: Those of them with at least one document in the run.
        missing_queries: The others: each counts 0.0.
        unjudged_queries: Queries of the run without a relevant document, left out of every mean.
        unknown_documents: Documents of the run that the corpus does not have.
        num_tied_pairs: Pairs of documents with equal scores, over the judged queries.
        worst_tie: Mean of the measure if every tie were broken in the worst way.
        best_tie: The same in the best way.
        num_dropped: Candidates that the run does not score, where the candidates are known: they count as not
            found.
    """

    num_judged: int
    num_answered: int
    missing_queries: tuple[str, ...]
    unjudged_queries: tuple[str, ...]
    unknown_documents: tuple[str, ...]
    num_tied_pairs: int
    worst_tie: float
    best_tie: float
    num_dropped: int = 0

    @property
    def tie_spread(self) -> float:
        """What the tie rule alone can change in the mean."""
        return self.best_tie - self.worst_tie

    def __str__(self) -> str:
        notes = [f"{self.num_answered} of {self.num_judged} judged queries answered"]
        for ids, what in (
            (self.missing_queries, "missing queries count 0"),
            (self.unjudged_queries, "queries without judgments left out"),
            (self.unknown_documents, "documents unknown"),
        ):
            if ids:
                notes.append(f"{len(ids)} {what} (first: {ids[0]!r})")
        if self.num_dropped:
            notes.append(f"{self.num_dropped} candidates not in the run")
        if self.num_tied_pairs:
            notes.append(f"{self.num_tied_pairs} tied pairs ({self.worst_tie:.4f} to {self.best_tie:.4f})")
        return "; ".join(notes)


def count_coverage(
    run: Run,
    qrels: Qrels,
    *,
    measure: str | Measure = "ndcg@10",
    corpus: Container[str] | None = None,
    candidates: Run | None = None,
) -> Coverage:
    """What ``run`` covers of ``qrels``, and the range of ``measure`` over all ways to break its ties.

    Args:
        run: Query id to document id to score.
        qrels: Query id to document id to grade.
        measure: The measure whose worst and best value under ties are given.
        corpus: The known document ids; ``None`` knows all.
        candidates: What the run was to rank; ``None`` is whatever it did rank.

    Raises:
        DataError: No query has a relevant document, or a score is not finite.
    """
    measure = parse_measure(measure)
    judged_ids = judged_queries(qrels)
    num_tied_pairs, worst, best = 0, 0.0, 0.0
    for query_id in judged_ids:
        scores, judged = run.get(query_id, {}), qrels[query_id]
        order = canonical_order(scores, where=f"query {query_id!r}")
        grades = np.array([judged.get(doc_id, 0) for doc_id in order], dtype=np.float64)
        sizes = tie_sizes(scores, order)
        num_tied_pairs += int((sizes * (sizes - 1) // 2).sum())
        worst += measure_grades(measure, _sorted_in_blocks(grades, sizes, sign=1), judged)
        best += measure_grades(measure, _sorted_in_blocks(grades, sizes, sign=-1), judged)
    denominator = set(judged_ids)
    missing = tuple(query_id for query_id in judged_ids if not run.get(query_id))
    unknown = {
        doc_id: None
        for scores in run.values()
        for doc_id in scores
        if corpus is not None and doc_id not in corpus
    }
    return Coverage(
        num_judged=len(judged_ids),
        num_answered=len(judged_ids) - len(missing),
        missing_queries=missing,
        unjudged_queries=tuple(query_id for query_id in run if query_id not in denominator),
        unknown_documents=tuple(unknown),
        num_tied_pairs=num_tied_pairs,
        worst_tie=worst / len(judged_ids),
        best_tie=best / len(judged_ids),
        num_dropped=sum(
            len(set(scores) - set(run.get(query_id, {}))) for query_id, scores in (candidates or {}).items()
        ),
    )


def _sorted_in_blocks(grades: Gains, sizes: Sizes, *, sign: int) -> Gains:
    """The grades sorted inside each block, ascending for ``sign`` 1 and descending for -1."""
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    return grades[np.lexsort((sign * grades, blocks))]
