r"""Text to words for BM25, also in scripts that put no spaces between words.

A word is a run of letters, marks, digits and underscores after NFKC and case folding; as in the usual tokenisers of
this field one of a single character is dropped. Marks belong to words: vowel signs of Hindi are marks, and a pattern
of ``\w`` alone cuts its words to pieces. Where a run is written in Han, Hiragana, Katakana, Thai, Lao, Khmer,
Burmese or Tibetan, it becomes overlapping pairs of characters, a character with its marks counting as one, since no
space says where a word ends; a run of one character is itself.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import groupby, pairwise

from gmr.core.errors import UsageError

# Scripts without spaces between words, by the code points of their Unicode blocks.
_DENSE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark and zero of Han
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # small Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class Words:
    """Cuts texts into words.

    Args:
        stop_words: words that are left out, as they are after case folding.
        stem: from a list of words to their stems; None leaves words as they are.
    """

    def __init__(
        self,
        *,
        stop_words: Collection[str] = (),
        stem: Callable[[Sequence[str]], Sequence[str]] | None = None,
    ) -> None:
        self._stop_words = frozenset(stop_words)
        self._stem = stem

    def __call__(self, text: str) -> list[str]:
        """The words of ``text``, in order, repeated as often as they occur."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        words = _split(folded)
        if self._stop_words:
            words = [word for word in words if word not in self._stop_words]
        return words if self._stem is None else list(self._stem(words))


def find_stop_words(language: str | None) -> tuple[str, ...]:
    """The list of stop words that bm25s has for a language, a key of ``LANGUAGES``; none for None.

    Raises:
        UsageError: there is no list for it.
    """
    if language is None:
        return ()
    if language not in LANGUAGES:
        raise UsageError(
            f"no stop words for {language!r}; there are lists for {', '.join(LANGUAGES)}, or give none"
        )
    from bm25s import stopwords

    words: tuple[str, ...] = getattr(stopwords, f"STOPWORDS_{LANGUAGES[language]}")
    return tuple(word.casefold() for word in words)


def find_stemmer(language: str | None) -> Callable[[Sequence[str]], Sequence[str]] | None:
    """The Snowball stemmer of a language, such as ``english``; None for None.

    Raises:
        UsageError: PyStemmer is not installed, or has no stemmer for it.
    """
    if language is None:
        return None
    try:
        import Stemmer
    except ImportError:
        raise UsageError("stemming needs PyStemmer: pip install PyStemmer; or leave stemming out") from None
    try:
        stem: Callable[[Sequence[str]], Sequence[str]] = Stemmer.Stemmer(language).stemWords
    except KeyError:
        raise UsageError(
            f"no stemmer for {language!r}; there are {', '.join(sorted(Stemmer.algorithms()))}"
        ) from None
    return stem


# Languages of the lists of bm25s, by their ISO 639-1 codes.
LANGUAGES = {
    "en": "EN",
    "de": "GERMAN",
    "nl": "DUTCH",
    "fr": "FRENCH",
    "es": "SPANISH",
    "pt": "PORTUGUESE",
    "it": "ITALIAN",
    "ru": "RUSSIAN",
    "sv": "SWEDISH",
    "no": "NORWEGIAN",
    "zh": "CHINESE",
    "tr": "TURKISH",
    "ko": "KOREAN",
    "da": "DANISH",
}


def _split(text: str) -> list[str]:
    if text.isascii():
        return re.findall(r"\w\w+", text)
    characters = set(text)
    # Looked up for each character that occurs: one pattern of all letters and marks is ten times slower.
    runs = text.translate({ord(each): " " for each in characters if not _is_of_word(each)}).split()
    if not any(map(_is_dense, characters)):
        return [run for run in runs if len(run) > 1]
    words: list[str] = []
    for run in runs:
        for dense, pieces in groupby(run, _is_dense):
            piece = "".join(pieces)
            if dense:
                clusters = _clusters(piece)
                words += [first + second for first, second in pairwise(clusters)] or clusters
            elif len(piece) > 1:
                words.append(piece)
    return words


def _clusters(run: str) -> list[str]:
    """The characters of a run, each with the marks that follow it."""
    clusters: list[str] = []
    for character in run:
        if clusters and _is_mark(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@cache
def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_" or _is_mark(character)


@cache
def _is_dense(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _DENSE) and _is_of_word(character)
