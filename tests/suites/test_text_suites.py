"""Facts about ``vaswani`` and ``xquad``: on made-up folders everywhere, on the real ones where they are."""

import gzip
import logging

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.items import text_of
from gmr.evaluation import evaluate_run
from gmr.suites.baselines import first_stage_run
from gmr.suites.vaswani import RUN_SHA256
from gmr.suites.xquad import LANGUAGES, NUM_QUERIES, PAIRS
from tests.conftest import shared_data
from tests.suites import tiny


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.write_vaswani(root)
    return tiny.write_xquad(root)


def test_a_run_of_other_content_is_warned_of_with_both_digests(made_up, caplog):
    with caplog.at_level(logging.WARNING, logger="gmr.suites.reading"):
        (task,) = suites.load("vaswani", data_root=made_up)
    assert task.first_stage == {"1": {"1": 2.0, "2": 1.0}}
    assert f"expected {RUN_SHA256}" in caplog.text
    assert "not comparable" in caplog.text


def test_questions_in_every_language_ask_for_the_same_paragraphs(made_up):
    pytest.importorskip("bm25s")
    tasks = suites.load("xquad", data_root=made_up, names=["xquad-de", "xquad-en-zh", "xquad-hi-th"])
    assert len({tuple(task.queries) for task in tasks}) == 1
    assert len({str(task.qrels) for task in tasks}) == 1
    own = tasks[0]
    assert all(own.candidates(query_id)[0].doc_id in own.qrels[query_id] for query_id in own.queries)
    assert own.metadata["q003"] == {"language": "de", "document_language": "de", "answer": "37"}


@pytest.mark.parametrize(
    ("file", "find", "put", "message"),
    [
        (
            "queries.de.jsonl.gz",
            '"_id": "q001"',
            '"_id": "q000"',
            r"queries\.de\.jsonl\.gz:2: a question without an id",
        ),
        (
            "queries.de.jsonl.gz",
            '"answer": "37"',
            '"answer": 37',
            r"queries\.de\.jsonl\.gz:3: answer must be",
        ),
        (
            "corpus.de.jsonl.gz",
            '"_id": "p001"',
            '"id_": "p001"',
            r"corpus\.de\.jsonl\.gz:2: a paragraph without an id",
        ),
        (
            "corpus.de.jsonl.gz",
            '"_id": "p001"',
            '"_id": "x001"',
            r"document 'p001' is not in corpus\.de\.jsonl\.gz",
        ),
        (
            "queries.de.jsonl.gz",
            '"_id": "q002"',
            '"_id": "x002"',
            r"query 'q002' is not in queries\.de\.jsonl\.gz",
        ),
    ],
)
def test_damaged_data_is_named_by_file_and_line(tmp_path, file, find, put, message):
    root = tiny.write_xquad(tmp_path)
    path = root / "xquad" / file
    text = gzip.decompress(path.read_bytes()).decode()
    assert find in text
    path.write_bytes(gzip.compress(text.replace(find, put, 1).encode()))
    with pytest.raises(DataError, match=message):
        suites.load("xquad", data_root=root, names=["xquad-de"])


def test_the_collection_and_its_run_are_those_of_the_readme():
    root = shared_data("vaswani").parent
    (task,) = suites.load("vaswani", data_root=root)
    assert (len(task.corpus), len(task.queries)) == (11_429, 93)
    assert sum(map(len, task.qrels.values())) == 2083
    result = evaluate_run(first_stage_run(task), task, measures=["ndcg@10", "recall@100", "ap@100"])
    means = [round(result.mean(measure), 4) for measure in result.per_query]
    assert means == [0.3824, 0.4904, 0.2035]
    assert {query.instruction for query in task.queries.values()} != {None}


def test_paragraphs_and_questions_are_those_of_the_readme(caplog):
    root = shared_data("xquad").parent
    with caplog.at_level(logging.WARNING, logger="gmr.suites"):
        tasks = suites.load("xquad", data_root=root)
    assert not caplog.text
    assert len(tasks) == len(PAIRS) == 12 + 22 + 6
    for task in tasks:
        assert len(task.corpus) == 240
        assert len(task.queries) == NUM_QUERIES
        assert {len(judged) for judged in task.qrels.values()} == {1}
        assert {len(scores) for scores in task.first_stage.values()} in ({30}, {40})
    by_name = {task.name: task for task in tasks}
    question = next(iter(by_name["xquad-de"].queries.values()))
    assert text_of(question.item) != text_of(by_name["xquad-en"].queries[question.query_id].item)


def test_positives_are_not_added_across_languages():
    root = shared_data("xquad").parent
    (task,) = suites.load("xquad", data_root=root, names=["xquad-zh-en"])
    found = sum(bool(set(task.qrels[name]) & set(task.first_stage[name])) for name in task.queries)
    assert 10 < found < 60


def test_candidates_found_anew_are_the_frozen_ones():
    pytest.importorskip("bm25s")
    from gmr.suites import xquad

    root = shared_data("xquad").parent
    for plan in xquad.plans(root, ["xquad-en", "xquad-th", "xquad-ru-el"]):
        (task,) = suites.load("xquad", data_root=root, names=[plan.name])
        assert xquad.retriever().run(plan.search) == task.first_stage


def test_every_language_is_asked_in_and_answered_in():
    assert {source for source, _ in PAIRS} == {target for _, target in PAIRS} == set(LANGUAGES)
