"""mteb's result files: what it reports, marked as such; nothing that is cut short, of another layout, or NaN."""

import json
from pathlib import Path

import pytest

from gmr.bench.mteb import as_mteb_task, mteb_model, read_result, read_results_folder, reported_rows
from gmr.core.errors import DataError
from gmr.evaluation import evaluate_task
from tests.bench.mteb.tasks import HashScorer, make_task

ENTRY = {
    "hf_subset": "default",
    "languages": ["eng-Latn"],
    "main_score": 0.5,
    "ndcg_at_10": 0.5,
    "map_at_5": 0.25,
}


def result(**changes: object) -> dict:
    record = {
        "dataset_revision": "1",
        "task_name": "T",
        "mteb_version": "2.26.24",
        "scores": {"test": [ENTRY]},
        "evaluation_time": 1.0,
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


def test_a_cache_that_mteb_wrote_is_read_whole(tmp_path: Path) -> None:
    import mteb

    task = make_task(measure="rr@10")
    model = mteb_model(HashScorer(), name="org/model", instruction="find it")
    mteb.evaluate(model, [as_mteb_task(task)], cache=mteb.ResultCache(tmp_path), show_progress_bar=False)
    (scores,) = read_results_folder(tmp_path)
    ours = evaluate_task(HashScorer(), task, measures=["rr@10", "ndcg@10", "recall@5"])
    assert (scores.model, scores.task_name) == ("org/model (instruction_find it)", "tiny")
    assert (scores.subset, scores.split) == ("default", "test")
    assert scores.main == pytest.approx(ours.mean(), abs=6e-7)  # six digits in the file
    for measure in ours.per_query:
        assert scores.value(measure) == pytest.approx(ours.mean(measure), abs=6e-6)
    with pytest.raises(DataError, match=r"mteb reports no ndcg_exp@10; there are"):
        scores.value("ndcg_exp@10")
    header, rows = reported_rows([scores])
    assert dict(zip(header, rows[0], strict=True))["source"] == "reported by mteb, not recomputed"
    assert read_results_folder(tmp_path / "results") == [scores]


def test_areas_under_curves_may_be_undefined(tmp_path: Path) -> None:
    path = tmp_path / "T.json"
    path.write_text(json.dumps(result(scores={"test": [{**ENTRY, "nauc_ndcg_at_10_max": float("nan")}]})))
    (scores,) = read_result(path)
    assert (scores.main, scores.values) == (0.5, {"ndcg@10": 0.5, "ap@5": 0.25})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (json.dumps(result())[:-40], "not valid JSON .* was it cut short"),
        ("[1]", "a JSON object is needed"),
        (result(scores=...), "this is no result of mteb, it lacks scores"),
        (result(task_name=..., dataset_revision=...), "it lacks task_name, dataset_revision"),
        ({"mteb_dataset_name": "T", "test": {}}, "written by mteb older than 1.11"),
        (result(scores={}), "scores must be split -> list of subsets"),
        (result(scores={"test": []}), "split 'test' must have a list of subsets"),
        (
            result(scores={"test": [{"main_score": 1.0}]}),
            "split 'test': scores of a subset name their hf_subset",
        ),
        (result(scores={"test": [{"hf_subset": "de"}]}), "split 'test' subset 'de': there is no main_score"),
        (
            result(scores={"test": [{**ENTRY, "main_score": float("nan")}]}),
            "main_score is nan, no finite number",
        ),
        (
            result(scores={"test": [{**ENTRY, "ndcg_at_10": float("nan")}]}),
            "ndcg_at_10 is nan, no finite number",
        ),
        (result(scores={"test": [{**ENTRY, "main_score": "0.5"}]}), "main_score is '0.5'"),
    ],
)
def test_a_file_that_is_no_whole_result_is_named(record: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "T.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(DataError, match=message) as error:
        read_result(path)
    assert str(error.value).startswith(str(path))


def test_a_folder_without_results_or_of_another_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_results_folder(tmp_path / "none")
    with pytest.raises(DataError, match="no results of mteb"):
        read_results_folder(tmp_path)
    place = tmp_path / "org__model" / "rev" / "deeper"
    place.mkdir(parents=True)
    (place / "T.json").write_text(json.dumps(result()))
    with pytest.raises(
        DataError, match=r"deeper.T.json: mteb writes results to <model>/<revision>/<Task>.json"
    ):
        read_results_folder(tmp_path)
    (place / "T.json").rename(place.parent / "T.json")
    (scores,) = read_results_folder(tmp_path)
    assert (scores.model, scores.revision) == ("org/model", "rev")
