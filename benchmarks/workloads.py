"""Queries with candidates of every kind: lengths vary by half around their mean, pictures are random pixels."""

from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from benchmarks.models import TOKEN_SIDE
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query

INSTRUCTION = "Find the item that answers the query."
# Names of variants that profit from earlier calls.
KNOWN, KEPT = "packed, pictures known", "packed, documents kept"
PAGE = (32, 40)


@dataclass(frozen=True)
class Workload:
    """Queries and their candidates; all queries have the same ones.

    Attributes:
        name: such as ``T->I``.
        num_documents: candidates of each query.
        query: kinds of the query's parts, of ``t`` and ``i``.
        document: kinds of a document's parts.
        words: mean number of words of a document's text.
        num_queries: how many queries.
        picture: width and height of every picture, in tokens.
        template: name of the prompt template.
        bars: by variant how many times faster than the peer it has to be.
    """

    name: str
    num_documents: int
    query: str
    document: str
    words: int = 0
    num_queries: int = 1
    picture: tuple[int, int] = (16, 16)
    template: str = "gmr"
    bars: dict[str, float] = field(default_factory=dict)

    @property
    def is_large(self) -> bool:
        """Whether one turn takes so long that only what is asked for is timed."""
        return self.picture == PAGE

    @property
    def shows_pictures(self) -> bool:
        """Whether there is something to preprocess."""
        return "i" in self.query + self.document

    def pairs(self) -> list[tuple[Query, Document]]:
        """The pairs, the same in every process."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        queries = [
            Query(f"q{number}", self._item(self.query, 12, rng), INSTRUCTION)
            for number in range(self.num_queries)
        ]
        documents = [
            Document(f"d{number}", self._item(self.document, self.words, rng))
            for number in range(self.num_documents)
        ]
        return [(query, document) for query in queries for document in documents]

    def _item(self, kinds: str, words: int, rng: np.random.Generator) -> Item:
        """Parts of those kinds."""
        parts: list[Text | Image] = []
        for kind in kinds:
            if kind == "i":
                width, height = self.picture
                shape = (height * TOKEN_SIDE, width * TOKEN_SIDE, 3)
                pixels = rng.integers(0, 255, shape, dtype=np.uint8)
                parts.append(Image(PIL.Image.fromarray(pixels)))
            else:
                number = max(1, round(words * rng.uniform(0.5, 1.5)))
                # Words that are one token each, of the little tokenizer's training text.
                chosen = rng.choice(["query", "document", "image", "red", "queen"], number)
                parts.append(Text(" ".join(chosen)))
        return tuple(parts)


def as_new(pairs: list[tuple[Query, Document]]) -> list[tuple[Query, Document]]:
    """The same pairs, of whose pictures nothing has been read or hashed yet."""
    known: dict[int, Item] = {}

    def item(parts: Item) -> Item:
        return known.setdefault(
            id(parts), tuple(Image(part.source) if isinstance(part, Image) else part for part in parts)
        )

    return [
        (
            Query(query.query_id, item(query.item), query.instruction),
            Document(document.doc_id, item(document.item)),
        )
        for query, document in pairs
    ]


INFERENCE = (
    Workload("T->T", 24, "t", "t", 150, bars={"packed": 2.2}),
    Workload("T->I", 6, "t", "i", bars={KNOWN: 2.8}),
    Workload("I->T", 16, "i", "t", 40, bars={"packed": 9.0}),
    Workload("IT->IT", 5, "it", "it", 100, bars={"packed": 1.7}),
    Workload(
        "pages",
        2,
        "t",
        "i",
        num_queries=2,
        picture=PAGE,
        template="monoqwen2-vl",
        bars={KNOWN: 2.8, KEPT: 60.0},
    ),
)
TRAINING = (
    Workload("T->T 1+7", 8, "t", "t", 150),
    Workload("T->T 1+15", 16, "t", "t", 150),
    Workload("I->T 1+7", 8, "i", "t", 40),
    Workload("I->T 1+15", 16, "i", "t", 40),
)
