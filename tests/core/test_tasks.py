"""Tasks and training sets are consistent, or they do not exist."""

from dataclasses import replace

import pytest

from gmr.core.errors import DataError
from gmr.core.items import Text, as_item
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask, TrainingExample, TrainingSet
from tests.core.pictures import encode, noise


def documents(*doc_ids: str) -> dict[str, Document]:
    return {doc_id: Document(doc_id, (Text(doc_id),)) for doc_id in doc_ids}


def task(**changes) -> RerankTask:
    facts = {
        "name": "toy",
        "task_type": "t2t",
        "queries": {q: Query(q, (Text(q),)) for q in ("q1", "q2")},
        "corpus": documents("a", "b", "c"),
        "qrels": {"q1": {"a": 1}},
        "first_stage": {"q2": {"a": 0.5, "c": 0.5, "b": 2.0}, "q1": {"c": 1.0}},
    }
    return RerankTask(**(facts | changes))


def test_pairs_go_by_query_then_score_and_ties_by_document_id_descending():
    assert [(q.query_id, d.doc_id) for q, d in task().pairs()] == [
        ("q2", "b"),
        ("q2", "c"),
        ("q2", "a"),
        ("q1", "c"),
    ]


def test_a_query_without_candidates_has_none():
    assert task(first_stage={}).pairs() == []
    assert task(first_stage={}).candidates("q1") == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_type": "t2x"}, "unknown task type 't2x'"),
        ({"qrels": {"q9": {"a": 1}}}, "toy: 1 queries of the qrels are not in the queries: 'q9'"),
        (
            {"qrels": {"q1": {"z": 1, "y": 0}}},
            "toy: 2 documents of the qrels are not in the corpus: 'z', 'y'",
        ),
        ({"first_stage": {"q9": {}}}, "toy: 1 queries of the first stage are not in the queries: 'q9'"),
        (
            {"first_stage": {"q1": {"z": 1.0}}},
            "toy: 1 documents of the first stage are not in the corpus: 'z'",
        ),
        ({"metadata": {"q9": {}}}, "toy: 1 queries of the metadata are not in the queries: 'q9'"),
        (
            {"first_stage": {"q1": {"a": float("nan")}}},
            "toy: first-stage score nan of document 'a', query 'q1'",
        ),
        ({"corpus": {"x": documents("a")["a"]}}, "toy: keys are not the ids of their values: 'x'"),
        ({"queries": {"x": Query("q1", (Text("a"),))}}, "toy: keys are not the ids of their values: 'x'"),
    ],
)
def test_an_inconsistent_task_is_refused_by_name(changes, message):
    with pytest.raises(DataError, match=f"^{message}"):
        task(**changes)


def test_of_many_unknown_ids_five_are_named_and_all_are_counted():
    with pytest.raises(DataError, match=r"toy: 100 documents .*: 'x0', 'x1', 'x2', 'x3', 'x4' and 95 more$"):
        task(qrels={"q1": {f"x{i}": 1 for i in range(100)}})


def example(**changes) -> TrainingExample:
    facts = {
        "example_id": "e1",
        "query": Query("q1", (Text("find a"),)),
        "positives": tuple(documents("a").values()),
        "negatives": tuple(documents("b", "c").values()),
        "pool": "t",
    }
    return TrainingExample(**(facts | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": ()}, "example 'e1': no positive document"),
        ({"negatives": tuple(documents("a").values())}, "example 'e1': documents are given twice: 'a'"),
        ({"scores": (1.0,)}, "example 'e1': 1 scores for 3 documents"),
        ({"scores": (1.0, 2.0, float("inf"))}, "example 'e1': score inf is not finite"),
    ],
)
def test_an_inconsistent_example_is_refused_by_name(changes, message):
    with pytest.raises(DataError, match=f"^{message}"):
        example(**changes)


POOLS = {"t": tuple(documents("a", "b", "c", "d").values())}


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "the training set has no examples"),
        ([example(), example()], "example 'e1' is given twice"),
        ([example(pool="i")], "example 'e1': unknown pool 'i' \\('t'\\)"),
    ],
)
def test_an_inconsistent_training_set_is_refused(examples, message):
    with pytest.raises(DataError, match=f"^{message}"):
        TrainingSet(examples, POOLS)


def test_a_fingerprint_changes_with_everything_that_training_sees():
    def fingerprint(pools=None, **changes):
        return TrainingSet((example(**changes),), pools or POOLS).fingerprint()

    query = Query("q1", (Text("find a"),))
    picture = noise(4, 4)
    variants = [
        fingerprint(),
        fingerprint(example_id="e2"),
        fingerprint(query=replace(query, instruction="x")),
        fingerprint(query=replace(query, query_id="q2")),
        fingerprint(query=replace(query, item=as_item(["find a", picture]))),
        fingerprint(query=replace(query, item=as_item(["find a", encode(picture, "PNG")]))),
        fingerprint(negatives=tuple(documents("c", "b").values())),
        fingerprint(negatives=tuple(documents("b").values())),
        fingerprint(positives=tuple(documents("a", "b").values()), negatives=tuple(documents("c").values())),
        fingerprint(positives=(Document("a", (Text("other"),)),)),
        fingerprint(scores=(1.0, 0.5, 0.25)),
        fingerprint(scores=(1.0, 0.5, 0.25 + 2**-54)),
        fingerprint(pool="u", pools={"u": POOLS["t"]}),
        fingerprint(pools={"t": POOLS["t"][:3]}),
        fingerprint(pools={"t": POOLS["t"][::-1]}),
        fingerprint(pools=POOLS | {"v": ()}),
    ]
    assert len(set(variants)) == len(variants)
    assert variants[0] == fingerprint()
    assert len(variants[0]) == 64


def test_a_fingerprint_does_not_depend_on_the_order_of_pools():
    pools = {"t": POOLS["t"], "i": POOLS["t"][:1]}
    backwards = dict(reversed(pools.items()))
    assert (
        TrainingSet((example(),), pools).fingerprint() == TrainingSet((example(),), backwards).fingerprint()
    )


def test_order_of_examples_is_part_of_the_fingerprint():
    one, two = example(), example(example_id="e2")
    assert TrainingSet((one, two), POOLS).fingerprint() != TrainingSet((two, one), POOLS).fingerprint()
