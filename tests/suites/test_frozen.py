"""Facts about frozen first stages: they read back as they were, and nothing else is taken for them."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.suites.frozen import FrozenRuns, decode, encode, parse_table, write_frozen

DOC_IDS = [f"d{number:05d}" for number in range(5000)]
RUN = {"q1": {"d00001": 3.25, "d04999": 1.001, "d00002": 1.001}, "q2": {"d00003": 0.0}}

scores = st.dictionaries(
    st.sampled_from(DOC_IDS), st.integers(0, 200_000).map(lambda value: value / 1000), min_size=1, max_size=8
)
runs = st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), scores, min_size=1)


@given(runs)
def test_a_run_reads_back_as_it_was(run):
    text = encode(run, doc_ids=DOC_IDS)
    assert decode(text, query_ids=list(run), doc_ids=DOC_IDS, where="x") == run


def test_candidates_come_in_the_order_of_trec_eval():
    read = decode(encode(RUN, doc_ids=DOC_IDS), query_ids=["q1"], doc_ids=DOC_IDS, where="x")
    assert list(read["q1"]) == ["d00001", "d04999", "d00002"]


def test_what_was_written_is_read_with_its_digest(tmp_path):
    rows = write_frozen(tmp_path, {"task": (RUN, "made", DOC_IDS)})
    assert (rows["task"].queries, rows["task"].candidates) == (2, 4)
    frozen = FrozenRuns("any", tmp_path)
    assert frozen.table == rows
    assert frozen.read("task", "made", query_ids=["q2", "q1"], doc_ids=DOC_IDS) == RUN


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_frozen(tmp_path / name, {"task": (RUN, "made", DOC_IDS)})
    for file in ("task.tsv.gz", "table.tsv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_other_data_is_warned_of_with_both_digests(tmp_path, caplog):
    write_frozen(tmp_path, {"task": (RUN, "a" * 64, DOC_IDS)})
    with caplog.at_level(logging.WARNING, logger="gmr.suites.frozen"):
        assert FrozenRuns("any", tmp_path).read("task", "b" * 64, query_ids=["q1"], doc_ids=DOC_IDS) is None
    assert "a" * 16 in caplog.text
    assert "b" * 16 in caplog.text
    assert "not comparable" in caplog.text


def test_a_damaged_or_missing_file_is_an_error(tmp_path):
    write_frozen(tmp_path, {"task": (RUN, "made", DOC_IDS)})
    path = tmp_path / "task.tsv.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"task\.tsv\.gz: missing, or not the file that table\.tsv names"):
        FrozenRuns("any", tmp_path).read("task", "made", query_ids=["q1"], doc_ids=DOC_IDS)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        FrozenRuns("any", tmp_path).read("task", "made", query_ids=["q1"], doc_ids=DOC_IDS)


@pytest.mark.parametrize("line", ["q1", "q1\tb\tb\tb", "q1\t!\tb", "q1\tbb\tb", "q1\t_\tb"])
def test_a_bad_line_is_an_error_with_its_number(line):
    with pytest.raises(DataError, match=r"^x:1: not a line of a frozen first stage"):
        decode(line + "\n", query_ids=["q1"], doc_ids=DOC_IDS[:1], where="x")


def test_a_missing_query_is_an_error():
    with pytest.raises(DataError, match=r"^x: query 'q9' is not there"):
        decode(encode(RUN, doc_ids=DOC_IDS), query_ids=["q9"], doc_ids=DOC_IDS, where="x")


def test_a_table_with_other_columns_is_an_error():
    with pytest.raises(DataError, match=r"^table:2: 2 columns, expected task, queries"):
        parse_table("head\na\tb\n", where="table")
