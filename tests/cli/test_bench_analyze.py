"""``gmr bench analyze``: tables and sentences for people, the same as JSON and as files."""

import json

import pytest

from gmr.core.datasets import write_beir
from gmr.core.trec import write_run
from tests.bench.analysis.fakes import make_task

SMALL = ("bench", "analyze", "--analysis", "attacks", "--analysis", "first-stage")


@pytest.fixture
def folder(tmp_path):
    write_beir(make_task("words"), tmp_path / "words")
    return tmp_path / "words"


def test_tables_and_sentences_are_printed(gmr, folder):
    outcome = gmr(*SMALL, "--task", folder)
    assert outcome.status == 0, outcome.err
    assert "attacks: Can an irrelevant document come further up by words that argue for it?" in outcome.out
    assert "query five times" in outcome.out
    assert "- First stage 'as given'" in outcome.out
    assert "1 task, at most 20 queries each, drawn by lot (seed 0)" in outcome.out
    assert "*: not zero at the 5 % level" in outcome.out


def test_what_does_not_apply_is_named(gmr, folder):
    outcome = gmr("bench", "analyze", "--task", folder, "--analysis", "resolution")
    assert outcome.status == 0, outcome.err
    assert "resolution does not apply to words: no query and no document has a picture." in outcome.out


def test_json_and_files_hold_the_same_numbers(gmr, folder, tmp_path):
    outcome = gmr(
        *SMALL, "--task", folder, "--model", "a", "--model", "b", "--json", "--output", tmp_path / "out"
    )
    assert outcome.status == 0, outcome.err
    record = json.loads(outcome.out)
    assert record == json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert list(record["models"]) == ["a", "b"]
    results = record["models"]["a"]["results"]
    assert [result["name"] for result in results] == ["attacks", "first-stage"]
    assert results[0]["sentences"][0] in (tmp_path / "out" / "analysis.md").read_text()
    assert (tmp_path / "out" / "analysis.html").read_text().startswith("<!DOCTYPE html>")


def test_another_first_stage_stands_beside(gmr, folder, tmp_path):
    task = make_task("words")
    write_run({q: {f"{q}.d1": 2.0, f"{q}.d0": 1.0} for q in task.queries}, tmp_path / "best.trec")
    outcome = gmr(*SMALL, "--task", folder, "--run", tmp_path / "best.trec")
    assert outcome.status == 0, outcome.err
    assert f"First stage '{tmp_path / 'best.trec'}'" in outcome.out


def test_the_help_names_every_analysis(gmr):
    from gmr.bench.analysis.run import ANALYSES

    text = " ".join(gmr("bench", "analyze", "--help").out.split())
    assert all(name in text for name in ANALYSES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--suite", "glyphs", "--analysis", "colour"],
            "--analysis: 'colour' is unknown; there are modality",
        ),
        ([], "name what to measure on"),
        (["--suite", "none"], "--suite: unknown suite 'none'"),
        (["--suite", "glyphs", "--run", "x.trec"], "--run is another first stage of one --task"),
        (["--suite", "glyphs", "--model", "a", "--model", "a"], "--model: 'a' is given twice"),
        (["--suite", "glyphs", "--limit", "0"], "--limit"),
        (["--suite", "glyphs", "--device", "gpu"], "--device is 'gpu'"),
    ],
)
def test_a_wrong_word_is_one_line(gmr, words, message):
    outcome = gmr("bench", "analyze", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
