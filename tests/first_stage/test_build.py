"""A first stage is what was found in the whole corpus: nothing is added, the query itself goes only on request."""

import inspect
import re

import numpy as np
import pytest

from gmr.core.errors import DataError, UsageError
from gmr.core.frozen_runs import data_facts
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.first_stage.bm25 import BM25
from gmr.first_stage.build import build, measure_first_stage
from gmr.first_stage.own import own_documents
from gmr.first_stage.pixels import PictureCosine
from gmr.metrics.measures import evaluate
from tests.first_stage.items import noise, queries, text_query, texts


def test_building_is_never_shown_a_judgment():
    assert list(inspect.signature(build).parameters) == [
        "queries",
        "corpus",
        "retriever",
        "depth",
        "exclude_self",
    ]
    for retriever in (BM25(), PictureCosine("pixels")):
        assert list(inspect.signature(retriever.search).parameters) == ["queries", "corpus", "depth"]


def test_a_relevant_document_that_cannot_be_reached_is_no_candidate_and_costs_recall():
    asked, corpus = queries("alpha", "beta"), texts("alpha", "beta beta", "another language")
    found = build(asked, corpus, BM25(), depth=10)
    qrels = {"q0": {"d2": 1}, "q1": {"d1": 1}}
    assert found.run.keys() == {"q0", "q1"}
    assert "d2" not in found.run["q0"]
    assert measure_first_stage(found, qrels)["recall@10"] == 0.5


def test_the_whole_corpus_is_searched_and_not_what_the_task_had():
    corpus = texts(*(f"alpha {i}" for i in range(300)))
    assert len(build(queries("alpha"), corpus, BM25(), depth=250).run["q0"]) == 250


def test_queries_without_and_with_few_candidates_are_counted():
    found = build(queries("alpha", "beta", "omega"), texts("alpha", "alpha beta"), BM25(), depth=2)
    assert found.counts == {
        "queries": 3,
        "documents": 2,
        "candidates": 3,
        "queries_without_candidates": 1,
        "queries_with_fewer_than_depth": 2,
    }
    assert list(found.run) == ["q0", "q1"]


def test_recall_grows_with_depth_and_measures_are_those_of_the_run():
    generator = np.random.default_rng(0)
    words = [f"word{i}" for i in range(30)]
    corpus = texts(*(" ".join(generator.choice(words, 8)) for _ in range(200)))
    asked = queries(*(" ".join(generator.choice(words, 3)) for _ in range(20)))
    qrels = {q: {f"d{d}": 1 for d in generator.choice(200, 5, replace=False)} for q in asked}
    found = build(asked, corpus, BM25(), depth=70)
    measured = measure_first_stage(found, qrels, measures=["ndcg@10", "ap"])
    curve = {
        int(name.partition("@")[2]): value for name, value in measured.items() if name.startswith("recall")
    }
    assert list(curve) == [1, 2, 5, 10, 20, 50, 70]
    assert list(curve.values()) == sorted(curve.values())
    for name, value in measured.items():
        assert value == pytest.approx(np.mean(list(evaluate(found.run, qrels, [name])[name].values())))
    assert list(measured)[-2:] == ["ndcg@10", "ap"]


@pytest.mark.parametrize("depth", [0, -1, 1001])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(UsageError, match=f"depth is {depth}; it is between 1 and 1000"):
        build(queries("a"), texts("a"), BM25(), depth=depth)


def test_nothing_to_find_is_an_error():
    with pytest.raises(DataError, match="0 queries and 1 documents"):
        build({}, texts("a"), BM25())
    with pytest.raises(DataError, match="none of the 1 queries has a candidate"):
        build(queries("omega"), texts("alpha"), BM25())


def test_own_documents_by_id_and_by_content():
    picture, other = noise(0), noise(1)
    asked = {
        "x": Query("x", (picture, Text("but green"))),
        "y": text_query("y", "same words"),
        "z": Query("z", (picture, other)),
    }
    corpus = {
        "x": Document("x", (Text("shares its id only"),)),
        "reference": Document("reference", (picture,)),
        "captioned": Document("captioned", (picture, Text("a caption"))),
        "album": Document("album", (other, picture)),
        "copy": Document("copy", (Text("same words"),)),
    }
    assert own_documents(asked, corpus, rule="id") == {"x": {"x"}}
    assert own_documents(asked, corpus, rule="content") == {
        "x": {"reference"},
        "y": {"copy"},
        "z": {"reference", "album"},
    }
    assert own_documents(asked, corpus, rule="both")["x"] == {"x", "reference"}
    with pytest.raises(UsageError, match="there are id, content, both"):
        own_documents(asked, corpus, rule="all")


def test_the_query_itself_is_left_out_on_request_and_the_depth_is_still_reached():
    corpus = texts("alpha beta", "alpha beta", "alpha gamma", "alpha delta")
    asked = {"d0": text_query("d0", "alpha beta")}
    kept = build(asked, corpus, BM25(), depth=2)
    assert list(kept.run["d0"]) == ["d1", "d0"]
    assert "own_documents_left_out" not in kept.counts
    by_id = build(asked, corpus, BM25(), depth=2, exclude_self="id")
    assert list(by_id.run["d0"]) == ["d1", "d3"]
    assert by_id.counts["own_documents_left_out"] == 1
    by_content = build(asked, corpus, BM25(), depth=2, exclude_self="content")
    assert list(by_content.run["d0"]) == ["d3", "d2"]
    assert by_content.counts["own_documents_left_out"] == 2
    assert by_content.own == {"d0": {"d0", "d1"}}
    assert by_content.retriever["exclude_self"] == "content"


def test_the_digests_change_with_content_and_not_with_order():
    asked, corpus = queries("a", "b"), texts("x", "y")
    facts = data_facts(asked, corpus)
    assert data_facts(dict(reversed(asked.items())), dict(reversed(corpus.items()))) == facts
    instructed = asked | {"q0": text_query("q0", "a", "Find it.")}
    assert data_facts(instructed, corpus)["queries_sha256"] != facts["queries_sha256"]
    for other in (texts("x", "z"), texts("x"), texts("x", "y", prefix="e")):
        assert data_facts(asked, other)["corpus_sha256"] != facts["corpus_sha256"]
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in facts.values())
