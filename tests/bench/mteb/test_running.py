"""Tasks run by mteb into a folder, and measured again: nothing is run twice, nothing stale is taken."""

import dataclasses
from pathlib import Path

import pytest

from gmr.bench.mteb import as_mteb_task, mteb_model, run_task
from gmr.core.errors import DataError
from gmr.evaluation import evaluate_task
from tests.bench.mteb.tasks import HashScorer, make_task
from tests.bench.mteb.test_model import handmade, texts


def test_mteb_and_we_agree_on_what_mteb_wrote(tmp_path: Path) -> None:
    task = make_task("it2t", query_kind="it")
    run = run_task(mteb_model(HashScorer()), as_mteb_task(task), tmp_path)
    (reported,), (measured,) = run.reported, run.measured
    ours = evaluate_task(HashScorer(), task)
    assert (measured.run, measured.per_query, measured.task_type) == (ours.run, ours.per_query, "it2t")
    assert reported.main == round(ours.mean(), 5)
    assert reported.values["ndcg@10"] == reported.main


def test_what_is_there_is_not_run_again_unless_data_candidates_or_model_changed(tmp_path: Path) -> None:
    task = make_task()
    changed = dataclasses.replace(task, qrels={**task.qrels, "q0": {"d00": 1}})

    def pairs(task_now: object, *, instruction: str | None = None, **options: object) -> int:
        scorer = HashScorer()
        run = run_task(
            mteb_model(scorer, instruction=instruction), as_mteb_task(task_now), tmp_path, **options
        )
        assert run.reported[0].main == round(run.measured[0].mean(), 5)
        return len(scorer.pairs)

    assert pairs(task) == 30
    assert pairs(task) == 0
    assert pairs(changed) == 30  # mteb itself would take the result of the other data
    assert pairs(changed) == 0
    assert pairs(changed, depth=2) == 12
    assert pairs(changed, depth=2) == 0
    assert pairs(changed, first_stage={"q0": {"d01": 1.0}}) == 1
    assert pairs(changed, first_stage={"q0": {"d02": 1.0}}) == 1
    assert pairs(changed, instruction="another") == 30
    assert pairs(changed) == 0
    next((tmp_path / "predictions").glob("*/*/tiny_predictions.json")).unlink()
    assert pairs(changed) == 30  # without predictions there is nothing to measure


def test_the_task_given_keeps_its_candidates(tmp_path: Path) -> None:
    local = as_mteb_task(make_task())
    run_task(mteb_model(HashScorer()), local, tmp_path, depth=1)
    assert {len(listed) for listed in local.dataset["default"]["test"]["top_ranked"].values()} == {5}


def test_a_first_stage_with_ties_is_cut_in_canonical_order(tmp_path: Path) -> None:
    scorer = HashScorer()
    tied = {"q0": dict.fromkeys(["d03", "d07", "d05"], 1.0)}
    run_task(mteb_model(scorer), as_mteb_task(make_task()), tmp_path, first_stage=tied, depth=2)
    assert [document.doc_id for _, document in scorer.pairs] == ["d07", "d05"]


def test_a_main_score_of_mteb_alone_is_reported_and_another_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = handmade("t2t", texts("q", 2), texts("d", 3))
    task.metadata = task.metadata.model_copy(update={"main_score": "nauc_ndcg_at_10_max"})
    run = run_task(mteb_model(HashScorer()), task, tmp_path)
    assert list(run.measured[0].per_query) == ["ndcg@10"]
    assert "nauc_ndcg_at_10_max is none of gmr's measures; ndcg@10 is computed instead" in caplog.text


def test_where_mteb_ignores_the_document_that_is_the_query_so_do_we(tmp_path: Path) -> None:
    task = handmade("t2t", texts("q", 3), [*texts("q", 3), *texts("d", 3)])
    task.ignore_identical_ids = True
    task.dataset["default"]["test"]["relevant_docs"] = {f"q{i}": {f"d{i}": 1} for i in range(3)}
    run = run_task(mteb_model(HashScorer()), task, tmp_path)
    assert all(query_id not in row for query_id, row in run.measured[0].run.items())
    assert run.reported[0].main == round(run.measured[0].mean(), 5)


def test_a_task_of_sounds_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    task = handmade("t2t", texts("q", 2), texts("d", 3))
    task.data_loaded = False
    task.metadata = task.metadata.model_copy(update={"category": "a2t"})
    with pytest.raises(DataError, match="Handmade: category 'a2t'; gmr has t2t, i2i"):
        run_task(mteb_model(HashScorer()), task, tmp_path)


@pytest.mark.parametrize(
    ("options", "damage", "message"),
    [
        ({}, {"top_ranked": None}, "there are no candidates to rerank; give a first stage"),
        ({"first_stage": {"q0": {"zz": 1.0}}}, {}, "query 'q0': candidate 'zz' is not in the corpus"),
        ({"first_stage": {"q0": {"d0": float("nan")}}}, {}, "the score of document 'd0' is nan"),
    ],
)
def test_candidates_that_cannot_be_used_are_named(
    options: dict, damage: dict, message: str, tmp_path: Path
) -> None:
    task = handmade("t2t", texts("q", 2), texts("d", 3), **damage)
    with pytest.raises(DataError, match=message):
        run_task(mteb_model(HashScorer()), task, tmp_path, **options)


def test_one_first_stage_for_several_subsets_is_refused(tmp_path: Path) -> None:
    task = handmade("t2t", texts("q", 2), texts("d", 3))
    task.dataset["other"] = task.dataset["default"]
    with pytest.raises(DataError, match="one first stage for 2 subsets and splits"):
        run_task(mteb_model(HashScorer()), task, tmp_path, first_stage={"q0": {"d0": 1.0}})
