"""``gmr evaluate``: the numbers of the library, on the terminal and in files."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gmr.core.datasets import write_beir
from gmr.core.files import file_names
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_run, write_run
from gmr.metrics.measures import evaluate
from tests.cli.stubs import Outcome, WordOverlap

Gmr = Callable[..., Outcome]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def task(name: str = "words", *, pictures: bool = False) -> RerankTask:
    """Each word as a query; its document says it among others, so that overlap finds it."""
    square = Image(PIL.Image.new("RGB", (8, 8), "red"))
    extra: Item = (square,) if pictures else ()
    queries = {f"q-{word}": Query(f"q-{word}", (*extra, Text(word))) for word in WORDS}
    corpus = {f"d-{word}": Document(f"d-{word}", (*extra, Text(f"this is {word}"))) for word in WORDS}
    generator = np.random.default_rng(0)
    first_stage = {
        query: dict(zip(corpus, generator.permutation(len(corpus)) * 0.5, strict=True)) for query in queries
    }
    qrels = {f"q-{word}": {f"d-{word}": 1} for word in WORDS}
    return RerankTask(name, "it2it" if pictures else "t2t", queries, corpus, qrels, first_stage)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_beir(task(), tmp_path / "words")
    return tmp_path / "words"


def table_row(outcome: Outcome, label: str) -> list[str]:
    lines = [line for line in outcome.out.splitlines() if line.strip().startswith(label)]
    assert lines, outcome
    return lines[0].split()


def test_the_table_has_model_first_stage_and_chance(gmr: Gmr, folder: Path) -> None:
    outcome = gmr("evaluate", "--model", "overlap", "--task", folder, "--measure", "rr")
    assert outcome.status == 0, outcome.err
    row = table_row(outcome, "words (T→T)")
    first_stage = np.mean(list(evaluate(task().first_stage, task().qrels, ["rr"])["rr"].values()))
    chance = np.mean([1 / rank for rank in range(1, len(WORDS) + 1)])
    assert row[2:4] == [str(len(WORDS)), f"{chance:.3f}"]
    assert row[4] == f"{first_stage:.3f}"
    assert row[-3] == "1.000"


def test_pixel_cosine_stands_beside_where_both_sides_have_pictures(
    gmr: Gmr, tmp_path: Path, folder: Path
) -> None:
    write_beir(task("both", pictures=True), tmp_path / "both")
    assert "pixel cosine" in gmr("evaluate", "--model", "m", "--task", tmp_path / "both").out
    assert "pixel cosine" not in gmr("evaluate", "--model", "m", "--task", folder).out


def test_models_are_tested_against_the_first_stage_and_each_other(gmr: Gmr, folder: Path) -> None:
    outcome = gmr("evaluate", "--model", "one", "--model", "two", "--task", folder)
    tests = outcome.out.split("paired randomisation tests")[1]
    pairs = {tuple(line.split()[1:3]) for line in tests.splitlines() if line.strip().startswith("words")}
    assert pairs == {("one", "first"), ("two", "first"), ("two", "one")}
    row = next(line.split() for line in tests.splitlines() if line.split()[1:3] == ["two", "one"])
    assert row[3:] == ["0.000", "[0.000,", "0.000]", "1.0000", f"0/{len(WORDS)}/0"]


def test_several_tasks_have_a_mean_in_which_each_weighs_the_same(
    gmr: Gmr, tmp_path: Path, folder: Path
) -> None:
    write_beir(task("more"), tmp_path / "more")
    outcome = gmr("evaluate", "--model", "m", "--task", folder, "--task", tmp_path / "more")
    assert table_row(outcome, "mean")[1] == str(2 * len(WORDS))


def test_the_folder_of_results_holds_runs_queries_tables_and_a_page(
    gmr: Gmr, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    measures = ["--measure", "rr", "--measure", "ndcg@3"]
    assert gmr("evaluate", "--model", "a/b", "--task", folder, *measures, "--output", output).status == 0

    run = read_run(output / "a-b" / "words.trec")
    scores = dict(zip(task().pairs(), WordOverlap("m").score(task().pairs()).tolist(), strict=True))
    assert run == {
        query_id: {d.doc_id: score for (q, d), score in scores.items() if q.query_id == query_id}
        for query_id in run
    }
    record = json.loads((output / "a-b" / "words.json").read_text())
    assert record["system"] == "a/b"
    assert record["per_query"]["rr"] == evaluate(run, task().qrels, ["rr"])["rr"]
    assert set(record["per_query"]) == {"rr", "ndcg@3"}
    assert not (output / "chance" / "words.trec").exists()

    summary = json.loads((output / "results.json").read_text())
    assert summary["summary"]["rr"][0]["values"]["a/b"]["mean"] == 1.0
    assert summary["environment"]["gmr"]
    assert summary["seed"] == 0
    for suffix in ("md", "tex", "csv"):
        assert "1.000" in (output / f"results.{suffix}").read_text()
    rows = list(csv.reader((output / "results.csv").read_text().splitlines()))
    assert rows[0][3:] == ["chance", "first stage", "a/b"]
    assert "RR of a/b" in (output / "results.html").read_text()


def test_a_run_file_is_measured_without_a_model(gmr: Gmr, tmp_path: Path) -> None:
    qrels = tmp_path / "test.qrels"
    qrels.write_text("q1 0 a 1\nq2 0 b 1\n")
    write_run({"q1": {"a": 2.0, "b": 1.0}, "q2": {"a": 2.0, "b": 1.0}}, tmp_path / "x.trec")
    write_run({"q1": {"a": 2.0, "b": 1.0}, "q2": {"a": 1.0, "b": 2.0}}, tmp_path / "y.trec")
    words = ["--run", tmp_path / "x.trec", "--run", tmp_path / "y.trec", "--qrels", qrels, "--measure", "rr"]
    outcome = gmr("evaluate", *words, "--output", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    row = table_row(outcome, "test.qrels")
    assert (row[1], row[2], row[5]) == ("2", "0.750", "1.000")
    assert not WordOverlap.made
    assert (tmp_path / "out" / "results.html").is_file()


def test_a_first_stage_may_come_from_a_run(gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    run = {f"q-{word}": {f"d-{word}": 1.0, "d-alpha": 0.5} for word in WORDS}
    write_run(run, tmp_path / "bm25.trec")
    words = ["--task", folder, "--first-stage", tmp_path / "bm25.trec", "--measure", "rr"]
    row = table_row(gmr("evaluate", "--model", "m", *words), "words (T→T)")
    assert row[4] == "1.000"


def test_the_measure_of_the_task_is_taken_when_none_is_named(gmr: Gmr, folder: Path) -> None:
    about = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps(about | {"measure": "recall@3"}))
    assert "recall@3, mean" in gmr("evaluate", "--model", "m", "--task", folder).out


def test_the_embedded_suite_is_measured_by_name(gmr: Gmr) -> None:
    words = ["--suite", "glyphs", "--limit", 2, "--task-type", "t2t", "--task-type", "i2i"]
    outcome = gmr("evaluate", "--model", "m", *words)
    assert outcome.status == 0, outcome.err
    assert table_row(outcome, "mean")[1] == "4"


def test_file_names_of_different_systems_differ_and_stay_inside_the_folder() -> None:
    names = file_names(["a/b", "a-b", "A-B", "../../x", "..", "", "first stage", "漢"])
    chosen = list(names.values())
    assert len({name.lower() for name in chosen}) == len(chosen)
    assert not [name for name in chosen if "/" in name or name.startswith(".") or not name]
