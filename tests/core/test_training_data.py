"""Training examples of a file: ids, pools, teacher scores, and errors by line."""

import json

import pytest

from gmr.core.datasets import read_training_jsonl
from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from tests.core.pictures import encode, noise

PNG = encode(noise(5, 4), "PNG")


def write(folder, *records):
    (folder / "a.png").write_bytes(PNG)
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_record_is_a_query_with_its_documents(tmp_path):
    path = write(
        tmp_path,
        {
            "example_id": "e",
            "query": {"query_id": "q", "text": "this in red", "image": "a.png"},
            "instruction": "find it",
            "positives": [{"doc_id": "p", "image": "a.png"}],
            "negatives": ["a text", {"id": "n", "text": "another"}],
            "scores": [2, 0.5, -1],
        },
    )
    (example,) = read_training_jsonl(path).examples
    assert example.example_id == "e"
    assert (example.query.query_id, example.query.instruction) == ("q", "find it")
    assert example.query.item == (Text("this in red"), Image(PNG))
    assert [document.item for document in example.positives] == [(Image(PNG),)]
    assert [document.item for document in example.negatives] == [(Text("a text"),), (Text("another"),)]
    assert [document.doc_id for document in (*example.positives, example.negatives[1])] == ["p", "n"]
    assert example.scores == (2.0, 0.5, -1.0)


def test_what_is_not_given_has_a_name_of_its_own(tmp_path):
    path = write(
        tmp_path, {"query": "a", "positives": ["x"]}, {"query": "a", "positives": ["x"], "negatives": ["y"]}
    )
    one, two = read_training_jsonl(path).examples
    assert (one.example_id, two.example_id) == ("train.jsonl:1", "train.jsonl:2")
    assert one.positives == two.positives  # the same content is the same document
    assert one.positives[0].doc_id != two.negatives[0].doc_id
    assert (one.negatives, one.scores, one.query.instruction) == ((), None, None)


def test_a_pool_is_all_documents_of_a_task_and_modality(tmp_path):
    path = write(
        tmp_path,
        {"query": "1", "positives": ["x"], "negatives": ["y", {"image": "a.png"}]},
        {"query": "2", "positives": ["z"], "negatives": ["x"]},
        {"query": "3", "positives": [{"image": "a.png"}], "negatives": []},
        {"query": "4", "positives": ["x"], "negatives": ["w"], "task": "t2t"},
        {"query": "5", "positives": [{"text": "x", "image": "a.png"}]},
    )
    training_set = read_training_jsonl(path)
    pools = {
        name: ["".join(getattr(part, "text", "#") for part in document.item) for document in pool]
        for name, pool in training_set.pools.items()
    }
    assert pools == {
        "default/t": ["x", "y", "z"],
        "default/i": ["#"],
        "t2t/t": ["x", "w"],
        "default/it": ["x#"],
    }
    assert [e.pool for e in training_set.examples] == [
        "default/t",
        "default/t",
        "default/i",
        "t2t/t",
        "default/it",
    ]


def test_a_document_may_recur_under_its_id_with_the_same_content_only(tmp_path):
    same = [{"doc_id": "d", "image": "a.png"}, {"image": {"path": "a.png"}, "id": "d"}]
    path = write(tmp_path, *({"query": "q", "positives": [document]} for document in same))
    training_set = read_training_jsonl(path)
    assert training_set.examples[0].positives == training_set.examples[1].positives
    path = write(tmp_path, *({"query": "q", "positives": [{"id": "d", "text": text}]} for text in "ab"))
    with pytest.raises(DataError) as refusal:
        read_training_jsonl(path)
    assert str(refusal.value) == (
        f"{path}:2: positives[0]: document 'd' has other content than at {path}:1: positives[0]"
    )


GOOD = {"query": "q", "positives": ["x"], "negatives": ["y"]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            GOOD | {"positive": ["x"]},
            ":2: unknown key 'positive' (known: example_id, query, instruction, positives, ",
        ),
        ({"query": "q"}, ":2: key 'positives' is missing"),
        ({"positives": ["x"]}, ":2: key 'query' is missing"),
        (GOOD | {"positives": []}, ":2: example 'train.jsonl:2': no positive document"),
        (GOOD | {"positives": "x"}, ":2: positives must be a list of documents, this is 'x'"),
        (GOOD | {"negatives": ["x"]}, ":2: example 'train.jsonl:2': documents are given twice: 'sha256-"),
        (GOOD | {"negatives": ["y", ""]}, ":2: negatives[1]: '' is empty; give text, a picture or both"),
        (
            GOOD | {"negatives": [{"txt": "y"}]},
            ":2: negatives[0]: unknown key 'txt' (known: text, image, content)",
        ),
        (GOOD | {"negatives": [{"image": "b.png"}]}, ":2: negatives[0].image: no such image file: "),
        (
            GOOD | {"negatives": [{"image": "/b.png"}]},
            ":2: negatives[0].image: '/b.png' is absolute; give it",
        ),
        (GOOD | {"query": []}, ":2: query: [] is empty"),
        (
            GOOD | {"scores": [1]},
            ":2: example 'train.jsonl:2': 1 scores for 2 documents (positives, then negatives)",
        ),
        (GOOD | {"scores": [1, 10**400]}, ":2: scores must be numbers below 1.8e308"),
        (GOOD | {"scores": [1, "2"]}, ":2: scores must be a list of numbers, this is [1, '2']"),
        (GOOD | {"scores": [1, True]}, ":2: scores must be a list of numbers, this is [1, True]"),
        (GOOD | {"scores": {"x": 1}}, ":2: scores must be a list of numbers, this is {'x': 1}"),
        (GOOD | {"instruction": 3}, ":2: query 'train.jsonl:2': instruction 3 is no string"),
        (GOOD | {"task": 3}, ":2: task must be a string, this is 3"),
        (GOOD | {"example_id": "first"}, ": example 'first' is given twice"),
    ],
)
def test_a_record_at_fault_is_named_by_line(record, message, tmp_path):
    path = write(tmp_path, GOOD | {"example_id": "first"}, record)
    with pytest.raises(DataError) as refusal:
        read_training_jsonl(path)
    assert str(refusal.value).startswith(f"{path}{message}")


def test_a_file_without_examples_is_named(tmp_path):
    path = write(tmp_path)
    with pytest.raises(DataError, match=r"train\.jsonl: the training set has no examples$"):
        read_training_jsonl(path)


def test_the_fingerprint_of_a_file_follows_the_pictures_it_names(tmp_path):
    path = write(tmp_path, {"query": {"image": "a.png"}, "positives": ["x"]})
    before = read_training_jsonl(path).fingerprint()
    assert read_training_jsonl(path).fingerprint() == before
    (tmp_path / "a.png").write_bytes(encode(noise(5, 4, seed=1), "PNG"))
    assert read_training_jsonl(path).fingerprint() != before
