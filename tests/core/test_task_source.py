"""Tables of a task from streams: judgments first, only what is named is kept, nothing is lost without a count."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.items import as_item
from gmr.core.nouns import Document, Query
from gmr.core.task_source import TaskSource, assemble, joined, judgments_of, sampled
from gmr.core.tasks import RerankTask
from tests.helpers.toy_sets import toy_task


def source_of(task: RerankTask, *, asked: list[str] | None = None, extra_queries: int = 0) -> TaskSource:
    """A task as a source, that notes the documents that it is asked for."""

    def queries(wanted):
        for i in range(extra_queries):
            yield "q", f"extra{i}", None
        for query in task.queries.values():
            yield "q", query.query_id, query if wanted is None or query.query_id in wanted else None

    def documents(wanted):
        for document in task.corpus.values():
            is_wanted = wanted is None or document.doc_id in wanted
            if is_wanted and asked is not None:
                asked.append(document.doc_id)
            yield "d", document.doc_id, document if is_wanted else None

    return TaskSource("toy", lambda: task.qrels, queries, documents, lambda: task.first_stage)


def test_without_candidates_the_whole_corpus_is_kept():
    task = toy_task(ranked=False)
    tables = assemble(source_of(task))
    assert tables.corpus == task.corpus
    assert tables.queries == task.queries
    assert tables.qrels == task.qrels


def test_with_candidates_only_judged_documents_and_candidates_are_read():
    task = toy_task(num_documents=30)
    asked: list[str] = []
    tables = assemble(source_of(task, asked=asked))
    named = {doc_id for table in (task.qrels, task.first_stage) for row in table.values() for doc_id in row}
    assert set(asked) == set(tables.corpus) == named
    assert tables.num_documents == 30


def test_a_sample_needs_only_its_own_documents():
    task = toy_task(num_queries=20, num_documents=200)
    tables = assemble(source_of(task), limit=3)
    assert len(tables.queries) == 3
    assert set(tables.queries) == sampled(task.queries, 3)
    assert len(tables.corpus) <= 3 * 5
    assert tables.num_queries == 20
    assert tables.num_relevant == 20


@given(st.sets(st.text(min_size=1), max_size=30), st.integers(1, 40), st.integers(1, 40))
def test_a_sample_does_not_depend_on_order_and_a_larger_one_contains_it(ids, small, large):
    small, large = sorted((small, large))
    taken = sampled(sorted(ids), small)
    assert taken == sampled(sorted(ids, reverse=True), small)
    assert len(taken) == min(small, len(ids))
    assert taken <= sampled(sorted(ids), large)


def test_unjudged_queries_are_counted_and_left_out():
    tables = assemble(source_of(toy_task(), extra_queries=3))
    assert tables.num_unjudged == 3
    assert tables.num_queries == 4


def test_judged_documents_that_the_corpus_lacks_are_counted_and_left_out():
    task = toy_task()
    source = replace(
        source_of(task), qrels=lambda: {**task.qrels, "q0": {"d0": 1, "gone": 2}, "q1": {"lost": 1}}
    )
    tables = assemble(source)
    assert tables.absent == ("gone", "lost")
    assert tables.qrels["q0"] == {"d0": 1}
    assert tables.unanswerable == ("q1",)
    assert "q1" not in tables.queries
    assert "q1" not in tables.first_stage
    assert tables.num_queries == 4
    assert tables.num_relevant == 5


def test_queries_without_candidates_are_named():
    task = toy_task()
    source = replace(source_of(task), candidates=lambda: {"q0": task.first_stage["q0"]})
    assert assemble(source).no_candidates == ("q1", "q2", "q3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qrels": lambda: {"q9": {"d0": 1}}}, "1 judged queries are not in the queries: 'q9'"),
        (
            {"candidates": lambda: {"q9": {"d0": 1.0}}},
            "1 queries of the first stage are not in the queries: 'q9'",
        ),
        ({"candidates": lambda: {"q0": {"d99": 1.0}}}, "1 candidates are not in the corpus: 'd99'"),
        (
            {"queries": lambda _: [("f:1", "q0", Query("q0", as_item("a")))] * 2},
            "f:1: query id 'q0' is given twice",
        ),
        (
            {"documents": lambda _: [("f:7", "d0", Document("d0", as_item("a")))] * 2},
            "f:7: document id 'd0' is given twice",
        ),
        ({"qrels": dict}, "none of 4 queries is judged"),
    ],
)
def test_what_does_not_fit_together_is_named(change, message):
    source = replace(source_of(toy_task()), **change)
    with pytest.raises(DataError, match=message):
        assemble(source)


def test_sets_joined_are_their_parts_with_prefixed_ids():
    parts = {"a": toy_task(), "b": toy_task(num_queries=2)}
    whole = joined({name: source_of(task) for name, task in parts.items()}, where="both")
    tables = assemble(whole)
    assert list(tables.queries) == [
        f"{name}/{query_id}" for name, task in parts.items() for query_id in task.queries
    ]
    for name, task in parts.items():
        for query_id in task.queries:
            assert tables.queries[f"{name}/{query_id}"].item == task.queries[query_id].item
            assert tables.first_stage[f"{name}/{query_id}"] == {
                f"{name}/{doc_id}": score for doc_id, score in task.first_stage[query_id].items()
            }
            assert tables.metadata[f"{name}/{query_id}"] == {"part": name}
    assert tables.num_documents == sum(len(task.corpus) for task in parts.values())
    assert len(assemble(whole, limit=3).queries) == 3


def test_a_judgment_said_twice_is_one_and_a_contradiction_an_error():
    assert judgments_of([("f:1", "q", "d", 1), ("f:2", "q", "d", 1.0)]) == {"q": {"d": 1}}
    with pytest.raises(DataError, match="f:2: document 'd' is judged 2 and 1 for query 'q'"):
        judgments_of([("f:1", "q", "d", 1), ("f:2", "q", "d", 2)])


@pytest.mark.parametrize("relevance", [0.5, "1", None, True])
def test_relevance_is_an_integer(relevance):
    with pytest.raises(DataError, match=r"f:1: relevance .* is not an integer"):
        judgments_of([("f:1", "q", "d", relevance)])
