"""BM25 is the formula, computed naively, and the published run of the Vaswani collection."""

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.datasets import read_beir
from gmr.core.errors import DataError, UsageError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.first_stage.bm25 import BM25
from gmr.metrics.measures import evaluate
from tests.conftest import shared_data
from tests.first_stage.items import noise, queries, texts

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
text = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)


def naive(query, documents, *, k1, b):
    """Scores of every document, one word of one document after the other, in float64."""
    split = {doc_id: document.item[0].text.split() for doc_id, document in documents.items()}
    mean_length = sum(map(len, split.values())) / len(split)
    scores = {}
    for doc_id, words in split.items():
        score = 0.0
        for word in query.split():
            df = sum(word in other for other in split.values())
            tf = words.count(word)
            idf = math.log(1 + (len(split) - df + 0.5) / (df + 0.5))
            if tf:
                score += idf * tf / (tf + k1 * (1 - b + b * len(words) / mean_length))
        scores[doc_id] = score
    return scores


@settings(max_examples=40, deadline=None)
@given(
    documents=st.lists(text, min_size=1, max_size=7),
    query=text,
    k1=st.sampled_from([0.0, 0.9, 1.5, 3.0]),
    b=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_scores_are_those_of_the_formula(documents, query, k1, b):
    corpus = texts(*documents, "alpha")  # one document with a word, so that there is something to find
    found = BM25(k1=k1, b=b).search(queries(query, "alpha"), corpus, depth=20)
    expected = {doc_id: score for doc_id, score in naive(query, corpus, k1=k1, b=b).items() if score > 0}
    assert found["q0"].keys() == expected.keys()
    for doc_id, score in found["q0"].items():
        assert score == pytest.approx(expected[doc_id], abs=5.1e-7)  # rounded to six digits


def test_the_published_run_of_vaswani_is_found_again():
    task = read_beir(shared_data("vaswani"))
    published = task.first_stage
    found = BM25(k1=0.9, b=0.4, stop_words="en").search(task.queries, task.corpus, depth=100)
    values = {
        name: np.mean(list(each.values()))
        for name, each in evaluate(found, task.qrels, ["ndcg@10", "recall@100", "ap@100"]).items()
    }
    assert {name: f"{value:.4f}" for name, value in values.items()} == {
        "ndcg@10": "0.3824",
        "recall@100": "0.4904",
        "ap@100": "0.2035",
    }
    for query_id, scores in published.items():
        common = scores.keys() & found[query_id].keys()
        # It was computed in float32, and cut among equal scores in another way.
        assert all(abs(scores[doc_id] - found[query_id][doc_id]) < 3e-6 for doc_id in common)
        cut = min(scores.values())
        for doc_id in scores.keys() ^ found[query_id].keys():
            assert scores.get(doc_id, found[query_id].get(doc_id)) == pytest.approx(cut, abs=3e-6)


def test_a_document_without_a_shared_word_is_no_candidate():
    found = BM25().search(queries("alpha", "omega"), texts("alpha beta", "gamma", ""), depth=10)
    assert list(found["q0"]) == ["d0"]
    assert found["q1"] == {}


def test_equal_documents_are_ordered_by_id_descending():
    found = BM25().search(queries("alpha"), texts(*["alpha beta"] * 12), depth=3)
    assert list(found["q0"]) == ["d9", "d8", "d7"]


def test_text_beside_pictures_is_read_and_pictures_are_not():
    corpus = {
        "a": Document("a", (noise(0), Text("alpha"), noise(1), Text("beta"))),
        "b": Document("b", (noise(2),)),
    }
    found = BM25().search({"q": Query("q", (noise(3), Text("beta")))}, corpus, depth=10)
    assert list(found["q"]) == ["a"]


def test_a_side_without_any_word_is_an_error():
    pictures = {"a": Document("a", (noise(0),))}
    with pytest.raises(DataError, match="none of the 1 documents has any"):
        BM25().search(queries("alpha"), pictures, depth=1)
    with pytest.raises(DataError, match="none of the 1 queries has any"):
        BM25().search({"q": Query("q", (noise(0),))}, texts("alpha"), depth=1)


@pytest.mark.parametrize("options", [{"k1": -1}, {"k1": math.inf}, {"k1": math.nan}, {"b": 1.1}, {"b": -0.1}])
def test_values_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match="k1 is"):
        BM25(**options)


def test_without_its_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="gmr-rerank\\[bench\\]"):
        BM25()


def test_chinese_and_thai_paragraphs_are_found_by_their_questions():
    folder = shared_data("xquad")
    for language in ("zh", "th", "en"):
        asked, corpus = _xquad(folder, language)
        found = BM25().search(asked, corpus, depth=10)
        qrels = _qrels(folder, asked)
        value = np.mean(list(evaluate(found, qrels, ["ndcg@10"])["ndcg@10"].values()))
        assert value > 0.8, language


def _xquad(folder, language):
    from gmr.core.files import read_jsonl

    asked = list(read_jsonl(folder / f"queries.{language}.jsonl.gz"))[:200]
    documents = list(read_jsonl(folder / f"corpus.{language}.jsonl.gz"))
    return (
        {row["_id"]: Query(row["_id"], (Text(row["text"]),)) for _, row in asked},
        {row["_id"]: Document(row["_id"], (Text(row["text"]),)) for _, row in documents},
    )


def _qrels(folder, asked):
    from gmr.core.trec import read_qrels

    return {
        query_id: row
        for query_id, row in read_qrels(folder / "qrels" / "test.tsv").items()
        if query_id in asked
    }
