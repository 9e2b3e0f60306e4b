"""Facts about words of any script, and BM25 against its formula."""

import math

import numpy as np
import pytest

from gmr.suites.lexical import K1, B, bm25, tokens

pytest.importorskip("bm25s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red box.", ["a", "red", "box"]),
        (
            "Katzengesicht",
            ["katzengesicht", "katz", "atze", "tzen", "zeng", "enge", "nges", "gesi", "esic", "sich", "icht"],
        ),
        ("ÉTÉ", ["été"]),
        ("彩虹旗", ["彩虹", "虹旗", "彩", "虹", "旗"]),
        ("ยิ้ม", ["ยิ", "ิ้", "้ม"]),
        ("हिन्दी", ["हिन्दी", "हिन्", "िन्द", "न्दी"]),
        ("웃음", ["웃음", "웃음"]),
        ("①2", ["12"]),
        ("— !?", []),
    ],
)
def test_tokens_are_words_with_runs_of_four_or_pairs_where_no_spaces_are_written(text, expected):
    assert tokens(text) == expected


def test_bm25_is_its_formula_to_a_thousandth():
    documents = ["red ball", "red red box", "blue bar on a box", "green"]
    queries = ["red box", "green", "none of it"]
    words = [tokens(document) for document in documents]
    mean = sum(map(len, words)) / len(words)
    scores = bm25(queries, documents)
    assert scores.shape == (3, 4)
    for row, query in enumerate(queries):
        for column, document in enumerate(words):
            expected = 0.0
            for token in dict.fromkeys(tokens(query)):
                holding = sum(token in other for other in words)
                count = document.count(token)
                if count:
                    idf = math.log(1 + (len(words) - holding + 0.5) / (holding + 0.5))
                    expected += idf * count / (count + K1 * (1 - B + B * len(document) / mean))
            assert scores[row, column] == pytest.approx(1000 * expected, abs=1)


def test_documents_without_words_and_queries_without_known_words_score_zero():
    assert not bm25(["a"], ["—", "!"]).any()
    assert np.array_equal(bm25(["unknown"], ["a b", "c"]), [[0, 0]])
