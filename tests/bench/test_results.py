"""A folder of results reads back equal, and a file that was changed or cut short is named."""

import json
from pathlib import Path

import pytest

from gmr.bench.results import read_results, set_aside_if_damaged
from gmr.bench.run import CHANCE, Bench, run_bench
from gmr.core.errors import DataError
from gmr.core.trec import read_run
from gmr.metrics.measures import evaluate
from tests.bench.suites import HashSystem, make_task

MEASURES = ("ndcg@10", "rr@10", "recall@5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bench = Bench("toy", [make_task("a/b"), make_task("a-b")], measures=MEASURES, facts={"split": "test"})
    run_bench(bench, [lambda: HashSystem("org/model"), lambda: HashSystem("org-model")], tmp_path)
    return tmp_path


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    bench = Bench("toy", [make_task("a/b"), make_task("a-b")], measures=MEASURES, facts={"split": "test"})
    written = run_bench(bench, [lambda: HashSystem("org/model"), lambda: HashSystem("org-model")], folder)
    read = read_results(folder)
    assert read.results.keys() == written.results.keys()
    for system, results in written.results.items():
        for found, expected in zip(read.results[system], results, strict=True):
            assert found.per_query == expected.per_query
            assert found.coverage == expected.coverage
            assert found.run == ({} if system == CHANCE else {q: dict(s) for q, s in expected.run.items()})
    assert (read.tasks, read.systems, read.costs) == (
        json.loads(json.dumps(written.tasks)),
        written.systems,
        written.costs,
    )


def test_the_files_are_runs_and_values_that_others_can_read(folder: Path) -> None:
    task = make_task("a/b")
    run = read_run(folder / "org-model" / "a-b.trec")
    values = evaluate(run, task.qrels, MEASURES)
    lines = [json.loads(line) for line in (folder / "org-model" / "a-b.jsonl").read_text().splitlines()]
    assert [line["query_id"] for line in lines] == list(task.qrels)
    for measure in MEASURES:
        assert [line[measure] for line in lines] == list(values[measure].values())
    assert {path.name for path in (folder / "org-model-2").iterdir()} == {
        "a-b.trec",
        "a-b.jsonl",
        "a-b-2.trec",
        "a-b-2.jsonl",
    }


@pytest.mark.parametrize("name", ["org-model/a-b.trec", "first-stage/a-b-2.jsonl"])
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        DataError, match=rf"{name}: not the file that results\.json speaks of .* run gmr bench again"
    ):
        read_results(folder)
    path.unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        read_results(folder)


@pytest.mark.parametrize("part", [0, 100, -3])
def test_results_cut_short_are_set_aside_and_made_anew(folder: Path, part: int) -> None:
    path = folder / "results.json"
    whole = path.read_bytes()
    assert set_aside_if_damaged(folder) is None
    path.write_bytes(whole[:part])
    with pytest.raises(DataError, match=r"results\.json: not valid JSON"):
        read_results(folder)
    bench = Bench("toy", [make_task("a/b"), make_task("a-b")], measures=MEASURES, facts={"split": "test"})
    run_bench(bench, [lambda: HashSystem("org/model"), lambda: HashSystem("org-model")], folder)
    assert path.read_bytes() == whole
    assert (folder / "results.json.corrupt").read_bytes() == whole[:part]


def test_another_file_of_that_name_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DataError, match=r"results\.json: of format None; 'gmr bench 1' is read here"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"format": "gmr bench 1", "results": []}')
    with pytest.raises(DataError, match=r"results\.json: these are no results of gmr bench"):
        read_results(tmp_path)
