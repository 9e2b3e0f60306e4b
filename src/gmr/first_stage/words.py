r"""Text to words for BM25, also in scripts that put no spaces between words.

A word is a run of letters, marks, digits and underscores after NFKC and case folding; as in the usual tokenisers of
this field one of a single character is dropped. Marks belong to words: vowel signs of Hindi are marks, and a pattern
of ``\w`` alone cuts its words to pieces. Where a run is written in Han, Hiragana, Katakana, Thai, Lao, Khmer,
Burmese or Tibetan, it becomes overlapping pairs of characters, a character with its marks counting as one, since no
space says where a word ends; a run of one character is itself.
"""

import re
import sys
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import pairwise

from gmr.core.errors import UsageError

# Scripts without spaces between words, by ranges of code points (Unicode blocks).
_DENSE = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana, iteration marks
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
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
    run, cluster, is_dense = _patterns()
    words: list[str] = []
    for piece in run.findall(text):
        if not is_dense.match(piece):
            if len(piece) > 1:
                words.append(piece)
            continue
        clusters = cluster.findall(piece)
        words += [first + second for first, second in pairwise(clusters)] or [piece]
    return words


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A run in dense scripts or in others; a character with its marks; whether a run is in a dense script."""
    marks = re.escape(
        "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M")
    )
    dense, word = f"[{_DENSE}]", f"[\\w{marks}]"
    run = re.compile(f"(?:(?={word}){dense})+|(?:(?!{dense}){word})+")
    return run, re.compile(f".[{marks}]*"), re.compile(dense)
