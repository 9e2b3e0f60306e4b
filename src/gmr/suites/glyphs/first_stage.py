"""The first stage of ``glyphs``: a retriever that does not know the answer, by shared words, ink and examples.

Text meets text by the words they share, picture meets picture by the cosine of their ink. Text meets picture through
the training split: the training characters whose names are nearest to the text lend their pictures, and the other way
round. No parameter is learnt. It is run once and its scores are frozen, since pixels may differ between rasterisers.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gmr.core.items import Image, Item, Part, Text
from gmr.suites.glyphs.characters import Character
from gmr.suites.glyphs.faces import PAGE_PX, SIZE_PX, glyph_image
from gmr.suites.glyphs.wording import name_of

NUM_EXAMPLES = 8
COSINE_POWER = 4.0


def cells(picture: Image) -> NDArray[np.float64]:
    """Unit-length ink of a picture: one row, or four rows for the cells of a page."""
    return _cells(picture)


@lru_cache(maxsize=65_536)
def _cells(picture: Image) -> NDArray[np.float64]:
    grey = np.asarray(picture.open().convert("L"), dtype=np.float64)
    dark = 1.0 - grey / 255.0
    if dark.shape == (PAGE_PX, PAGE_PX):
        rows = [dark[y : y + SIZE_PX, x : x + SIZE_PX].ravel() for y in (0, SIZE_PX) for x in (0, SIZE_PX)]
    else:
        rows = [dark.ravel()]
    stacked = np.stack(rows)
    return np.asarray(stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-9))


class FirstStage:
    """Similarity of two items from words, ink, and the examples of the training split."""

    def __init__(self, table: Sequence[Character]) -> None:
        self.train = [row for row in table if row.split == "train"]
        frequency = Counter(word for row in self.train for word in set(row.name.split()))
        self.idf = {word: math.log(len(self.train) / count) for word, count in frequency.items()}
        self.unseen_idf = math.log(len(self.train))
        names = [name_of(row.code_point) for row in self.train]
        self.names = names
        self.word_vectors = [self._vector(name) for name in names]
        self.pictures = np.concatenate([_cells(glyph_image(row.code_point, "sans")) for row in self.train])

    def _vector(self, text: str) -> dict[str, float]:
        weights = {word: self.idf.get(word, self.unseen_idf) for word in text.split()}
        length = math.sqrt(sum(value * value for value in weights.values())) or 1.0
        return {word: value / length for word, value in weights.items()}

    def text_text(self, first: str, second: str) -> float:
        """Cosine of the two texts' inverse-document-frequency vectors."""
        left, right = self._vector(first), self._vector(second)
        return sum(value * right[word] for word, value in left.items() if word in right)

    def picture_picture(self, first: Image, second: Image) -> float:
        """Highest cosine of ink between the cells of the two pictures."""
        return float((_cells(first) @ _cells(second).T).max())

    @lru_cache(maxsize=65_536)  # noqa: B019  (the object lives as long as the run that builds the suite)
    def _examples_for_text(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        vector = self._vector(text)
        scores = np.array(
            [sum(v * row[w] for w, v in vector.items() if w in row) for row in self.word_vectors]
        )
        best = np.argsort(-scores, kind="stable")[:NUM_EXAMPLES]
        return best, scores[best]

    def text_picture(self, text: str, picture: Image) -> float:
        """Weighted ink cosine between the picture and the pictures of the training names nearest to the text."""
        best, weights = self._examples_for_text(text)
        cosines = (self.pictures[best] @ _cells(picture).T).max(axis=1) ** COSINE_POWER
        return float((weights * cosines).sum() / max(weights.sum(), 1e-9))

    def picture_text(self, picture: Image, text: str) -> float:
        """Weighted word overlap between the text and the names of the training pictures nearest to the picture."""
        cosines = (self.pictures @ _cells(picture).T).max(axis=1) ** COSINE_POWER
        best = np.argsort(-cosines, kind="stable")[:NUM_EXAMPLES]
        overlap = np.array([self.text_text(self.names[i], text) for i in best])
        return float((cosines[best] * overlap).sum() / max(cosines[best].sum(), 1e-9))

    def _part(self, query: Part, document: Part) -> float:
        if isinstance(query, Text):
            if isinstance(document, Text):
                return self.text_text(query.text, document.text)
            return self.text_picture(query.text, document)
        if isinstance(document, Text):
            return self.picture_text(query, document.text)
        return self.picture_picture(query, document)

    def score(self, query: Item, document: Item) -> float:
        """Mean over all pairs of a query part with a document part."""
        pairs = [self._part(left, right) for left in query for right in document]
        return sum(pairs) / len(pairs)
