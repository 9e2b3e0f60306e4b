"""Runs and judgments read back as they were written, and what is not one is named with its line."""

import gzip
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.trec import read_qrels, read_run, write_qrels, write_run
from tests.conftest import shared_fixture

IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\v\f\ufeff"), min_size=1, max_size=6
)
SCORES = st.floats(allow_nan=False, allow_infinity=False)
RUNS = st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1, max_size=5), min_size=1, max_size=4)
QRELS = st.dictionaries(
    IDS, st.dictionaries(IDS, st.integers(-3, 9), min_size=1, max_size=5), min_size=1, max_size=4
)


@given(run=RUNS)
def test_a_run_reads_back_to_the_last_bit(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.trec"
    write_run(run, path)
    back = read_run(path)
    assert back == run
    assert list(back) == list(run)


@given(qrels=QRELS, suffix=st.sampled_from([".tsv", ".trec"]))
def test_judgments_read_back_in_both_formats(qrels, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("qrels") / f"test{suffix}"
    write_qrels(qrels, path)
    assert read_qrels(path) == qrels


def test_a_run_is_written_as_trec_eval_orders_it(tmp_path):
    write_run({"q": {"a": 1.0, "b": 2.5, "c": 1.0, "d": np.float32(0.1)}}, tmp_path / "r", tag="mine")
    assert (tmp_path / "r").read_text().splitlines() == [
        "q Q0 b 1 2.5 mine",
        "q Q0 c 2 1.0 mine",
        "q Q0 a 3 1.0 mine",
        "q Q0 d 4 0.10000000149011612 mine",
    ]


def test_judgments_are_written_as_beir_or_trec_by_their_name(tmp_path):
    for name, text in {"a.tsv": "query-id\tcorpus-id\tscore\nq\td\t2\n", "a.txt": "q 0 d 2\n"}.items():
        write_qrels({"q": {"d": 2}}, tmp_path / name)
        assert (tmp_path / name).read_text() == text


def test_the_order_of_lines_and_ranks_says_nothing(tmp_path):
    lines = [f"q Q0 d{i} {i} {i / 7} t" for i in range(1, 50)]
    (tmp_path / "a").write_text("\n".join(lines))
    random.Random(0).shuffle(lines)
    (tmp_path / "b").write_text("\n".join(lines))
    assert read_run(tmp_path / "a") == read_run(tmp_path / "b")


def test_a_packed_run_reads_as_the_plain_one(tmp_path):
    (tmp_path / "r.trec.gz").write_bytes(gzip.compress(b"q Q0 d 1 0.5 t\n"))
    assert read_run(tmp_path / "r.trec.gz") == {"q": {"d": 0.5}}


@pytest.mark.parametrize("score", ["1", "-1.", ".5", "+2.5e-3", "1E5", "1e-400", "007"])
def test_a_score_is_what_c_reads(score, tmp_path):
    (tmp_path / "r").write_text(f"q Q0 d 1 {score} t\n")
    assert read_run(tmp_path / "r")["q"]["d"] == float(score)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d 1 0.5", "a run has 6 columns, this has 5: 'q Q0 d 1 0.5'"),
        ("q Q0 d 1 0.5 my run", "a run has 6 columns, this has 7: 'q Q0 d 1 0.5 my run'"),
        ("q Q0 d 0.5 1 t", "rank '0.5' is not an integer"),
        ("q Q0 d 1 high t", "score 'high' is not a finite number"),
        ("q Q0 d 1 nan t", "score 'nan' is not a finite number"),
        ("q Q0 d 1 -inf t", "score '-inf' is not a finite number"),
        ("q Q0 d 1 1e999 t", "score '1e999' is not a finite number"),
        ("q Q0 d 1 1_0 t", "score '1_0' is not a finite number"),
        ("q Q0 d 1 ١ t", "score '١' is not a finite number"),
        ("q Q0 first 2 0.4 t", "document 'first' is given twice for query 'q'"),
    ],
)
def test_a_line_that_is_not_of_a_run_is_named(line, message, tmp_path):
    path = tmp_path / "bad.trec"
    path.write_text(f"q Q0 first 1 0.5 t\n\n{line}\n")
    with pytest.raises(DataError) as refusal:
        read_run(path)
    assert str(refusal.value) == f"{path}:3: {message}"


BEIR_HINT = "; BEIR qrels begin with the header query-id corpus-id score"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q 0 d 1\nq 0 d\n", ":2: TREC qrels have 4 columns, this has 3: 'q 0 d'" + BEIR_HINT),
        ("q 0 d 1 extra\n", ":1: TREC qrels have 4 columns, this has 5: 'q 0 d 1 extra'" + BEIR_HINT),
        ("q\td\t1\n", ":1: TREC qrels have 4 columns, this has 3: 'q d 1'" + BEIR_HINT),
        ("query-id\tcorpus-id\tscore\nq\t0\td\t1\n", ":2: BEIR qrels have 3 columns, this has 4: 'q 0 d 1'"),
        ("q 0 d 0.5\n", ":1: relevance '0.5' is not an integer"),
        ("q 0 d yes\n", ":1: relevance 'yes' is not an integer"),
        ("q 0 d 1\nq 0 d 1\n", ":2: document 'd' is given twice for query 'q'"),
        ("", ": the qrels are empty"),
        ("query-id\tcorpus-id\tscore\n", ": the qrels are empty"),
    ],
)
def test_what_is_no_judgment_is_named(text, message, tmp_path):
    path = tmp_path / "bad.qrels"
    path.write_text(text)
    with pytest.raises(DataError) as refusal:
        read_qrels(path)
    assert str(refusal.value) == f"{path}{message}"


def test_an_empty_run_is_no_run(tmp_path):
    (tmp_path / "r").write_text("\n\n")
    with pytest.raises(DataError, match=r"r: the run is empty$"):
        read_run(tmp_path / "r")


@pytest.mark.parametrize("bad", ["", "my photo.png", "a\tb", "a\nb"])
def test_an_id_that_the_format_cannot_hold_is_refused(bad, tmp_path):
    for write, table in ((write_run, 1.0), (write_qrels, 1)):
        for rows in ({bad: {"d": table}}, {"q": {bad: table}}):
            with pytest.raises(
                DataError, match="a TREC file cannot hold an empty id or one with white space"
            ):
                write(rows, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_score_that_is_not_finite_is_never_written(tmp_path):
    for score in (math.nan, math.inf, -math.inf):
        with pytest.raises(DataError, match="of document 'd' for query 'q' is not finite"):
            write_run({"q": {"d": score}}, tmp_path / "x")


def test_the_files_of_trec_eval_read_as_a_plain_split_does():
    run, qrels = shared_fixture("trec_eval/results.test"), shared_fixture("trec_eval/qrels.test")
    rows = [line.split() for line in run.read_text().splitlines()]
    judged = [line.split() for line in qrels.read_text().splitlines()]
    assert {(q, d, s) for q, row in read_run(run).items() for d, s in row.items()} == {
        (row[0], row[2], float(row[4])) for row in rows
    }
    assert {(q, d, r) for q, row in read_qrels(qrels).items() for d, r in row.items()} == {
        (row[0], row[2], int(row[3])) for row in judged
    }
