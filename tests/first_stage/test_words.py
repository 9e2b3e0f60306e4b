"""Words of many scripts; the same as the usual pattern where that one is right."""

import re
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import UsageError
from gmr.first_stage.words import LANGUAGES, Words, find_stemmer, find_stop_words

split = Words()


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_text_has_the_words_of_the_usual_pattern(text):
    assert split(text) == re.findall(r"(?u)\b\w\w+\b", text.lower())


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_words_without_spaces_and_twice_the_same(text):
    words = split(text)
    assert all(word and not re.search(r"\s", word) for word in words)
    assert words == split(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Die Straße, DIE STRASSE!", ["die", "strasse", "die", "strasse"]),
        ("a I x 5 it", ["it"]),  # one character is no word
        ("हिन्दी की किताब", ["हिन्दी", "की", "किताब"]),  # vowel signs belong to the word
        ("мой dom-2000", ["мой", "dom", "2000"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("東京タワーへ", ["東京", "京タ", "タワ", "ワー", "ーへ"]),
        ("我", ["我"]),
        ("第3章 iPhone手机", ["第", "章", "iphone", "手机"]),
        ("東京。大阪", ["東京", "大阪"]),  # nothing across a stop
        ("น้ำ", ["น\u0e49\u0e4d\u0e32"]),  # a character with its marks counts as one: น้ + า after NFKC
        ("ｆｕｌｌ ｗｉｄｔｈ", ["full", "width"]),
        ("", []),
        ("!? — …", []),
    ],
)
def test_words_of_scripts_with_and_without_spaces(text, words):
    assert split(text) == words


def test_stop_words_are_those_of_the_language():
    assert Words(stop_words=find_stop_words("en"))("The cat and THE dog") == ["cat", "dog"]
    assert Words(stop_words=find_stop_words("de"))("der Hund und die Katze") == ["hund", "katze"]
    assert find_stop_words(None) == ()
    assert all(find_stop_words(language) for language in LANGUAGES)


@pytest.mark.parametrize("language", ["xx", "", "../en", "klingon"])
def test_an_unknown_language_of_stop_words_is_refused_with_those_there_are(language):
    with pytest.raises(UsageError, match="there are lists for en, de"):
        find_stop_words(language)


def test_stemming_is_the_last_step_and_its_library_is_optional(monkeypatch):
    class Stemmer:
        def __init__(self, language):
            if language != "english":
                raise KeyError(language)

        def stemWords(self, words):
            return [word.removesuffix("s") for word in words]

    library = types.SimpleNamespace(Stemmer=Stemmer, algorithms=lambda: ["english"])
    monkeypatch.setitem(sys.modules, "Stemmer", library)
    assert Words(stop_words=("its",), stem=find_stemmer("english"))("its cats") == ["cat"]
    with pytest.raises(UsageError, match="no stemmer for 'latin'; there are english"):
        find_stemmer("latin")
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(UsageError, match="pip install PyStemmer"):
        find_stemmer("english")
    assert find_stemmer(None) is None
