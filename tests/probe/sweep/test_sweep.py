"""A sweep gives the same files whatever stopped it, and its report the same bytes from them."""

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmr.core.errors import ConfigError, DataError, NotFiniteError
from gmr.probe.sweep import execute as execute_module
from gmr.probe.sweep import sweep as module
from gmr.probe.sweep.cells import cells_of
from gmr.probe.sweep.contents import read_contents
from gmr.probe.sweep.execute import cut
from gmr.probe.sweep.files import COST, CURVES, DONE, TRAINING
from gmr.probe.sweep.levels import LEVELS
from gmr.probe.sweep.plan import load_plan
from gmr.probe.sweep.report import FIGURES, MARKDOWN, NUMBERS, PAGE, write_report
from gmr.probe.sweep.runs import RunSpec, _folder_digest, reported_runs, tuning_runs
from gmr.probe.sweep.sweep import Sweep
from tests.probe.sweep.tiny import PLAN, results, write_plan
from tests.train.data import dev_task

NUM_RUNS = 8


pytestmark = pytest.mark.usefixtures("here")


def run_here(sweep: Sweep) -> None:
    """Every run in this very process, one after the other."""
    sweep.run(num_workers=1, over="here", progress=False)


def test_a_sweep_leaves_small_files_for_every_run(straight: Path) -> None:
    folders = sorted((straight / "runs").iterdir())
    assert len(folders) == NUM_RUNS
    for folder in folders:
        assert not (folder / TRAINING).exists()
        record = json.loads((folder / DONE).read_text())
        assert record["outcome"] == "trained"
        assert CURVES in record["files"]
        assert bool(record["test"]) == (".test." in folder.name)
    assert sum(".tuning." in folder.name for folder in folders) == 4


def test_the_rate_that_is_chosen_is_the_best_on_the_development_task(straight: Path) -> None:
    sweep = read_contents(straight)
    for name in sweep.cells:
        choice = sweep.choice(name)
        assert choice is not None
        best = max(choice.values.values(), key=lambda value: value or 0.0)
        assert choice.values[choice.learning_rate or 0.0] == best
        used = {
            float(f.name.split(".lr")[1].split(".seed")[0])
            for f in (straight / "runs").glob(f"{name}.*.test.*")
        }
        assert used == {choice.learning_rate}


