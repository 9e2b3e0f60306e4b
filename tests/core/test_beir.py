"""Tasks on disk: what is written reads back equal, and what is wrong is named with file and line."""

import gzip
import json
from dataclasses import replace

import PIL.Image
import pytest

from gmr.core.datasets import read_beir, write_beir
from gmr.core.errors import DataError
from gmr.core.items import Image, Text, as_item
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from tests.conftest import shared_data
from tests.core.pictures import encode, noise

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
PICTURES = [encode(noise(5, 4, seed=i), image_format) for i, image_format in enumerate(FORMATS)]


def task() -> RerankTask:
    """Every shape of item on both sides, ties, instructions and facts."""
    items = {
        "text": as_item('a\u2028b "é"\n😀'),
        "image": as_item(PICTURES[0]),
        "image-text": as_item({"image": PICTURES[1], "text": "a"}),
        "text-image": as_item({"text": "a", "image": PICTURES[2]}),
        "interleaved": as_item(["a", PICTURES[0], "b", PICTURES[3], PICTURES[0]]),
        "images": as_item([PICTURES[0], PICTURES[1]]),
        "texts": as_item(["a", "b"]),
        "blank": as_item(" "),
        "empty": (Text(""),),
    }
    corpus = {f"d/{name}": Document(f"d/{name}", item) for name, item in items.items()}
    queries = {
        name: Query(name, item, "find it" if i % 2 else None) for i, (name, item) in enumerate(items.items())
    }
    first_stage = {name: {doc_id: float(i // 3) / 7 for i, doc_id in enumerate(corpus)} for name in queries}
    return RerankTask(
        name="toy",
        task_type="it2it",
        queries=queries,
        corpus=corpus,
        qrels={name: {f"d/{name}": 1, "d/blank": 0} for name in queries if name != "blank"},
        first_stage=first_stage,
        measure="recall@5",
        metadata={"text": {"kind": "odd", "operation": "bold"}},
    )


def test_a_task_reads_back_as_it_was_written(tmp_path):
    write_beir(task(), tmp_path / "toy")
    back = read_beir(tmp_path / "toy")
    assert back == task()
    assert [(q.query_id, d.doc_id) for q, d in back.pairs()] == [
        (q.query_id, d.doc_id) for q, d in task().pairs()
    ]


def test_a_written_task_is_itself_when_written_again(tmp_path):
    write_beir(task(), tmp_path / "a")
    write_beir(read_beir(tmp_path / "a"), tmp_path / "b")
    files = {
        p.relative_to(tmp_path / "a"): p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()
    }
    again = {
        p.relative_to(tmp_path / "b"): p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()
    }
    assert files == again
    assert sum(path.parts[0] == "images" for path in files) == len(PICTURES)


def test_files_of_pictures_are_kept_byte_by_byte(tmp_path):
    write_beir(task(), tmp_path)
    assert {path.read_bytes() for path in (tmp_path / "images").iterdir()} == set(PICTURES)


def test_a_held_picture_becomes_a_png_of_its_pixels(tmp_path):
    picture = PIL.Image.new("RGBA", (3, 2), (255, 0, 0, 51))
    corpus = task().corpus | {"d/image": Document("d/image", as_item(picture))}
    write_beir(replace(task(), corpus=corpus), tmp_path)
    image = read_beir(tmp_path).corpus["d/image"].item[0]
    assert isinstance(image, Image)
    assert image.open().getpixel((0, 0)) == Image(picture).open().getpixel((0, 0))


def make(folder, **files):
    """A folder of a small good task, with some files replaced; None leaves one out."""
    good = {
        "corpus.jsonl": [{"_id": "a", "title": "The", "text": "queen"}, {"_id": 2, "title": "", "text": ""}],
        "queries.jsonl": [{"_id": "q", "text": "chess", "answer": "ignored"}],
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\ta\t1\n",
        "top_ranked.jsonl": [{"query-id": "q", "corpus-ids": ["a", "2"]}],
    }
    for name, content in (good | files).items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            rows = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
            (folder / name).write_text(rows)
    return folder


def test_a_beir_folder_with_ranked_lists_is_a_task(tmp_path):
    read = read_beir(make(tmp_path / "scifact"))
    assert (read.name, read.task_type, read.measure) == ("scifact", "t2t", "ndcg@10")
    assert read.corpus["a"].item == (Text("The queen"),)
    assert read.corpus["2"].item == (Text(""),)  # an empty document is scored, never dropped
    assert [document.doc_id for document in read.candidates("q")] == ["a", "2"]
    assert read.qrels == {"q": {"a": 1}}


def test_a_title_stands_before_the_text_wherever_the_text_stands(tmp_path):
    rows = [
        {"_id": "a", "image": "p.png", "text": "t", "title": "T"},
        {"_id": "2", "title": "T", "image": "p.png"},
    ]
    (tmp_path / "p.png").write_bytes(PICTURES[0])
    corpus = read_beir(make(tmp_path, **{"corpus.jsonl": rows})).corpus
    assert corpus["a"].item == (Image(PICTURES[0]), Text("T t"))
    assert corpus["2"].item == (Text("T"), Image(PICTURES[0]))


def test_what_is_named_by_the_caller_wins(tmp_path):
    make(tmp_path, **{"train.trec": "q Q0 2 1 9 t\n", "task.json": '{"name": "x", "measure": "ap"}'})
    read = read_beir(tmp_path, name="n", task_type="t2vd", measure="rr", first_stage=tmp_path / "train.trec")
    assert (read.name, read.task_type, read.measure, read.first_stage) == (
        "n",
        "t2vd",
        "rr",
        {"q": {"2": 9.0}},
    )


def test_splits_have_their_own_judgments(tmp_path):
    make(tmp_path, **{"qrels/dev.tsv": "query-id\tcorpus-id\tscore\nq\t2\t3\n"})
    assert read_beir(tmp_path, split="dev").qrels == {"q": {"2": 3}}
    with pytest.raises(DataError, match=r"no judgments of split 'train'; put qrels/train\.tsv there"):
        read_beir(tmp_path, split="train")


def test_tables_may_be_packed_or_in_folders_of_their_own(tmp_path):
    make(tmp_path, **{"corpus.jsonl": None, "queries.jsonl": None, "qrels/test.tsv": None})
    (tmp_path / "corpus.jsonl.gz").write_bytes(
        gzip.compress(b'{"id": "a", "text": "x"}\n{"id": "2", "text": "y"}\n')
    )
    for name, row in {
        "queries/test-0.jsonl": {"id": "q", "text": "x"},
        "queries/train-0.jsonl": {"id": "not read", "text": "x"},
        "qrels/test.jsonl": {"query-id": "q", "corpus-id": "a", "score": 1},
    }.items():
        make(tmp_path, **{name: [row]})
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "queries.jsonl").unlink()
    (tmp_path / "qrels/test.tsv").unlink()
    read = read_beir(tmp_path)
    assert (list(read.corpus), list(read.queries), read.qrels) == (["a", "2"], ["q"], {"q": {"a": 1}})


@pytest.mark.parametrize(
    ("query", "document", "task_type"),
    [("x", "y", "t2t"), ("x", PICTURES[0], "t2i"), (PICTURES[0], ["x", PICTURES[1]], "i2it")],
)
def test_the_task_type_is_what_the_items_are(query, document, task_type, tmp_path):
    corpus, queries = {"d": Document("d", as_item(document))}, {"q": Query("q", as_item(query))}
    toy = RerankTask("toy", "t2t", queries, corpus, {"q": {"d": 1}}, {"q": {"d": 1.0}})
    write_beir(toy, tmp_path)
    (tmp_path / "task.json").unlink()
    if task_type == "i2it":  # none of the nine
        with pytest.raises(DataError, match="unknown task type 'i2it'"):
            read_beir(tmp_path)
        assert read_beir(tmp_path, task_type="it2it").task_type == "it2it"
    else:
        assert read_beir(tmp_path).task_type == task_type


ROW = {"_id": "a", "text": "x"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", None, ": no corpus.jsonl, corpus.jsonl.gz or corpus.parquet"),
        ("corpus.jsonl", [ROW, ROW], "/corpus.jsonl:2: id 'a' is given twice"),
        (
            "corpus.jsonl",
            [{"text": "x"}],
            "/corpus.jsonl:1: the row has no id (doc_id, _id, id): {'text': 'x'}",
        ),
        (
            "corpus.jsonl",
            [{"_id": True}],
            "/corpus.jsonl:1: _id must be a string or an integer, this is True",
        ),
        (
            "corpus.jsonl",
            [{"_id": "a"}],
            "/corpus.jsonl:1: the row has neither text, image nor content: {'_id': 'a'}",
        ),
        (
            "corpus.jsonl",
            [{"_id": "a", "text": 3}],
            "/corpus.jsonl:1.text: a string is needed, this is int: 3",
        ),
        ("corpus.jsonl", [{"_id": "a", "title": 3}], "/corpus.jsonl:1: title and text must be strings"),
        ("corpus.jsonl", [{"_id": "a", "image": "x.png"}], "/corpus.jsonl:1.image: no such image file: "),
        ("corpus.jsonl", [{"_id": "a", "image": "../x.png"}], "/corpus.jsonl:1.image: '../x.png' leaves "),
        (
            "corpus.jsonl",
            [{"_id": "a", "image": "http://x"}],
            "/corpus.jsonl:1.image: 'http://x' is a web address",
        ),
        (
            "queries.jsonl",
            [{"_id": "q", "text": "x", "instruction": 3}],
            "/queries.jsonl:1: instruction must be a",
        ),
        (
            "queries.jsonl",
            [{"_id": "z", "text": "x"}],
            ": 1 queries of the qrels are not in the queries: 'q'",
        ),
        (
            "qrels/test.tsv",
            "query-id\tcorpus-id\tscore\nq\tz\t1\n",
            ": 1 documents of the qrels are not in the",
        ),
        ("qrels/test.tsv", "q\ta\t1\n", "/qrels/test.tsv:1: TREC qrels have 4 columns"),
        ("top_ranked.jsonl", None, ": no first stage; put first_stage.trec or top_ranked.jsonl there"),
        (
            "top_ranked.jsonl",
            [{"query-id": "q"}],
            "/top_ranked.jsonl:1: top_ranked has query-id and a list of",
        ),
        (
            "top_ranked.jsonl",
            [{"query-id": "q", "corpus-ids": ["a", "a"]}],
            "/top_ranked.jsonl:1: query 'q', or a",
        ),
        ("run.a.trec", "q Q0 z 1 1 t\n", ": 1 documents of the first stage are not in the corpus: 'z'"),
        ("task.json", "[]", "/task.json: a JSON object is needed"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(name, content, message, tmp_path):
    folder = make(tmp_path / "toy", **{name: content})
    with pytest.raises(DataError) as refusal:
        read_beir(folder)
    assert str(refusal.value).startswith((f"{folder}{message}", f"toy{message}"))


def test_of_several_runs_none_is_guessed(tmp_path):
    make(tmp_path, **{"run.a.trec": "q Q0 a 1 1 t\n", "run.b.trec": "q Q0 a 1 1 t\n"})
    with pytest.raises(DataError, match=r"several runs \(run\.a\.trec, run\.b\.trec\); name the first stage"):
        read_beir(tmp_path)
    make(tmp_path, **{"first_stage.trec": "q Q0 a 1 3 t\n"})
    assert read_beir(tmp_path).first_stage == {"q": {"a": 3.0}}


def test_a_folder_without_candidates_is_a_task_without_them_when_that_is_asked_for(tmp_path):
    make(tmp_path, **{"top_ranked.jsonl": None})
    task = read_beir(tmp_path, needs_first_stage=False)
    assert (task.first_stage, set(task.qrels)) == ({}, {"q"})
    make(tmp_path, **{"run.a.trec": "q Q0 a 1 1 t\n", "run.b.trec": "q Q0 a 1 1 t\n"})
    assert read_beir(tmp_path, needs_first_stage=False).first_stage == {}


def test_a_task_without_candidates_is_written_and_read_back(tmp_path):
    make(tmp_path, **{"top_ranked.jsonl": None})
    task = read_beir(tmp_path, needs_first_stage=False)
    write_beir(task, tmp_path / "copy")
    assert not (tmp_path / "copy" / "first_stage.trec").exists()
    again = read_beir(tmp_path / "copy", needs_first_stage=False)
    assert (again.first_stage, again.queries, again.corpus) == ({}, task.queries, task.corpus)


def test_judgments_in_a_table_are_checked_as_those_in_files(tmp_path):
    row = {"query-id": "q", "corpus-id": "a", "score": 1}
    for rows, message in (([row, row], "given twice"), ([row | {"score": "1"}], "an integer score")):
        make(tmp_path, **{"qrels/test.tsv": None, "qrels.jsonl": rows})
        with pytest.raises(DataError, match=rf"qrels\.jsonl:\d: .*{message}"):
            read_beir(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent: no such folder$"):
        read_beir(tmp_path / "absent")


def test_parquet_tables_with_bytes_of_pictures_are_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    make(tmp_path, **{"corpus.jsonl": None})
    (tmp_path / "corpus").mkdir()
    rows = [
        {"id": "a", "text": "x", "image": {"bytes": PICTURES[0], "path": None}},
        {"id": "2", "text": None, "image": {"bytes": PICTURES[1], "path": "x.png"}},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "corpus" / "test-00000-of-00001.parquet")
    read = read_beir(tmp_path)
    assert read.corpus["a"].item == (Text("x"), Image(PICTURES[0]))
    assert read.corpus["2"].item == (Image(PICTURES[1]),)
    (tmp_path / "corpus" / "test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"parquet:1: not Parquet that can be read"):
        read_beir(tmp_path)


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    make(tmp_path, **{"corpus.jsonl": None, "corpus.parquet": ""})
    with pytest.raises(
        DataError, match=r"corpus\.parquet: reading Parquet needs pyarrow \(pip install pyarrow\)"
    ):
        read_beir(tmp_path)


def test_a_real_collection_is_read_whole():
    read = read_beir(shared_data("vaswani"))
    assert (len(read.corpus), len(read.queries)) == (11_429, 93)
    assert sum(map(len, read.qrels.values())) == 2083
    assert len(read.pairs()) == 9300
    assert read.candidates("1")[0].doc_id == "4572"
