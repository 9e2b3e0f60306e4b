"""The page on data formats shows files that are read as it says."""

import re

import pytest

from gmr.core.datasets import read_beir, read_documents, read_training_jsonl
from gmr.core.items import modality
from gmr.core.trec import read_run
from tests.conftest import REPOSITORY
from tests.core.pictures import encode, noise

BLOCK = re.compile(r"^```(?:jsonl|json|tsv|trec) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    page = (REPOSITORY / "docs" / "data-formats.md").read_text()
    for name, text in BLOCK.findall(page):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "images").mkdir()
    for number, name in enumerate(("queen", "king")):
        (tmp_path / "images" / f"{name}.png").write_bytes(encode(noise(4, 4, seed=number), "PNG"))
    return tmp_path


def test_the_files_of_the_task_are_a_task(folder):
    task = read_beir(folder)
    assert (task.name, task.task_type, task.metadata) == ("pieces", "it2it", {"q1": {"kind": "object"}})
    assert [modality(document.item) for document in task.corpus.values()] == ["t", "i", "it"]
    assert task.first_stage == read_run(folder / "first_stage.trec")
    (folder / "first_stage.trec").unlink()
    assert {q: list(row) for q, row in read_beir(folder).first_stage.items()} == {
        "q1": ["d1", "d2"],
        "q2": ["d3", "d2"],
    }


def test_the_training_file_is_a_training_set(folder):
    training_set = read_training_jsonl(folder / "train.jsonl")
    assert {name: len(pool) for name, pool in training_set.pools.items()} == {"default/i": 2, "it2t/t": 3}
    assert training_set.examples[1].scores == (3.1, 0.2, -1.0)


def test_the_document_file_is_two_documents(folder):
    assert [document.doc_id for document in read_documents(folder / "documents.jsonl")] == ["a", "b"]
