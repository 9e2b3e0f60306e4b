"""Words of any script, and BM25 over them: how the first stages of the suites match text with text."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gmr.core.errors import DataError

K1, B = 0.9, 0.4
RUN = 4
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
_PAIRED = "HANGUL"


def tokens(text: str) -> list[str]:
    """What a text is matched by: its words in lower case (accents kept) with their runs of four characters.

    Where no spaces are written, pairs of characters; where words are short blocks (Hangul), both.
    """
    found: list[str] = []
    word = ""
    for character in unicodedata.normalize("NFKC", text).casefold() + " ":
        if _belongs(character):
            word += character
        elif word:
            found += _pieces(word)
            word = ""
    return found


def bm25(queries: Sequence[str], documents: Sequence[str]) -> NDArray[np.int64]:
    """BM25 of every query with every document in thousandths, ``(queries, documents)``; k1 0.9, b 0.4.

    Raises:
        DataError: bm25s is not installed.
    """
    try:
        from bm25s import BM25
    except ImportError:
        raise DataError("finding candidates by BM25 needs bm25s: pip install 'gmr-rerank[bench]'") from None
    scores = np.zeros((len(queries), len(documents)), dtype=np.int64)
    words = [tokens(document) for document in documents]
    if not any(words):
        return scores
    index = BM25(k1=K1, b=B)
    index.index(words, show_progress=False)
    for row, query in enumerate(queries):
        known = [token for token in dict.fromkeys(tokens(query)) if token in index.vocab_dict]
        if known:
            # rounded, so that the last bits of float32 decide no order
            scores[row] = np.rint(index.get_scores(known).astype(np.float64) * 1000)
    return scores


@lru_cache(maxsize=4096)
def _belongs(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


@lru_cache(maxsize=16_384)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _pieces(word: str) -> list[str]:
    scripts = {_script(character) for character in word}
    pairs = [word[place : place + 2] for place in range(len(word) - 1)]
    if scripts.intersection(_UNSPACED):
        return pairs + ([] if "THAI" in scripts else list(word)) or [word]
    if _PAIRED in scripts:
        return [word, *pairs]
    # Runs of four characters match compounds and inflected forms where no stemmer is at hand.
    return [word, *(word[place : place + RUN] for place in range(len(word) - RUN + 1) if len(word) > RUN)]
