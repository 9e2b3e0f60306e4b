"""BM25 over words, the first stage of the plain text that is trained on.

The suites' first stages match runs of characters as well (`gmr.suites.lexical`), so that misspelt names are found.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from gmr.core.nouns import Run

_K1, _B = 0.9, 0.4


def words_of(text: str) -> list[str]:
    """Words in lower case; of a script without spaces (Thai, Han, kana) every two neighbouring characters."""
    words: list[str] = []
    run: list[str] = []
    for character in f"{text.lower()} ":
        # A combining mark is no letter to Python, but part of its word in Thai and Hindi.
        if character.isalnum() or (run and not character.isspace() and _is_mark(character)):
            run.append(character)
        elif run:
            word, run = "".join(run), []
            unspaced = any("\u0e00" <= each <= "\u0e7f" or "\u3040" <= each <= "\u9fff" for each in word)
            words += ["".join(two) for two in pairwise(word)] if unspaced and len(word) > 1 else [word]
    return words


def bm25_run(queries: Mapping[str, str], documents: Mapping[str, str], *, depth: int) -> Run:
    """The best ``depth`` documents of every query by BM25 (k1 0.9, b 0.4); those that share no word are left out."""
    counts = {doc_id: Counter(words_of(text)) for doc_id, text in documents.items()}
    lengths = {doc_id: sum(row.values()) for doc_id, row in counts.items()}
    mean = sum(lengths.values()) / max(len(lengths), 1) or 1.0
    postings: dict[str, list[tuple[str, float]]] = {}
    for doc_id, row in counts.items():
        norm = _K1 * (1 - _B + _B * lengths[doc_id] / mean)
        for word, count in row.items():
            postings.setdefault(word, []).append((doc_id, count * (_K1 + 1) / (count + norm)))
    run: dict[str, dict[str, float]] = {}
    for query_id, text in queries.items():
        scores: dict[str, float] = {}
        for word in words_of(text):
            found = postings.get(word, [])
            idf = math.log(1 + (len(counts) - len(found) + 0.5) / (len(found) + 0.5))
            for doc_id, value in found:
                scores[doc_id] = scores.get(doc_id, 0.0) + idf * value
        best = sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))[:depth]
        run[query_id] = {doc_id: scores[doc_id] for doc_id in best}
    return run


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
