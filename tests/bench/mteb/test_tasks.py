"""Our tasks as mteb's and back; where mteb's rules differ from ours, and that they do not for what we hand over."""

import dataclasses
import logging
from pathlib import Path

import pytest

from gmr.bench.mteb import as_mteb_task, from_mteb_task, mteb_model
from gmr.bench.mteb.measures import from_mteb, main_measure, to_mteb
from gmr.bench.mteb.tasks import task_digest
from gmr.core.errors import DataError
from gmr.core.items import Text, modality
from gmr.core.nouns import TASK_TYPES, Document, Query
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run, evaluate_task
from gmr.metrics.measures import MEASURES
from gmr.suites import load
from tests.bench.mteb.tasks import HashScorer, make_task, run_mteb
from tests.bench.mteb.test_model import KINDS, handmade, texts


def assert_same(back: RerankTask, task: RerankTask) -> None:
    """Equal but for the scores of the first stage, of which mteb keeps the order."""
    for field in ("name", "task_type", "queries", "corpus", "qrels", "measure", "metadata"):
        assert getattr(back, field) == getattr(task, field), field
    assert list(back.first_stage) == list(task.queries)
    for query_id in task.queries:
        assert back.candidates(query_id) == task.candidates(query_id)


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_there_and_back_is_the_same_task(task_type: str) -> None:
    query_kind, document_kind = KINDS[task_type]
    task = make_task(task_type, query_kind=query_kind, document_kind=document_kind)
    assert_same(from_mteb_task(as_mteb_task(task)), task)


def test_instructions_of_each_query_metadata_and_odd_texts_come_back() -> None:
    task = make_task("it2t", query_kind="tti", instructions=("one", None, "two"))
    odd = Query("odd", (Text("  two spaces "), Text("")), None)
    queries = {**task.queries, "odd": odd, "unjudged": Query("unjudged", (Text("x"),))}
    corpus = {
        **task.corpus,
        "blank": Document("blank", (Text(""),)),
        "spaces": Document("spaces", (Text(" a\n"),)),
    }
    task = dataclasses.replace(
        task,
        queries=queries,
        corpus=corpus,
        qrels={**task.qrels, "odd": {"blank": 1}, "unjudged": {"blank": 0}},
        first_stage={**task.first_stage, "odd": {"blank": 1.0, "spaces": 0.5}, "unjudged": {}},
        metadata={"q1": {"operation": "remove", "note": "ü"}},
    )
    assert_same(from_mteb_task(as_mteb_task(task)), task)


def test_ties_of_the_first_stage_keep_their_canonical_order() -> None:
    task = make_task()
    tied = {query_id: dict.fromkeys(row, 0.0) for query_id, row in task.first_stage.items()}
    task = dataclasses.replace(task, first_stage=tied)
    back = from_mteb_task(as_mteb_task(task))
    for query_id in task.queries:
        assert [d.doc_id for d in back.candidates(query_id)] == sorted(tied[query_id], reverse=True)


def test_the_suite_glyphs_can_be_handed_to_mteb() -> None:
    for task in load("glyphs", limit=2):
        back = from_mteb_task(as_mteb_task(task))
        assert (back.task_type, back.qrels, back.metadata) == (task.task_type, task.qrels, task.metadata)
        for mine, theirs in ((back.queries, task.queries), (back.corpus, task.corpus)):
            assert {key: [type(part) for part in value.item] for key, value in mine.items()} == {
                key: [type(part) for part in value.item] for key, value in theirs.items()
            }


def test_other_models_of_mteb_read_plain_columns() -> None:
    data = as_mteb_task(make_task("t2it", document_kind="ti")).dataset["default"]["test"]
    assert data["queries"].column_names == ["id", "text"]
    assert data["corpus"].column_names == ["id", "text", "image"]
    assert data["corpus"][0]["image"].size == (8, 6)
    assert data["corpus"][0]["text"] == "text 0 0"


def test_a_changed_task_has_another_revision() -> None:
    task = make_task()
    first = next(iter(task.queries))
    changes = {
        "queries": {**task.queries, first: dataclasses.replace(task.queries[first], instruction="other")},
        "corpus": {**task.corpus, "d00": Document("d00", (Text("other"),))},
        "qrels": {**task.qrels, first: {"d00": 1}},
        "first_stage": {**task.first_stage, first: {"d00": 1.0}},
        "measure": "rr@10",
        "name": "other",
    }
    digests = {task_digest(dataclasses.replace(task, **{name: value})) for name, value in changes.items()}
    assert len(digests | {task_digest(task)}) == len(changes) + 1
    assert task_digest(make_task()) == task_digest(task)


