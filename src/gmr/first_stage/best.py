"""The best documents of each query while blocks of a corpus go by; exact, with ties as trec_eval breaks them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gmr.core.errors import ModelError
from gmr.first_stage.retriever import DECIMALS

Floats = npt.NDArray[np.floating]
# The score of a document that is no candidate of a query.
NOTHING = -np.inf


class BestDocuments:
    """For each query up to ``depth`` documents by rounded score descending, then by document id descending.

    What is kept meanwhile is little more than ``depth`` scores for each query, however large the corpus.

    Args:
        query_ids: the rows of all scores.
        depth: most documents of a query.
        decimals: digits after the point that scores are rounded to. Documents whose scores are then equal are tied.
    """

    def __init__(self, query_ids: Sequence[str], *, depth: int, decimals: int = DECIMALS) -> None:
        if depth < 1:
            raise ValueError(f"depth is {depth}; it must be at least 1")
        self.query_ids = list(query_ids)
        self.depth = depth
        self.decimals = decimals
        self._found: list[list[tuple[npt.NDArray[np.float64], list[str]]]] = [[] for _ in self.query_ids]
        self._num_found = [0] * len(self.query_ids)
        self._least = np.full(len(self.query_ids), NOTHING)

    def add(self, doc_ids: Sequence[str], scores: Floats, *, first: int = 0) -> None:
        """Take a block of the corpus in; each document comes in one block only.

        Args:
            doc_ids: the columns.
            scores: ``(rows, documents)`` of the queries from ``first`` on, `NOTHING` where there is no candidate.
            first: index of the first row's query.

        Raises:
            ModelError: a score is NaN or infinite; by query and document.
        """
        bad = np.isnan(scores) | (scores == np.inf)
        if bad.any():
            row, place = np.argwhere(bad)[0]
            raise ModelError(
                f"query {self.query_ids[first + row]!r} with document {doc_ids[place]!r}:"
                f" the score is {scores[row, place]}"
            )
        # Later blocks have little that is better than what is there: most rows end here.
        better = (scores >= self._least[first : first + len(scores), None]) & (scores > NOTHING)
        for offset in np.flatnonzero(better.any(axis=1)):
            row, places = first + int(offset), np.flatnonzero(better[offset])
            found = scores[offset, places].astype(np.float64)
            kept = _survivors(found, self.depth, margin=self._margin)
            self._found[row].append((found[kept], [doc_ids[place] for place in places[kept]]))
            self._num_found[row] += len(kept)
            if self._num_found[row] > 4 * self.depth:
                self._prune(row)

    def run(self) -> dict[str, dict[str, float]]:
        """Every query, in order, with its documents, best first."""
        return {query_id: dict(self._first(row)) for row, query_id in enumerate(self.query_ids)}

    @property
    def _margin(self) -> float:
        # A score less than this below another may be rounded to the same number; none further below can.
        return float(10.0**-self.decimals)

    def _prune(self, row: int) -> None:
        best = self._first(row)
        scores = np.array([score for _, score in best])
        self._found[row] = [(scores, [doc_id for doc_id, _ in best])]
        self._num_found[row] = len(best)
        if len(best) == self.depth:
            self._least[row] = scores[-1] - self._margin

    def _first(self, row: int) -> list[tuple[str, float]]:
        blocks = self._found[row]
        scores = np.concatenate([block for block, _ in blocks]) if blocks else np.zeros(0)
        rounded = np.round(scores, self.decimals) + 0.0  # no minus zero
        doc_ids = [doc_id for _, ids in blocks for doc_id in ids]
        ranked = sorted(zip(rounded.tolist(), doc_ids, strict=True), reverse=True)
        return [(doc_id, score) for score, doc_id in ranked[: self.depth]]


def _survivors(scores: npt.NDArray[np.float64], depth: int, *, margin: float) -> npt.NDArray[np.intp]:
    """Places of all scores that may be among the first ``depth`` once they are rounded."""
    if len(scores) <= depth:
        return np.arange(len(scores))
    threshold = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return np.flatnonzero(scores >= threshold - margin)
