"""One call of a scorer, checked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gmr.core.errors import ModelError, NotFiniteError
from gmr.core.nouns import Pair, pair_name

if TYPE_CHECKING:  # the reranker loads torch, which a fake scorer does not need
    from gmr.reranker import Scorer


def checked_scores(scorer: "Scorer", pairs: Sequence[Pair], *, where: str = "") -> npt.NDArray[Any]:
    """What ``scorer`` says of the pairs, ``(pairs,)``, of whatever type it gives.

    Args:
        scorer: anything that scores pairs.
        pairs: of one call.
        where: what errors begin with, such as the name of a task.

    Raises:
        ModelError: there is not one score for each pair.
        NotFiniteError: a score is not finite, by query and document.
    """
    start = f"{where}: " if where else ""
    scores = np.asarray(scorer.score(pairs))
    if scores.shape != (len(pairs),):
        raise ModelError(f"{start}{len(pairs)} pairs were scored with an array of {scores.shape}")
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise NotFiniteError(f"{start}{pair_name(*pairs[bad[0]])}: the score is {scores[bad[0]]}")
    return scores
