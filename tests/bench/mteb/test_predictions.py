"""mteb's files of predictions: read strictly, measured as a run, written so that mteb reads them."""

import json
from pathlib import Path

import pytest

from gmr.bench.mteb import (
    as_mteb_task,
    find_predictions,
    measure_predictions,
    mteb_model,
    read_predictions,
    write_predictions,
)
from gmr.core.errors import DataError
from gmr.evaluation import evaluate_task, rerank_run
from tests.bench.mteb.tasks import HashScorer, make_task, run_mteb

META = {"model_name": "org/model", "revision": "abc"}


def write(path: Path, record: object) -> Path:
    path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    return path


def test_what_mteb_wrote_is_measured_as_the_run_it_is(tmp_path: Path) -> None:
    task = make_task()
    model = mteb_model(HashScorer(), name="org/model")
    run_mteb(model, as_mteb_task(task), tmp_path)
    (path,) = find_predictions(tmp_path)
    predictions = read_predictions(path)
    assert (predictions.task_name, predictions.model_name) == ("tiny", "org/model")
    assert list(predictions.runs) == [("default", "test")]
    assert measure_predictions(predictions, task, measures=["ndcg@10", "rr"]) == evaluate_task(
        HashScorer(), task, measures=["ndcg@10", "rr"]
    )


def test_our_run_is_a_first_stage_for_mteb(tmp_path: Path) -> None:
    task = make_task(num_candidates=8)
    run = rerank_run(HashScorer(), task)
    path = write_predictions(run, tmp_path, task_name="tiny", model_name="org/model", revision="r")
    assert read_predictions(path).run() == run
    local = as_mteb_task(task).convert_to_reranking(tmp_path, top_k=3)
    best = {q: sorted(row, key=row.__getitem__, reverse=True)[:3] for q, row in run.items()}
    assert local.dataset["default"]["test"]["top_ranked"] == best
    scorer = HashScorer()
    run_mteb(mteb_model(scorer), local, tmp_path / "second")
    assert len(scorer.pairs) == 3 * len(task.queries)


def test_runs_of_other_subsets_stay_in_the_file_and_other_models_are_refused(tmp_path: Path) -> None:
    facts = {"task_name": "t", "model_name": "org/model", "revision": "r"}
    write_predictions({"q": {"d": 1.0}}, tmp_path, subset="de", **facts)
    write_predictions({"q": {"d": 2.0}}, tmp_path, subset="de", split="dev", **facts)
    path = write_predictions({"q": {"d": 3.0}}, tmp_path, subset="en", **facts)
    predictions = read_predictions(path)
    assert {key: run["q"]["d"] for key, run in predictions.runs.items()} == {
        ("de", "test"): 1.0,
        ("de", "dev"): 2.0,
        ("en", "test"): 3.0,
    }
    assert predictions.run(subset="en") == {"q": {"d": 3.0}}
    assert predictions.run(subset="de", split="dev") == {"q": {"d": 2.0}}
    for words, asked in (
        ({}, "one run alone"),
        ({"subset": "de"}, "subset 'de'"),
        ({"split": "x"}, "split 'x'"),
    ):
        with pytest.raises(DataError, match=f"asked for .*{asked}.*there are subset 'de' split 'test'"):
            predictions.run(**words)
    with pytest.raises(DataError, match="holds predictions of org/model, revision r"):
        write_predictions({}, tmp_path, **{**facts, "revision": "other"})
    with pytest.raises(DataError, match="score of document 'd' is nan, no finite number"):
        write_predictions({"q": {"d": float("nan")}}, tmp_path, **facts)
    assert read_predictions(path) == predictions


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"default": {"test": {"q": {"d": 1.0', "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", "a JSON object is needed"),
        ('{"default": {"test": {"q": {"d": NaN}}}}', "NaN is not a number"),
        ('{"default": {"test": {"q": {"d": 1e999}}}}', "query 'q': the score of document 'd' is inf"),
        ('{"default": {"test": {"q": {"d": 1, "d": 2}}}}', "key 'd' is given twice"),
        ({"default": {"test": {"q": {"d": "1.0"}}}}, "query 'q': the score of document 'd' is '1.0'"),
        ({"default": {"test": {"q": {"d": True}}}}, "score of document 'd' is True"),
        ({"default": {"test": {"q": ["d"]}}}, r"query 'q': an object is needed, this is \['d'\]"),
        ({"default": {"test": 1}}, "subset 'default' split 'test': an object is needed"),
        ({"default": []}, "subset 'default': an object is needed"),
        ({"mteb_model_meta": META}, "there are no predictions"),
        ({"mteb_model_meta": "x"}, "mteb_model_meta must be an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(record: object, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t_predictions.json", record)
    with pytest.raises(DataError, match=message) as error:
        read_predictions(path)
    assert str(error.value).startswith(str(path))


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "none.json")
    with pytest.raises(DataError, match="no such folder"):
        find_predictions(tmp_path / "none")
    with pytest.raises(DataError, match=r"no file \*_predictions.json in it"):
        find_predictions(tmp_path)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"q0": {"d00": 1.0}, "zz": {}}, "1 of 2 queries are not in tiny: 'zz'"),
        ({"q0": {"d00": 1.0, "x1": 1.0, "x2": 1.0}}, "2 of 3 documents are not in tiny: 'x1', 'x2'"),
    ],
)
def test_predictions_of_another_task_are_refused(run: dict, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "tiny_predictions.json", {"mteb_model_meta": META, "default": {"test": run}})
    with pytest.raises(DataError, match=message) as error:
        measure_predictions(read_predictions(path), make_task())
    assert str(path) in str(error.value)
