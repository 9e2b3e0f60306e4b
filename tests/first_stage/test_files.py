"""Runs of other tools become first stages: every format, strictly; and several runs become one."""

import gzip
import json

import pytest

from gmr.core.errors import DataError, UsageError
from gmr.core.trec import write_run
from gmr.first_stage.files import FusedRuns, ImportedRun
from gmr.first_stage.foreign import read_foreign
from gmr.metrics.fusion import reciprocal_rank, weighted_sum
from tests.first_stage.items import queries, texts

RUN = {"q0": {"d0": 0.5, "d2": 0.25}, "q1": {"d1": -1.5}}
QUERIES, CORPUS = queries("a", "b", "c"), texts("x", "y", "z")
SAME_ORDER = {"q0": {"d0": 2.0, "d2": 1.0}, "q1": {"d1": 1.0}}
LINES = [f"{query_id}\t{doc_id}\t{score}\n" for query_id, row in RUN.items() for doc_id, score in row.items()]


def write(path, text):
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FILES = {
    "a.trec": ("q0 Q0 d0 1 0.5 x\nq0 Q0 d2 2 0.25 x\nq1 Q0 d1 1 -1.5 x\n", "trec", RUN),
    "rank.txt": ("".join(LINES), "tevatron", RUN),
    "rank.tsv.gz": ("".join(LINES).replace("\t", " "), "tevatron", RUN),
    "six.txt": ("q0 Q0 d0 1 0.5 dense\nq0 Q0 d2 2 0.25 dense\nq1 Q0 d1 1 -1.5 dense\n", "trec", RUN),
    "x_predictions.json": (
        json.dumps({"mteb_model_meta": {"model_name": "a/b", "revision": "1"}, "default": {"test": RUN}}),
        "mteb",
        RUN,
    ),
    "plain.json": (json.dumps(RUN), "mteb", RUN),
    "top_ranked.jsonl": (
        '{"query-id": "q0", "corpus-ids": ["d0", "d2"]}\n{"query-id": "q1", "corpus-ids": ["d1"]}\n',
        "top_ranked",
        SAME_ORDER,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_known_by_its_looks(tmp_path, name):
    text, kind, run = FILES[name]
    assert read_foreign(write(tmp_path / name, text)) == (run, kind)


def test_what_mteb_writes_is_read(tmp_path):
    """The file that mteb itself saves, by its own function."""
    from types import SimpleNamespace

    from mteb.abstasks.retrieval import AbsTaskRetrieval

    task = SimpleNamespace(
        metadata=SimpleNamespace(name="Tiny"),
        _predictions_path=lambda folder: folder / "Tiny_predictions.json",
    )
    model = SimpleNamespace(mteb_model_meta=SimpleNamespace(name="a/b", revision="1"))
    AbsTaskRetrieval._save_task_predictions(task, RUN, model, tmp_path, hf_split="test", hf_subset="default")
    assert read_foreign(tmp_path / "Tiny_predictions.json") == (RUN, "mteb")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "q0\td0\n", r"a\.txt:1: a TREC run has 6 columns, a rank list 3 .* this has 2"),
        ("a.txt", "q0\td0\t1\nq0\td0\t2\n", r"a\.txt:2: document 'd0' is given twice for query 'q0'"),
        ("a.txt", "q0\td0\tnan\n", r"a\.txt:1: score 'nan' is not a finite number"),
        ("a.txt", "q0\td0\tx\n", "score 'x' is not a finite number"),
        ("a.txt", "\n", "the run is empty"),
        ("a.trec", "q0 Q0 d0 1 inf x\n", "not a finite number"),
        ("a.json", "[1]", "a JSON object is needed"),
        ("a.json", "{}", "the run is empty"),
        ("a.json", '{"q0": {"d0": "1"}}', "query 'q0', document 'd0': '1' is no score"),
        ("a.json", '{"q0": {"d0": true}}', "True is no score"),
        ("a.json", '{"q0": 1, "q1": {"d0": 1}}', "query 'q0' has no table of scores but 1"),
        ("a.json", '{"q0": {"d0": 1, "d0": 2}}', "given twice"),
        (
            "a.json",
            '{"s": {"test": {"q": {"d": 1}}, "dev": {"q": {"d": 1}}}}',
            r"s holds 2 parts \('test', 'dev'\)",
        ),
        ("a.json", '{"en": {"test": {"q": {"d": 1}}}, "de": {}}', "the file holds 2 parts"),
        ("a.jsonl", '{"query-id": "q0"}\n', r"a\.jsonl:1: top_ranked has query-id and a list"),
        ("a.jsonl", '{"query-id": "q0", "corpus-ids": ["a", "a"]}\n', "given twice"),
    ],
)
def test_a_malformed_file_is_an_error_that_says_where(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read_foreign(write(tmp_path / name, text))


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(DataError, match=r"gone\.trec: no such file"):
        read_foreign(tmp_path / "gone.trec")


def test_an_imported_run_is_cut_and_keeps_its_scores(tmp_path):
    imported = ImportedRun(write(tmp_path / "a.txt", "".join(LINES)))
    assert imported.search(QUERIES, CORPUS, depth=1) == {"q0": {"d0": 0.5}, "q1": {"d1": -1.5}, "q2": {}}
    facts = imported.facts()
    assert (facts["name"], facts["file"], facts["format"]) == ("import", "a.txt", "tevatron")
    assert len(facts["sha256"]) == 64


def test_unknown_ids_are_counted_and_refused(tmp_path):
    imported = ImportedRun(write(tmp_path / "a.txt", "".join(LINES)))
    with pytest.raises(DataError, match=r"a\.txt: 1 of 2 queries are not those of the task, such as 'q1'"):
        imported.search(queries("a"), CORPUS, depth=1)
    with pytest.raises(DataError, match=r"a\.txt: 2 of 3 documents are not in the corpus, such as 'd2'"):
        imported.search(QUERIES, texts("x"), depth=1)


@pytest.fixture
def two(tmp_path):
    other = {"q0": {"d2": 9.0, "d1": 8.0}, "q2": {"d0": 1.0}}
    for name, run in (("a.trec", RUN), ("b.trec", other)):
        write_run(run, tmp_path / name)
    return [tmp_path / "a.trec", tmp_path / "b.trec"], [RUN, other]


def test_fused_files_are_the_fused_runs(two):
    paths, runs = two
    for method, fused in (
        ("rrf", reciprocal_rank(runs, weights=[1, 2])),
        ("sum", weighted_sum(runs, weights=[1, 2])),
    ):
        found = FusedRuns(paths, method=method, weights=[1, 2]).search(QUERIES, CORPUS, depth=10)
        assert list(found) == ["q0", "q1", "q2"]
        for query_id, scores in found.items():
            assert scores == pytest.approx(fused[query_id], abs=1e-9)
            assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_fused_files_are_checked_and_described(two):
    paths, _ = two
    with pytest.raises(DataError, match=r"b\.trec: 1 of 2 queries"):
        FusedRuns(paths).search(queries("a", "b"), CORPUS, depth=1)
    facts = FusedRuns(paths, method="sum", weights=[0.7, 0.3], scale="zscore").facts()
    assert [(run["file"], run["weight"]) for run in facts["runs"]] == [("a.trec", 0.7), ("b.trec", 0.3)]
    assert (facts["name"], facts["scale"]) == ("sum", "zscore")


@pytest.mark.parametrize("options", [{"method": "max"}, {"scale": "log"}, {"weights": [1.0]}])
def test_what_cannot_be_fused_is_refused(two, options):
    with pytest.raises(UsageError):
        FusedRuns(two[0], **options)
    with pytest.raises(UsageError, match="two runs or more"):
        FusedRuns(two[0][:1])
