"""Small suites and systems for tests of the runner: scores by hash, calls counted, faults planted."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.evaluation.cost import Cost

FACTS = {"weights": "w", "dtype": "float32"}


def png(seed: int, size: int = 12) -> bytes:
    """The bytes of a picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_task(
    name: str = "words",
    *,
    num_queries: int = 40,
    depth: int = 20,
    num_documents: int = 50,
    pictures: Mapping[int, bytes] | None = None,
) -> RerankTask:
    """Queries over one corpus, each with candidates and one relevant document; documents of ``pictures`` show one."""
    generator = np.random.default_rng(len(name))
    pictures = pictures or {}
    corpus = {
        f"d{number:03d}": Document(
            f"d{number:03d}",
            (Text(f"{name} document {number}"), *([Image(pictures[number])] if number in pictures else [])),
        )
        for number in range(num_documents)
    }
    queries = {
        f"q{number:03d}": Query(f"q{number:03d}", (Text(f"{name} query {number}"),), "find it")
        for number in range(num_queries)
    }
    first_stage, qrels = {}, {}
    for query_id in queries:
        chosen = generator.choice(sorted(corpus), size=depth, replace=False)
        first_stage[query_id] = {str(doc_id): float(depth - place) for place, doc_id in enumerate(chosen)}
        qrels[query_id] = {str(generator.choice(chosen)): 1}
    return RerankTask(name, "t2it" if pictures else "t2t", queries, corpus, qrels, first_stage)


def hash_score(query: Query, document: Document) -> float:
    """A number that the ids alone decide."""
    data = hashlib.sha256(f"{query.query_id} {document.doc_id}".encode()).digest()
    return float(np.float32(int.from_bytes(data[:4], "big") / 2**28 - 8))


@dataclass
class HashSystem:
    """Scores by `hash_score`; ``calls`` has the pairs of every call.

    Attributes:
        before: runs before each call, with its pairs.
        change: is applied to each score.
    """

    name: str = "hash"
    facts: Mapping[str, str] = field(default_factory=lambda: dict(FACTS))
    tolerance: float = 1e-5
    calls: list[list[tuple[str, str]]] = field(default_factory=list)
    before: Callable[[Sequence[tuple[Query, Document]]], None] = lambda _: None
    change: Callable[[float], float] = lambda score: score

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> tuple[np.ndarray, Cost]:
        self.before(pairs)
        self.calls.append([(query.query_id, document.doc_id) for query, document in pairs])
        scores = [self.change(hash_score(*pair)) for pair in pairs]
        return np.array(scores, dtype=np.float32), Cost(num_pairs=len(pairs), seconds=1.0)

    @property
    def num_scored(self) -> int:
        return sum(map(len, self.calls))
