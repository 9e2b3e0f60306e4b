"""N documents in, N documents out: in order, with ids, or an error that names the one at fault."""

import gzip
import io
import json
import sys

import pytest

from gmr.core.datasets import read_documents
from gmr.core.errors import DataError
from gmr.core.items import Image, Text, text_of
from tests.core.pictures import encode, noise

PNG = encode(noise(5, 4), "PNG")


def test_a_folder_is_its_pictures_and_texts_by_path(tmp_path):
    for name in ("b.PNG", "a/z.jpg", "a/y b.webp", "c.gif", ".hidden.png", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)  # magic bytes decide, not names
    (tmp_path / "d.txt").write_text("a text\nof two lines")
    documents = read_documents(tmp_path)
    assert [document.doc_id for document in documents] == ["a/y b.webp", "a/z.jpg", "b.PNG", "c.gif", "d.txt"]
    assert [document.item for document in documents] == [(Image(PNG),)] * 4 + [
        (Text("a text\nof two lines"),)
    ]
    assert read_documents(str(tmp_path)) == documents


def test_a_picture_alone_is_one_document(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    assert [(d.doc_id, d.item) for d in read_documents(tmp_path / "a.png")] == [("a.png", (Image(PNG),))]


@pytest.mark.parametrize("packed", [False, True])
def test_a_jsonl_file_is_a_document_per_record(packed, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    records = [
        {"doc_id": "x", "text": "one"},
        {"_id": 7, "image": "a.png", "text": "two"},
        {"id": "y", "title": "The", "text": "third", "metadata": {}},
        {"content": [{"type": "text", "text": "four"}, {"type": "image_url", "image_url": {"url": "a.png"}}]},
    ]
    data = "\n".join(map(json.dumps, records)).encode()
    path = tmp_path / ("d.jsonl.gz" if packed else "d.jsonl")
    path.write_bytes(gzip.compress(data) if packed else data)
    assert [(d.doc_id, d.item) for d in read_documents(path)] == [
        ("x", (Text("one"),)),
        ("7", (Image(PNG), Text("two"))),
        ("y", (Text("The third"),)),
        ("4", (Text("four"), Image(PNG))),
    ]


def test_a_text_file_is_a_document_per_line(tmp_path):
    (tmp_path / "d.txt").write_text("one\n{not json\n  spaced \nlast")
    assert [(d.doc_id, d.item[0].text) for d in read_documents(tmp_path / "d.txt")] == [
        ("1", "one"),
        ("2", "{not json"),
        ("3", "  spaced "),
        ("4", "last"),
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [("one\ntwo\n", ["1", "2"]), ('{"id": "x", "text": "one"}\n{"text": "two"}\n', ["x", "2"])],
)
def test_standard_input_is_lines_of_text_or_of_json(text, ids, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    documents = read_documents("-")
    assert [document.doc_id for document in documents] == ids
    assert [document.item[0].text for document in documents] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.txt", "one\n\nthree", ":2: the line is empty"),
        ("d.txt", "", ": no documents"),
        ("d.jsonl", '{"text": "a"}\n{"txt": "b"}', ":2: unknown key 'txt' (known: doc_id, "),
        ("d.jsonl", '{"id": "a", "text": ""}', ":1: document 'a' is empty; give text, a picture or both"),
        (
            "d.jsonl",
            '{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}',
            ":3: document id 'a' is given twice",
        ),
        ("d.jsonl", '{"text": "x"}\n{"id": "1", "text": "y"}', ":2: document id '1' is given twice"),
        ("d.jsonl", '{"image": "absent.png"}', ":1.image: no such image file: "),
        ("d.jsonl", '{"image": "../up.png"}', ":1.image: '../up.png' leaves "),
        ("d.jsonl", '{"id": ["a"], "text": "x"}', ":1: id must be a string or an integer, this is ['a']"),
        ("d.jsonl", "[1]", ":1: a JSON object is needed, this is list: '[1]'"),
    ],
)
def test_a_document_at_fault_is_named_by_line(name, text, message, tmp_path):
    (tmp_path.parent / "up.png").write_bytes(PNG)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as refusal:
        read_documents(tmp_path / name)
    assert str(refusal.value).startswith(f"{tmp_path / name}{message}")


def test_a_picture_whose_header_is_damaged_is_named_before_anything_is_scored(tmp_path):
    (tmp_path / "good.png").write_bytes(PNG)
    (tmp_path / "bad.png").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"bad\.png: image is cut short$"):
        read_documents(tmp_path)


@pytest.mark.parametrize("name", ["scan.tiff", "notes.pdf", "README"])
def test_a_file_of_another_kind_is_not_left_out_in_silence(name, tmp_path):
    (tmp_path / "good.png").write_bytes(PNG)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        DataError, match=rf"{name}: neither a picture nor a text \(\.png, .*\); name the documents in a"
    ):
        read_documents(tmp_path)


def test_an_empty_text_file_in_a_folder_is_named(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match=r"empty\.txt: '' is empty"):
        read_documents(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"'a\.png' leaves "):
        read_documents(tmp_path / "in")


def test_what_is_not_there_is_named(tmp_path):
    for name in ("absent.png", "absent.jsonl", "absent"):
        with pytest.raises(DataError, match=rf"{name}: no such (image )?file"):
            read_documents(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no documents$"):
        read_documents(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", " ", "\n", "\t \u3000"])
def test_a_document_of_white_space_is_empty(text, tmp_path):
    (tmp_path / "d.jsonl").write_text(f'{{"_id": "a", "text": {json.dumps(text)}}}\n')
    with pytest.raises(DataError, match=r"d\.jsonl:1: document 'a' is empty"):
        read_documents(tmp_path / "d.jsonl")


def test_an_empty_line_of_a_text_file_is_named(tmp_path):
    (tmp_path / "d.txt").write_text("one\n \nthree\n")
    with pytest.raises(DataError, match=r"d\.txt:2: the line is empty"):
        read_documents(tmp_path / "d.txt")


def test_a_picture_that_is_none_is_named_by_line_and_id_or_once_by_its_own_name(tmp_path):
    (tmp_path / "fake.png").write_bytes(b"no picture")
    (tmp_path / "d.jsonl").write_text('{"_id": "a", "image": "fake.png"}\n')
    with pytest.raises(DataError, match=r"d\.jsonl:1: document 'a': .*fake\.png: not an image"):
        read_documents(tmp_path / "d.jsonl")
    with pytest.raises(DataError) as refusal:
        read_documents(tmp_path / "fake.png")
    assert str(refusal.value).count("fake.png") == 1


@pytest.mark.parametrize("name", ["DOCS.JSONL", "docs.ndjson", "docs.Jsonl.GZ"])
def test_json_lines_are_known_by_any_spelling_of_their_suffix(name, tmp_path):
    data = b'{"doc_id": "a", "text": "one"}\n'
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("GZ") else data)
    (document,) = read_documents(tmp_path / name)
    assert (document.doc_id, text_of(document.item)) == ("a", "one")


@pytest.mark.parametrize("name", ["docs.json", "docs.csv", "docs.TSV"])
def test_a_table_or_a_json_file_is_not_read_as_lines_of_text(name, tmp_path):
    (tmp_path / name).write_text("[1]\n")
    with pytest.raises(DataError, match=r"documents are JSON lines \(.jsonl\) or one text a line"):
        read_documents(tmp_path / name)
