"""Picture to picture without a model: thumbnails of ink, and histograms of colours.

Both are vectors of whole numbers, small enough that every product and sum of them is exact in float64. So a cosine is
one square root and one division of exact numbers, and is the same on every machine (as far as the pictures decode to
the same pixels, which PNG promises and JPEG nearly does).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gmr.core.errors import DataError
from gmr.core.items import Image, images_of
from gmr.core.nouns import Document, Query, owner_name
from gmr.first_stage.best import BestDocuments
from gmr.first_stage.progress import blocks
from gmr.first_stage.retriever import DECIMALS
from gmr.suites.baselines import THUMBNAIL_PX

Counts = npt.NDArray[np.float64]

COLOUR_PX = 64
COLOUR_LEVELS = 8  # of red, green and blue each
BLOCK_DOCUMENTS = 1024
BLOCK_QUERIES = 256


def ink(image: Image) -> npt.NDArray[np.uint8]:
    """Darkness ``(1024,)`` of the picture shrunk to 32 x 32, 0 for white to 255 for black."""
    small = image.open().convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX))
    return 255 - np.asarray(small, dtype=np.uint8).ravel()


def colours(image: Image) -> npt.NDArray[np.uint16]:
    """How many pixels ``(512,)`` of the picture shrunk to 64 x 64 have each of 8 x 8 x 8 colours."""
    small = np.asarray(image.open().resize((COLOUR_PX, COLOUR_PX)), dtype=np.int64)
    level = small // (256 // COLOUR_LEVELS)
    places = (level[..., 0] * COLOUR_LEVELS + level[..., 1]) * COLOUR_LEVELS + level[..., 2]
    return np.bincount(places.ravel(), minlength=COLOUR_LEVELS**3).astype(np.uint16)


FEATURES: dict[str, Callable[[Image], npt.NDArray[np.unsignedinteger]]] = {"pixels": ink, "colours": colours}


class PictureCosine:
    """The highest cosine between a picture of the query and a picture of the document, 0 to 1.

    Text is not read. A document without pictures is no candidate, and a query without them has none.

    Args:
        name: a key of ``FEATURES``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._feature = FEATURES[name]

    def facts(self) -> dict[str, Any]:
        """Name and options."""
        sizes = {
            "pixels": {"thumbnail_px": THUMBNAIL_PX},
            "colours": {"px": COLOUR_PX, "levels": COLOUR_LEVELS},
        }
        return {"name": self.name, **sizes[self.name], "decimals": DECIMALS}

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """Documents by their most similar picture.

        Raises:
            DataError: no query, or no document, has a picture, or one cannot be opened.
        """
        asked = [query for query in queries.values() if images_of(query.item)]
        documents = [document for document in corpus.values() if images_of(document.item)]
        for what, some, every in (("queries", asked, queries), ("documents", documents, corpus)):
            if not some:
                raise DataError(f"{self.name} compares pictures, and none of the {len(every)} {what} has one")
        reading = blocks(asked, BLOCK_QUERIES, f"{self.name} of queries", "query")
        rows = [self._matrix(block) for block in reading]
        best = BestDocuments([query.query_id for query in asked], depth=depth)
        for block in blocks(documents, BLOCK_DOCUMENTS, f"{self.name} of documents", "document"):
            columns = self._matrix(block)
            doc_ids = [document.doc_id for document in block]
            for place, left in enumerate(rows):
                best.add(doc_ids, _highest_cosines(left, columns), first=place * BLOCK_QUERIES)
        found = best.run()
        return {query_id: found.get(query_id, {}) for query_id in queries}

    def _matrix(self, owners: Sequence[Query | Document]) -> tuple[Counts, list[int]]:
        """One row for each picture of the owners, and where each owner's rows begin."""
        vectors: list[npt.NDArray[np.unsignedinteger]] = []
        starts: list[int] = []
        for owner in owners:
            starts.append(len(vectors))
            for image in images_of(owner.item):
                try:
                    vectors.append(self._feature(image))
                except DataError as error:
                    raise DataError(f"{owner_name(owner)}: {error}") from error
        return np.stack(vectors).astype(np.float64), starts


def _highest_cosines(left: tuple[Counts, list[int]], right: tuple[Counts, list[int]]) -> Counts:
    """Cosines ``(queries, documents)``, the highest over the pairs of their pictures; 0 beside an empty picture."""
    (rows, row_starts), (columns, column_starts) = left, right
    # Exact: at most 1024 products of at most 255 x 255, or 4096 squared, and a product of two such sums.
    norms = (rows**2).sum(axis=1)[:, None] * (columns**2).sum(axis=1)[None, :]
    cosines = np.divide(rows @ columns.T, np.sqrt(norms), out=np.zeros_like(norms), where=norms > 0)
    by_document = np.maximum.reduceat(cosines, column_starts, axis=1)
    highest: Counts = np.maximum.reduceat(by_document, row_starts, axis=0)
    return highest
