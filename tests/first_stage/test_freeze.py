"""Frozen means: the same bytes again, and any change, of run, record, name or data, is refused."""

import gzip
import json

import pytest

from gmr.core.errors import DataError, UsageError
from gmr.core.files import sha256_file
from gmr.core.frozen_runs import read_frozen_run, record_path, run_digest, verify
from gmr.core.trec import read_run
from gmr.first_stage.bm25 import BM25
from gmr.first_stage.build import build, measure_first_stage
from gmr.first_stage.freeze import write_first_stage
from tests.first_stage.items import queries, task, texts

QRELS = {"q0": {"d0": 1}, "q1": {"d2": 1}}


def tiny():
    corpus = texts("alpha beta", "alpha", "gamma beta", "beta beta alpha")
    return task(queries("alpha", "beta gamma"), corpus, QRELS)


def freeze(path, **options):
    this = tiny()
    found = build(this.queries, this.corpus, BM25(**options), depth=3)
    return write_first_stage(found, path, task=this.name, measured=measure_first_stage(found, this.qrels))


@pytest.mark.parametrize("name", ["a.trec", "a.trec.gz"])
def test_two_builds_are_the_same_bytes(tmp_path, name):
    for folder in ("one", "two"):
        freeze(tmp_path / folder / name)
    for file in (name, "a.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted([name, "a.json"])


def test_the_record_says_where_the_run_came_from(tmp_path):
    record = freeze(tmp_path / "a.trec", k1=1.2)
    assert record == json.loads((tmp_path / "a.json").read_text())
    assert record["sha256"] == sha256_file(tmp_path / "a.trec")
    assert (record["file"], record["task"], record["depth"]) == ("a.trec", "tiny", 3)
    assert record["retriever"]["k1"] == 1.2
    assert record["counts"]["documents"] == 4
    assert record["measured"]["recall@3"] == 1.0
    assert {"python", "gmr", "bm25s"} <= record["versions"].keys()
    assert "T" not in str([value for key, value in record.items() if "date" in key or "time" in key])


def test_run_and_record_are_read_back(tmp_path):
    record = freeze(tmp_path / "a.trec.gz")
    run, again = read_frozen_run(tmp_path / "a.trec.gz", task=tiny())
    assert again == record
    assert run == read_run(tmp_path / "a.trec.gz")
    found = build(tiny().queries, tiny().corpus, BM25(), depth=3)
    assert run == found.run
    assert [list(scores) for scores in run.values()] == [list(scores) for scores in found.run.values()]


def test_a_compressed_run_has_the_same_digest_as_a_plain_one(tmp_path):
    plain, compressed = freeze(tmp_path / "a.trec"), freeze(tmp_path / "b.trec.gz")
    assert plain["run_sha256"] == compressed["run_sha256"]
    assert plain["sha256"] != compressed["sha256"]
    assert gzip.decompress((tmp_path / "b.trec.gz").read_bytes()) == (tmp_path / "a.trec").read_bytes()
    run = read_run(tmp_path / "a.trec")
    assert run_digest(dict(reversed(run.items()))) == plain["run_sha256"]


def test_any_changed_line_is_refused(tmp_path):
    path = tmp_path / "a.trec"
    freeze(path)
    text = path.read_text()
    first = text.splitlines()[0]
    for changed in (
        text.replace(first, first.replace(" 1 ", " 2 ")),
        text.replace(f"{first}\n", ""),
        text + "q1 Q0 d1 4 0.000001 bm25\n",
        text.replace("bm25", "other"),
        "",
    ):
        path.write_text(changed)
        with pytest.raises(DataError, match=r"a\.trec: the run was changed: its sha256 is"):
            verify(path)
    path.write_text(text)
    verify(path)


def test_a_renamed_or_lonely_run_is_refused(tmp_path):
    freeze(tmp_path / "a.trec")
    (tmp_path / "a.trec").rename(tmp_path / "b.trec")
    with pytest.raises(DataError, match=r"b\.trec: no record b\.json beside it"):
        verify(tmp_path / "b.trec")
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"b\.json: this is the record of 'a\.trec', not of 'b\.trec'"):
        verify(tmp_path / "b.trec")
    with pytest.raises(DataError, match=r"a\.trec: no such file"):
        verify(tmp_path / "a.trec")


def test_swapped_runs_are_refused(tmp_path):
    freeze(tmp_path / "x" / "a.trec")
    freeze(tmp_path / "y" / "a.trec", k1=2.0)
    (tmp_path / "x" / "a.trec").write_bytes((tmp_path / "y" / "a.trec").read_bytes())
    with pytest.raises(DataError, match="the run was changed"):
        verify(tmp_path / "x" / "a.trec")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "no record of a first stage of format 1, but of 2"),
        ({"run_sha256": "0" * 64}, "the record was changed"),
        ({"sha256": "0" * 64}, "the run was changed"),
        ({"data": None}, "it lacks data"),
    ],
)
def test_a_changed_record_is_refused(tmp_path, change, message):
    freeze(tmp_path / "a.trec")
    record = json.loads((tmp_path / "a.json").read_text())
    record.update(change)
    (tmp_path / "a.json").write_text(
        json.dumps({key: value for key, value in record.items() if value is not None})
    )
    with pytest.raises(DataError, match=message):
        verify(tmp_path / "a.trec")


def test_a_record_that_is_no_json_is_refused_by_name(tmp_path):
    freeze(tmp_path / "a.trec")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: not valid JSON"):
        verify(tmp_path / "a.trec")


def test_another_corpus_or_other_queries_are_refused(tmp_path):
    freeze(tmp_path / "a.trec")
    this = tiny()
    verify(tmp_path / "a.trec", task=this)
    more = task(this.queries, {**this.corpus, **texts("new", prefix="n")}, QRELS)
    with pytest.raises(DataError, match=r"it was made from another corpus than tiny has .*4 documents"):
        verify(tmp_path / "a.trec", task=more)
    other = task(queries("alpha", "beta"), texts("x", "y", "z"), QRELS)
    with pytest.raises(DataError, match="other queries and another corpus than tiny has"):
        verify(tmp_path / "a.trec", task=other)


@pytest.mark.parametrize("name", ["run", "a.json", "a.tsv", ".trec", "a.gz"])
def test_a_run_has_a_suffix_of_runs(tmp_path, name):
    with pytest.raises(UsageError, match=r"a run is called \*\.trec"):
        record_path(tmp_path / name)
