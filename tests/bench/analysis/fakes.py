"""Tasks of any modality, and scorers whose bias is known because they are nothing else."""

import hashlib

import numpy as np
import PIL.Image

from gmr.core.items import Image, Text, images_of, text_of
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask


def picture(*words, size=(16, 12)):
    """A picture of one colour that no other words give."""
    colour = tuple(hashlib.sha256("/".join(map(str, words)).encode()).digest()[:3])
    return Image(PIL.Image.new("RGB", size, colour))


def make_item(form, *words):
    """Text, a picture, both, or text between two pictures, for ``t``, ``i``, ``it``, ``iti``."""
    count = iter(range(9))
    parts = {"t": lambda: Text(" ".join(map(str, words))), "i": lambda: picture(*words, next(count))}
    return tuple(parts[kind]() for kind in form)


def make_task(
    name="task", task_type="t2t", *, query="t", document="t", num_queries=12, num_candidates=8, relevant=(1,)
):
    """Query ``qN`` has candidates ``qN.d0`` ..., the first stage in that order.

    ``document`` is a form, or a function of the place that gives one.
    """
    form_of = document if callable(document) else lambda _: document
    queries = {
        f"q{i}": Query(f"q{i}", make_item(query, name, "query", i), "find it") for i in range(num_queries)
    }
    candidates = {q: [f"{q}.d{j}" for j in range(num_candidates)] for q in queries}
    corpus = {
        d: Document(d, make_item(form_of(j), name, "document", d))
        for ids in candidates.values()
        for j, d in enumerate(ids)
    }
    return RerankTask(
        name=name,
        task_type=task_type,
        queries=queries,
        corpus=corpus,
        qrels={q: {f"{q}.d{j}": 1 for j in relevant} for q in queries},
        first_stage={q: {d: -float(j) for j, d in enumerate(ids)} for q, ids in candidates.items()},
    )


def noise(*words):
    """A number between -1 and 1 that hangs on the words alone."""
    return int(hashlib.sha256("/".join(words).encode()).hexdigest()[:8], 16) / 2**31 - 1


class Biased:
    """A score by ids alone, plus terms of the document's content that are known."""

    def __init__(self, *, relevance=0.0, spread=1.0, **terms):
        self.relevance, self.spread, self.terms = relevance, spread, terms
        self.num_calls = self.num_pairs = 0

    def score(self, pairs):
        self.num_calls, self.num_pairs = self.num_calls + 1, self.num_pairs + len(pairs)
        return np.array([self.one(*pair) for pair in pairs], dtype=np.float32)

    def one(self, query, document):
        base = self.spread * noise(query.query_id, document.doc_id)
        base += self.relevance * (document.doc_id == f"{query.query_id}.d1")
        return base + sum(
            weight * FEATURES[name](query.item, document.item) for name, weight in self.terms.items()
        )


def words(item):
    return text_of(item).split()


FEATURES = {
    "per_word": lambda query, item: len(words(item)),
    "picture": lambda query, item: float(bool(images_of(item))),
    "text": lambda query, item: float(bool(words(item))),
    "says_yes": lambda query, item: float("yes" in words(item)),
    "picture_first": lambda query, item: float(isinstance(item[0], Image)),
    "query_picture_first": lambda query, item: float(isinstance(query[0], Image)),
    "first_picture_red": lambda query, item: float(images_of(item)[0].open().getpixel((0, 0))[0]),
    "log_pixels": lambda query, item: sum(float(np.log2(np.prod(image.size))) for image in images_of(item)),
    "says_query": lambda query, item: text_of(item).count(text_of(query)) if words(query) else 0,
    "last_word_of_page": lambda query, item: float(text_of(item).endswith("this line.")),
    "height": lambda query, item: sum(float(image.size[1]) for image in images_of(item)),
}
