"""Small text tasks and scorers that need no model."""

import numpy as np

from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask


def text_task(name="tiny", task_type="t2t", *, num_queries=4, num_candidates=5, measure="ndcg@10"):
    """Query ``qN`` has candidates ``qN.d0`` ..., the first stage in that order, ``qN.d1`` relevant."""
    queries = {f"q{i}": Query(f"q{i}", (Text(f"query {i}"),)) for i in range(num_queries)}
    candidates = {q: [f"{q}.d{j}" for j in range(num_candidates)] for q in queries}
    corpus = {d: Document(d, (Text(d),)) for ids in candidates.values() for d in ids}
    return RerankTask(
        name=name,
        task_type=task_type,
        queries=queries,
        corpus=corpus,
        qrels={q: {f"{q}.d1": 1} for q in queries},
        first_stage={q: {d: -float(j) for j, d in enumerate(ids)} for q, ids in candidates.items()},
        measure=measure,
    )


class TableScorer:
    """Looks up the score of a document id; remembers the size of each call."""

    def __init__(self, score_of):
        self.score_of = score_of
        self.calls = []

    def score(self, pairs):
        self.calls.append(len(pairs))
        return np.array([self.score_of(query, document) for query, document in pairs], dtype=np.float32)


def is_relevant(query, document):
    """The score of an oracle."""
    return float(document.doc_id == f"{query.query_id}.d1")
