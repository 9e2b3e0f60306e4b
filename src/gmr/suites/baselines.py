"""What stands beside every number: chance, the first stage as it is, and the cosine of raw pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmr.core.items import Image, Item, images_of
from gmr.core.nouns import Pair, Run
from gmr.core.tasks import RerankTask

CHANCE, FIRST_STAGE, PIXEL_COSINE = "chance", "first stage", "pixel cosine"
BASELINES: dict[str, str] = {
    CHANCE: "The exact expectation of a random order of the candidates.",
    FIRST_STAGE: "The candidates in the order they came.",
    PIXEL_COSINE: "Cosine of the raw pixels; chance where a side has no picture.",
}
"""What they are called in tables, and what each is."""
THUMBNAIL_PX = 32


def chance_run(task: RerankTask) -> Run:
    """Every candidate with the same score: under expected values of ties this is the random order, exactly."""
    return {query_id: dict.fromkeys(scores, 0.0) for query_id, scores in task.first_stage.items()}


def first_stage_run(task: RerankTask) -> Run:
    """The candidates in the order they came."""
    return {query_id: dict(scores) for query_id, scores in task.first_stage.items()}


class PixelCosine:
    """Scores a pair by the highest cosine between ink of a query picture and ink of a document picture.

    Sides without a picture give 0.0 for every document: the baseline says nothing there.
    """

    def __init__(self) -> None:
        self._ink: dict[str, NDArray[np.float64]] = {}

    def score(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """Cosines ``(pairs,)`` between 0 and 1."""
        return np.array(
            [self._cosine(query.item, document.item) for query, document in pairs], dtype=np.float32
        )

    def _cosine(self, query: Item, document: Item) -> float:
        left, right = images_of(query), images_of(document)
        return max((float(self._vector(a) @ self._vector(b)) for a in left for b in right), default=0.0)

    def _vector(self, image: Image) -> NDArray[np.float64]:
        if image.key not in self._ink:
            small = image.open().convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX))
            dark = 1.0 - np.asarray(small, dtype=np.float64).ravel() / 255.0
            self._ink[image.key] = dark / max(float(np.linalg.norm(dark)), 1e-9)
        return self._ink[image.key]