@pytest.mark.parametrize(
    "measure", ["ndcg@10", "ndcg@7", "ap@3", "rr@2", "recall@4", "p@2", "hit@1", "rr", "ap", "ndcg_exp@10"]
)
def test_every_measure_can_be_the_main_score(measure: str, tmp_path: Path) -> None:
    task = make_task(measure=measure)
    scores = run_mteb(mteb_model(HashScorer()), as_mteb_task(task), tmp_path)
    ours = evaluate_task(HashScorer(), task).mean()
    assert scores[measure] == pytest.approx(ours, abs=1e-9)
    # mteb rounds all but MRR to five digits
    assert scores["main_score"] == pytest.approx(ours, abs=6e-6)
    if measure.startswith("rr@"):
        assert scores["main_score"] == pytest.approx(ours, abs=1e-9)


def test_names_of_measures_go_both_ways() -> None:
    for name in MEASURES:
        theirs = to_mteb(f"{name}@5")
        assert (name == "ndcg_exp") == (theirs is None)
        assert theirs is None or from_mteb(theirs) == f"{name}@5"
    assert to_mteb("ap") is None
    assert from_mteb("nauc_ndcg_at_10_max") is None
    assert main_measure("accuracy", where="x") == "recall@1"
    with pytest.raises(DataError, match="x: the main score 'p-MRR' is none of gmr's measures"):
        main_measure("p-MRR", where="x")


def test_ties_are_broken_by_mteb_as_by_us(tmp_path: Path) -> None:
    task = make_task(measure="rr@10", num_candidates=10)
    scorer = HashScorer(levels=3)
    scores = run_mteb(mteb_model(scorer), as_mteb_task(task), tmp_path)
    ours = evaluate_task(
        HashScorer(levels=3), task, measures=["rr@10", "ndcg@10", "ap@10", "recall@5", "hit@1"]
    )
    assert ours.coverage.num_tied_pairs > 20
    assert ours.coverage.tie_spread > 0.1
    for measure in ours.per_query:
        digits = 1e-9 if measure.startswith("rr") else 6e-6
        assert scores[to_mteb(measure)] == pytest.approx(ours.mean(measure), abs=digits)


def test_scores_that_differ_only_beyond_float32_are_ties_for_mteb_but_not_for_us() -> None:
    import mteb._evaluators.retrieval_metrics as theirs

    run = {"q": {"a": 1.0 + 1e-12, "b": 1.0}}
    qrels = {"q": {"a": 1}}
    all_scores = theirs.calculate_retrieval_scores(run, qrels, [10])
    assert all_scores.ndcg["NDCG@10"] == 0.63093  # as float32 they are equal, and b comes first
    assert all_scores.mrr["MRR@10"] == 1.0  # which mteb itself computes in float64
    task = RerankTask(
        "t", "t2t", {"q": Query("q", (Text("q"),))}, {d: Document(d, (Text(d),)) for d in "ab"}, qrels, run
    )
    assert evaluate_run(run, task).mean() == 1.0
    # the scores of our models are float32: there the two agree


def test_queries_without_a_relevant_document_do_not_count_in_mteb_either(tmp_path: Path) -> None:
    task = make_task()
    qrels = dict(task.qrels) | {"q0": {"d00": 0}}
    del qrels["q1"]
    task = dataclasses.replace(task, qrels=qrels)
    local = as_mteb_task(task)
    for _ in range(2):  # mteb cuts its data down in place: a second run must find it whole
        scores = run_mteb(mteb_model(HashScorer()), local, tmp_path)
        assert scores["ndcg_at_10"] == round(evaluate_task(HashScorer(), task).mean(), 5)
    assert_same(from_mteb_task(local), task)


def test_a_query_without_candidates_counts_zero_in_mteb_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = make_task()
    task = dataclasses.replace(task, first_stage={q: r for q, r in task.first_stage.items() if q != "q2"})
    with caplog.at_level(logging.CRITICAL, logger="mteb"):
        scores = run_mteb(mteb_model(HashScorer()), as_mteb_task(task), tmp_path)
    ours = evaluate_task(HashScorer(), task)
    assert ours.coverage.missing_queries == ("q2",)
    assert scores["ndcg@10"] == pytest.approx(ours.mean(), abs=1e-9)
    assert scores["ndcg_at_10"] == round(ours.mean(), 5)


def test_a_task_written_for_mteb_is_one_of_ours() -> None:
    corpus = [{"id": "a", "text": " x ", "title": ""}, {"id": "b", "text": "y", "title": "t"}]
    task = from_mteb_task(handmade("t2t", texts("q", 2), corpus, prompt={"query": "answer"}))
    assert (task.name, task.task_type, task.measure) == ("Handmade", "t2t", "ndcg@10")
    assert [query.instruction for query in task.queries.values()] == ["answer", "answer"]
    assert [document.item for document in task.corpus.values()] == [(Text("x"),), (Text("t y"),)]
    assert task.first_stage == {"q0": {"a": 2.0, "b": 1.0}, "q1": {"a": 2.0, "b": 1.0}}
    only = from_mteb_task(
        handmade("t2t", texts("q", 2), texts("d", 9)), first_stage={"q0": {"d7": 1.0}}, candidates_only=True
    )
    assert list(only.corpus) == ["d0", "d1", "d7"]


