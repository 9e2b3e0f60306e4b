"""Queries with candidates of every kind: lengths vary by half around their mean, pictures are random pixels."""

from dataclasses import dataclass

import numpy as np
import PIL.Image

from benchmarks.models import PICTURE_SIDE
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query

INSTRUCTION = "Find the item that answers the query."


@dataclass(frozen=True)
class Workload:
    """One query and its candidates.

    Attributes:
        name: such as ``T->I``.
        num_documents: candidates.
        query: kinds of the query's parts, of ``t`` and ``i``.
        document: kinds of a document's parts.
        words: mean number of words of a document's text.
        side: pixels of a picture's side; None for pictures of 256 tokens.
    """

    name: str
    num_documents: int
    query: str
    document: str
    words: int = 0
    side: int | None = None

    def pairs(self) -> list[tuple[Query, Document]]:
        """The pairs, the same in every process."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        query = Query("q", item(self.query, 12, rng, self.side), INSTRUCTION)
        documents = [
            Document(f"d{number}", item(self.document, self.words, rng, self.side))
            for number in range(self.num_documents)
        ]
        return [(query, document) for document in documents]


def item(kinds: str, words: int, rng: np.random.Generator, side: int | None = None) -> Item:
    """Parts of those kinds."""
    side = side or PICTURE_SIDE
    parts: list[Text | Image] = []
    for kind in kinds:
        if kind == "i":
            pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            parts.append(Image(PIL.Image.fromarray(pixels)))
        else:
            number = max(1, round(words * rng.uniform(0.5, 1.5)))
            # Words of the little tokenizer's training text: about one token each.
            parts.append(Text(" ".join(rng.choice(["query", "document", "image", "apple", "table"], number))))
    return tuple(parts)


INFERENCE = (
    Workload("T->T", 24, "t", "t", 150),
    Workload("T->I", 6, "t", "i"),
    Workload("I->T", 16, "i", "t", 40),
    Workload("IT->IT", 5, "it", "it", 100),
)
TRAINING = (
    Workload("T->T 1+7", 8, "t", "t", 150),
    Workload("T->T 1+15", 16, "t", "t", 150),
    Workload("I->T 1+7", 8, "i", "t", 40),
    Workload("I->T 1+15", 16, "i", "t", 40),
)
