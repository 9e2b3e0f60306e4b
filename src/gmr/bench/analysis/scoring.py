"""Scores of pairs in blocks, checked; and a scorer that remembers, so that no pair is computed twice."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmr.core.files import digest
from gmr.core.items import item_key
from gmr.core.nouns import Document, Pair, Query
from gmr.evaluation.scoring import checked_scores

if TYPE_CHECKING:  # the reranker loads torch, which a fake scorer does not need
    from gmr.reranker import Scorer

# Changed pictures are made for one block and forgotten after it: enough to batch, few enough for memory.
PAIRS_PER_CALL = 256


def scores_of(scorer: "Scorer", pairs: Iterable[Pair]) -> NDArray[np.float64]:
    """The score of each pair, in order, ``(pairs,)``; pairs may be made while they are scored.

    Raises:
        ModelError: there is not one score for each pair, or one is not finite.
    """
    blocks = [np.zeros(0)]
    rest = iter(pairs)
    while block := list(islice(rest, PAIRS_PER_CALL)):
        blocks.append(checked_scores(scorer, block).astype(np.float64))
    return np.concatenate(blocks)


class Remembering:
    """A scorer that passes on only pairs whose ids or content it has not seen.

    Args:
        scorer: what scores.
        bar: progress bar, moved on by each pair asked for.
        forgets: pass on every pair, as where computing again is the point; pairs are counted all the same.
    """

    def __init__(self, scorer: "Scorer", *, bar: Any = None, forgets: bool = False) -> None:
        self.num_scored = 0
        self.bar = bar
        self._scorer, self._forgets = scorer, forgets
        self._known: dict[str, float] = {}

    def score(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """Log-odds of each pair, in the order given, ``(pairs,)`` float32."""
        if self.bar is not None:
            self.bar.update(len(pairs))
        if self._forgets:
            self.num_scored += len(pairs)
            return self._scorer.score(pairs)
        keys = [_key(*pair) for pair in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        if new:
            scores = scores_of(self._scorer, new.values())
            self.num_scored += len(new)
            self._known.update(zip(new, scores.tolist(), strict=True))
        return np.array([self._known[key] for key in keys], dtype=np.float32)


def _key(query: Query, document: Document) -> str:
    words = [query.query_id, item_key(query.item), document.doc_id, item_key(document.item)]
    # None, the template's own instruction, is not the empty one.
    instruction = [] if query.instruction is None else [query.instruction]
    return digest(*(word.encode() for word in [*words, *instruction]))