def test_a_conversation_is_joined_as_mteb_joins_it(tmp_path: Path) -> None:
    import datasets

    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes?"}]
    task = handmade("t2t", texts("q", 1), texts("d", 2))
    data = task.dataset["default"]["test"]
    data["queries"] = datasets.Dataset.from_list([{"id": "q0", "text": turns}])
    ours = from_mteb_task(task).queries["q0"].item
    scorer = HashScorer()
    run_mteb(mteb_model(scorer), task, tmp_path)
    assert ours == scorer.pairs[0][0].item == (Text("user: hello; assistant: yes?"),)


def test_documents_with_the_id_of_their_query_are_no_candidates_where_mteb_ignores_them() -> None:
    corpus = [{"id": "q0", "text": "the query itself"}, *texts("d", 2)]
    task = handmade("t2t", texts("q", 1), corpus)
    task.dataset["default"]["test"]["relevant_docs"] = {"q0": {"d0": 1}}
    assert list(from_mteb_task(task).first_stage["q0"]) == ["q0", "d0", "d1"]
    task.ignore_identical_ids = True
    assert list(from_mteb_task(task).first_stage["q0"]) == ["d0", "d1"]


def test_several_subsets_and_splits_must_be_named() -> None:
    task = handmade("t2t", texts("q", 1), texts("d", 2))
    data = task.dataset["default"]["test"]
    task.dataset = {"de": {"test": data, "dev": data}, "en": {"test": data}}
    assert from_mteb_task(task, subset="en").name == "Handmade-en"
    for words, message in (
        ({}, "Handmade has more than one subset; there are de, en"),
        ({"subset": "fr"}, "Handmade has no subset 'fr'; there are de, en"),
        ({"subset": "de"}, "Handmade has more than one split; there are test, dev"),
        ({"subset": "de", "split": "train"}, "no split 'train'; there are test, dev"),
    ):
        with pytest.raises(DataError, match=message):
            from_mteb_task(task, **words)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"top_ranked": None}, "there are no top-ranked documents; give first_stage"),
        ({"top_ranked": {"q0": ["d0", "d0"]}}, "query 'q0': a document is among the top-ranked ones twice"),
        ({"top_ranked": {"q0": ["d9"]}}, "documents of the first stage are not in the corpus: 'd9'"),
        ({"relevant_docs": {"q0": {"d0": 0.5}}}, "the grade of document 'd0' is 0.5, no whole number"),
        ({"relevant_docs": {"q9": {"d0": 1}}}, "queries of the qrels are not in the queries: 'q9'"),
    ],
)
def test_data_that_is_no_task_of_ours_is_named(damage: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_mteb_task(handmade("t2t", texts("q", 1), texts("d", 2), **damage))


def test_an_id_given_twice_is_named() -> None:
    with pytest.raises(DataError, match=r"Handmade \(default, test\), document 2: id 'd0' is given twice"):
        from_mteb_task(
            handmade("t2t", texts("q", 1), [*texts("d", 2), *texts("d", 1)], top_ranked={"q0": ["d0"]})
        )


def test_what_is_no_task_for_a_reranker_is_named(no_network: list[object]) -> None:
    import mteb

    with pytest.raises(
        DataError, match="AmazonCounterfactualClassification is no retrieval or reranking task"
    ):
        from_mteb_task("AmazonCounterfactualClassification")
    with pytest.raises(DataError, match="NoSuchTask"):
        from_mteb_task("NoSuchTask")
    task = handmade("t2t", texts("q", 1), texts("d", 2))
    task.skip_first_result = True
    with pytest.raises(DataError, match="without each query's best document"):
        from_mteb_task(task)
    with pytest.raises(DataError, match=r"no '/'.* or white space"):
        as_mteb_task(make_task(name="a/b"))
    assert isinstance(mteb.get_task("SciFact").metadata.name, str)


def test_a_task_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import mteb

    task = mteb.get_task("SciFact")
    monkeypatch.setattr(type(task), "load_data", lambda *_, **__: (_ for _ in ()).throw(OSError("no\nhub")))
    with pytest.raises(DataError, match=r"^SciFact: mteb cannot load it \(OSError: no hub\)$"):
        from_mteb_task(task)


def test_every_category_of_pictures_and_texts_that_mteb_has_becomes_a_type_of_ours() -> None:
    import mteb

    kinds = {
        task.metadata.category
        for task in mteb.get_tasks()
        if getattr(task, "_support_cross_encoder", False)
        and not set(task.metadata.category or "c") - set("it2")
    }
    assert len(kinds) >= 8
    for category in kinds:
        query_side, document_side = category.split("2")
        task = make_task("it2it", query_kind=query_side, document_kind=document_side)
        local = as_mteb_task(task)
        local.metadata = local.metadata.model_copy(update={"category": category})
        back = from_mteb_task(local)
        assert {modality(document.item) for document in back.corpus.values()} <= {"i", "t", "it"}
        assert back.corpus == task.corpus
