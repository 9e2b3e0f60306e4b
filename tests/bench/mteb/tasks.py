"""Small tasks of text and pictures, and scorers that need no model."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from gmr.core.items import Image, Item, Text, item_key
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask


def picture(seed: int, size: tuple[int, int] = (8, 6)) -> Image:
    """A picture of noise as the bytes of a PNG file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return Image(buffer.getvalue())


def item(kind: str, seed: int) -> Item:
    """An item of parts as ``kind`` spells them: ``"t"``, ``"i"``, ``"tit"`` ..."""
    return tuple(
        Text(f"text {seed} {place}") if letter == "t" else picture(100 * seed + place)
        for place, letter in enumerate(kind)
    )


def make_task(
    task_type: str = "t2t",
    *,
    query_kind: str = "t",
    document_kind: str = "t",
    num_queries: int = 6,
    num_candidates: int = 5,
    measure: str = "ndcg@10",
    name: str = "tiny",
    instructions: Sequence[str | None] = ("find it",),
) -> RerankTask:
    """Queries with candidates from a corpus of 12: one of grade 2, one of 1; one more of grade 1 is no candidate."""
    generator = np.random.default_rng(5)
    corpus = {f"d{i:02d}": Document(f"d{i:02d}", item(document_kind, i)) for i in range(12)}
    queries, qrels, first_stage = {}, {}, {}
    for number in range(num_queries):
        query_id = f"q{number}"
        instruction = instructions[number % len(instructions)]
        queries[query_id] = Query(query_id, item(query_kind, 50 + number), instruction)
        listed = [f"d{i:02d}" for i in generator.permutation(12)]
        first_stage[query_id] = {doc_id: -float(i) for i, doc_id in enumerate(listed[:num_candidates])}
        qrels[query_id] = {listed[1]: 2, listed[3]: 1, listed[0]: 0, listed[-1]: 1}
    return RerankTask(name, task_type, queries, corpus, qrels, first_stage, measure)


class HashScorer:
    """A score that hangs on everything a model reads: instruction, texts, pictures, in order; on no id."""

    def __init__(self, *, levels: int = 1000) -> None:
        self.levels = levels
        self.pairs: list[tuple[Query, Document]] = []
        self.calls: list[int] = []

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> np.ndarray:
        self.calls.append(len(pairs))
        self.pairs += pairs
        return np.array([self._score(query, document) for query, document in pairs], dtype=np.float32)

    def _score(self, query: Query, document: Document) -> float:
        read = f"{query.instruction} {item_key(query.item)} {item_key(document.item)}"
        number = int(hashlib.sha256(read.encode()).hexdigest()[:12], 16)
        return number % self.levels / self.levels - 0.5


def run_mteb(model: object, task: object, folder: Path, **options: object) -> dict:
    """The scores that mteb gives a model on a task with one subset and split, run whole."""
    import mteb

    result = mteb.evaluate(
        model,
        [task],
        cache=None,
        prediction_folder=folder,
        show_progress_bar=False,
        **options,
    )
    ((scores,),) = result.task_results[0].scores.values()
    return scores