def test_a_report_from_the_files_alone_is_the_same_bytes(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the versions of today are, and whether model, data and recipe are still there."""
    monkeypatch.setattr("gmr.core.environment.PACKAGES", ())
    monkeypatch.setattr("gmr.probe.sweep.runs.reported_runs", None)
    monkeypatch.setattr("gmr.probe.sweep.cells.load_recipe", None)
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    figures = [f"{FIGURES}/{path.name}" for path in (straight / FIGURES).iterdir()]
    assert sorted(figures) == [
        f"{FIGURES}/{name}.svg" for name in ("development", "effects", "losses", "weights")
    ]
    before = {name: (copy / name).read_bytes() for name in (PAGE, MARKDOWN, NUMBERS, *figures)}
    for name in before:
        (copy / name).unlink()
    write_report(copy)
    assert {name: (copy / name).read_bytes() for name in before} == before
    assert b"<svg" in before[PAGE]
    assert b"http:" not in before[PAGE].replace(b"http://www.w3.org", b"")


def test_one_cell_run_again_reproduces_its_files_bit_for_bit(
    page: Path, straight: Path, tmp_path: Path
) -> None:
    again = Sweep(load_plan(page), tmp_path / "again", only=["contrastive"])
    run_here(again)
    found = {name: data for name, data in results(tmp_path / "again").items() if name.startswith("runs/")}
    expected = {name: data for name, data in results(straight).items() if name.startswith("runs/contrastive")}
    assert found == expected


def test_a_finished_sweep_makes_no_run_again(
    page: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(num_runs: int) -> Any:
        raise AssertionError("a run was started")

    monkeypatch.setitem(module.OVER, "processes", fail)
    before = results(straight)
    Sweep(load_plan(page), straight).run(num_workers=1, progress=False)
    assert results(straight) == before


def test_a_run_whose_results_are_there_but_not_its_signature_ends_the_same(
    page: Path, straight: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    folder = next((copy / "runs").glob("sft.*.test.*"))
    (folder / DONE).unlink()
    run_here(Sweep(load_plan(page), copy))
    assert results(copy) == results(straight)


def test_what_a_run_killed_after_its_signature_left_is_swept_up(
    page: Path, straight: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    folder = next((copy / "runs").iterdir())
    (folder / TRAINING / "checkpoint-4").mkdir(parents=True)
    (folder / TRAINING / "log.csv").write_text("step\n")
    run_here(Sweep(load_plan(page), copy))
    assert results(copy) == results(straight)


def test_what_killed_writers_left_is_swept_up(page: Path, straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    folder = next((copy / "runs").glob("sft.*.test.*"))
    (folder / DONE).unlink()
    for path in (copy, folder, folder / "test"):
        (path / f".{COST}.abc.tmp").write_text("{")
    run_here(Sweep(load_plan(page), copy))
    assert results(copy) == results(straight)


def test_a_changed_file_is_told_and_not_reported(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    path = next((copy / "runs").glob("sft.*.test.*/test/*.jsonl"))
    path.write_text(path.read_text().replace("value", "valve", 1), encoding="utf-8")
    with pytest.raises(DataError, match="not as its run left it"):
        write_report(copy)


@pytest.mark.slow
def test_a_sweep_that_is_killed_again_and_again_ends_with_the_same_files(
    page: Path, straight: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "gmr", "probe", "sweep", str(page), "-o", str(folder), "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}

    def progress() -> int:
        logs = [*folder.glob("runs/*/training/log.csv"), *folder.glob("runs/*/curves.csv")]
        return sum(len(path.read_text().splitlines()) for path in logs if path.exists())

    for lines in (3, 14):  # in the first run, and some runs later
        with subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            deadline = time.monotonic() + 240
            while progress() < lines and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        time.sleep(2)  # its worker sees that it is gone
    done = len(list(folder.glob(f"runs/*/{DONE}")))
    assert done < NUM_RUNS
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert results(folder) == results(straight)


def other_plan(page: Path, folder: Path) -> Path:
    """Another question about the same cells, by other names, and one more."""
    text = page.read_text().replace('name = "tiny"', 'name = "other"').replace("cells.sft", "cells.first")
    text = text.replace('a = "sft"', 'a = "first"').replace('b = "sft"', 'b = "first"')
    text = text.replace('recipe = "', f'recipe = "{page.parent}/')
    path = folder / "other.toml"
    path.write_text(text + '\n[cells.focal.set]\nobjective.weight = "focal"\n', encoding="utf-8")
    return path


def test_what_another_sweep_has_finished_is_taken_and_the_rest_is_made(
    page: Path, straight: Path, tmp_path: Path
) -> None:
    plan = load_plan(other_plan(page, tmp_path))
    made, taken = tmp_path / "made", tmp_path / "taken"
    run_here(Sweep(plan, made))
    sweep = Sweep(plan, taken, reuse=[straight.parent])
    assert sweep.adopt() == NUM_RUNS
    run_here(sweep)
    for folder in (made, taken):
        write_report(folder)
    assert results(taken) == results(made)
    costs = {cost.parent.name: cost.read_bytes() for cost in straight.glob("runs/contrastive*/cost.json")}
    assert {name: (taken / "runs" / name / "cost.json").read_bytes() for name in costs} == costs


def test_nothing_is_taken_that_differs_or_is_damaged(page: Path, straight: Path, tmp_path: Path) -> None:
    for change in ("common.training.logging_steps=2", "common.training.max_steps=5", "test.depths=[2,3]"):
        sweep = Sweep(load_plan(page, [change]), tmp_path / change, reuse=[straight])
        of_tuning = 4 if change.startswith("test") else 0
        assert sweep.adopt() == of_tuning
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    path = next((copy / "runs").glob("sft.*.tuning.*")) / CURVES
    path.write_text("step\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"curves\.csv: not as its run left it"):
        Sweep(load_plan(page), tmp_path / "damaged", reuse=[copy]).adopt()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="letters: neither the folder of a sweep nor"):
        Sweep(load_plan(page), tmp_path / "nothing", reuse=[tmp_path / "letters"])


def test_a_folder_in_which_no_sweep_is_yet_has_nothing_to_take(
    page: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The first of several plans that all name the folder they are made in.
    (tmp_path / "empty").mkdir()
    for name in ("sweeps", "empty"):
        folder = tmp_path / name
        assert Sweep(load_plan(page), folder / "tiny", reuse=[folder]).adopt() == 0
        assert f"{folder}: no sweep is there yet, so nothing is taken from it" in caplog.text


def test_another_content_of_the_same_folder_makes_another_run(tmp_path: Path) -> None:
    mine = write_plan(tmp_path)
    before = {run.name for run in tuning_runs(load_plan(mine))}
    reported = [run.name for run in reported_runs_of(mine)]
    for side, keeps_tuning in (("test", True), ("dev", False)):
        qrels = next((mine.parent / side / "qrels").iterdir())
        qrels.write_text(qrels.read_text() + qrels.read_text().splitlines()[-1].replace("\t1", "\t0") + "x\n")
        _folder_digest.cache_clear()
        assert ({run.name for run in tuning_runs(load_plan(mine))} == before) == keeps_tuning
        after = [run.name for run in reported_runs_of(mine)]
        assert not set(after) & set(reported)
        reported = after


def reported_runs_of(page: Path) -> list[RunSpec]:
    plan = load_plan(page)
    return [run for cell in cells_of(plan).values() for run in reported_runs(plan, cell, learning_rate=1e-3)]


def test_chance_is_the_mean_over_all_orders(straight: Path) -> None:
    """By hand: one of so many candidates is right, and stands at each rank equally often."""
    levels = json.loads((straight / LEVELS).read_text())
    task = dev_task()
    expected = []
    for query_id, row in task.first_stage.items():
        gains = sorted((task.qrels[query_id].get(doc_id, 0) for doc_id in row), reverse=True)
        orders = [
            sum(gain / math.log2(rank + 2) for rank, gain in enumerate(order[:10]))
            for order in itertools.permutations(gains)
        ]
        expected.append(float(np.mean(orders)) / max(orders))
    assert list(levels["chance"].values()) == pytest.approx([np.mean(expected)])


def test_another_sweeps_folder_is_refused(page: Path, straight: Path, tmp_path: Path) -> None:
    other = load_plan(page, ['name="other"'])
    with pytest.raises(DataError, match="holds the sweep 'tiny', not 'other'"):
        run_here(Sweep(other, straight))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="not the output of a sweep"):
        run_here(Sweep(other, tmp_path / "mine"))
    with pytest.raises(DataError, match="so not the output of gmr probe sweep"):
        write_report(tmp_path)


def test_an_unknown_cell_is_refused(page: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no cell 'stf'; there are sft, contrastive"):
        Sweep(load_plan(page), tmp_path, only=["stf"])


def test_a_rate_that_diverges_is_an_outcome_and_not_chosen(page: Path, tmp_path: Path) -> None:
    plan = load_plan(page, ["tuning.learning_rates=[1e-3,1e30]", "seeds=[0]"])
    sweep = Sweep(plan, tmp_path / "sweep", only=["sft"])
    run_here(sweep)
    choice = sweep.choice("sft")
    assert choice is not None
    assert choice.learning_rate == 1e-3
    assert choice.values == {1e-3: choice.values[1e-3], 1e30: None}
    (path,) = (tmp_path / "sweep" / "runs").glob("*lr1e+30*/done.json")
    assert json.loads(path.read_text())["outcome"] == "diverged"


def test_a_model_whose_scores_are_not_numbers_has_diverged(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise NotFiniteError("scores of 'q' are not finite")

    monkeypatch.setattr(execute_module, "rerank_run", fails)
    plan = load_plan(page, ["tuning.learning_rates=[1e-3]", "seeds=[0]"])
    run_here(Sweep(plan, tmp_path / "sweep", only=["sft"]))
    (path,) = (tmp_path / "sweep" / "runs").glob("sft.*.test.*/done.json")
    done = json.loads(path.read_text())
    assert (done["outcome"], done["reason"]) == ("diverged", "scores of 'q' are not finite")
    assert done["test"] == {}


def test_another_plan_of_the_same_name_is_told_what_it_changes(
    page: Path, straight: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    Sweep(load_plan(page, ['question="What else?"']), copy).adopt()
    assert not caplog.messages
    Sweep(load_plan(page, ["seeds=[0]", "test.limit=3"]), copy).adopt()
    assert f"{copy} was made by a plan with another seeds, test" in caplog.text


def test_a_run_that_fails_is_named(page: Path, tmp_path: Path) -> None:
    plan = load_plan(page, [f"test.folder={tmp_path / 'nothing'}"])
    with pytest.raises(DataError, match="nothing"):
        Sweep(plan, tmp_path / "sweep", only=["sft"]).run(num_workers=1, over="here", progress=False)


def test_a_depth_cuts_what_the_first_stage_has_last() -> None:
    task = dev_task()
    run = {query_id: dict.fromkeys(row, 1.0) for query_id, row in task.first_stage.items()}
    cut_run = cut(run, task, depth=3)
    for query_id, row in cut_run.items():
        assert list(row) == [document.doc_id for document in task.candidates(query_id)[:3]]


def test_the_tiny_plan_is_strict(tmp_path: Path) -> None:
    assert "tuning" in PLAN
    assert load_plan(write_plan(tmp_path), quick=True).seeds == (0,)
