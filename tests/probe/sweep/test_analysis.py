"""What a report says of a sweep, whole or in part, from its files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gmr.core.files import sha256_file
from gmr.metrics.statistics import holm
from gmr.probe.sweep.analysis import Analysis, analyse
from gmr.probe.sweep.contents import read_contents
from gmr.probe.sweep.files import DONE
from gmr.probe.sweep.levels import LEVELS
from gmr.probe.sweep.report import MARKDOWN, write_report


def test_cells_that_do_not_rank_are_named_and_no_verdict_is_given(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    levels = json.loads((copy / LEVELS).read_text())
    (task,) = levels["chance"]

    def with_chance(value: float) -> Analysis:
        (copy / LEVELS).write_text(json.dumps(levels | {"chance": {task: value}}), encoding="utf-8")
        return write_report(copy)

    worst = min(result.mean.interval.low for result in with_chance(0.0).cells if result.mean) / 100
    assert not any(result.is_at_chance for result in with_chance(worst - 0.01).cells)
    assert "Not above random order" not in (copy / MARKDOWN).read_text()
    some = with_chance(worst)
    assert sum(result.is_at_chance for result in some.cells) >= 1
    none = with_chance(1.0)
    assert all(result.is_at_chance for result in none.cells)
    assert all(result.is_at_chance for result in none.contrasts)
    assert none.contrasts[0].verdict == "cannot tell"
    assert "Not above random order: sft, contrastive." in (copy / MARKDOWN).read_text()


def test_part_of_a_sweep_is_reported_with_what_is_missing(page: Path, straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    for folder in (copy / "runs").glob("contrastive.*.test.*"):
        shutil.rmtree(folder)
    analysis = write_report(copy)
    assert analysis.num_missing == 2
    assert analysis.contrasts[0].effect is None
    assert analysis.contrasts[1].effect is not None
    assert "2 runs are not finished" in (copy / MARKDOWN).read_text()


def test_the_analysis_is_the_mean_difference_of_the_files(straight: Path) -> None:
    analysis = analyse(read_contents(straight))
    values: dict[str, list[float]] = {}
    for folder in sorted((straight / "runs").glob("*.test.*")):
        cell = folder.name.split(".")[0]
        (path,) = (p for p in (folder / "test").iterdir() if "@" not in p.name)
        values.setdefault(cell, []).extend(
            json.loads(line)["value"] for line in path.read_text().splitlines()
        )
    expected = 100 * (np.mean(values["sft"]) - np.mean(values["contrastive"]))
    first = analysis.contrasts[0]
    assert first.effect is not None
    assert first.effect.interval.mean == pytest.approx(expected)
    assert first.effect.num_seeds == 2
    assert first.verdict in ("agree", "disagree", "cannot tell")
    assert analysis.num_missing == 0


def test_of_one_seed_there_is_neither_p_nor_verdict(straight: Path, tmp_path: Path) -> None:
    whole = analyse(read_contents(straight)).contrasts[0]
    assert whole.adjusted_p_value is not None
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    for folder in (copy / "runs").glob("contrastive.*.seed1.test.*"):
        shutil.rmtree(folder)
    first, second = write_report(copy).contrasts
    assert first.effect is not None
    assert (first.effect.num_seeds, first.adjusted_p_value, first.verdict) == (1, None, "cannot tell")
    assert second.adjusted_p_value is not None
    text = (copy / MARKDOWN).read_text()
    assert "With one seed the intervals say nothing about the luck of training, and there is no p." in text
    assert "With one seed" not in (straight / MARKDOWN).read_text()


def test_where_a_run_diverged_there_is_no_verdict(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    (task,) = json.loads((copy / LEVELS).read_text())["chance"]
    levels = json.loads((copy / LEVELS).read_text()) | {"chance": {task: 0.0}}
    (copy / LEVELS).write_text(json.dumps(levels), encoding="utf-8")
    # SFT is far ahead of what is left of contrastive learning.
    for path in (copy / "runs").glob("*.test.*/test/*.jsonl"):
        is_sft = path.parents[1].name.startswith("sft")
        rows = [
            json.loads(line) | {"value": 0.9 if is_sft else 0.1} for line in path.read_text().splitlines()
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        done = json.loads((path.parents[1] / DONE).read_text())
        done["files"][path.relative_to(path.parents[1]).as_posix()] = sha256_file(path)
        (path.parents[1] / DONE).write_text(json.dumps(done), encoding="utf-8")
    assert write_report(copy).contrasts[0].verdict == "agree"
    assert "diverged" not in (copy / MARKDOWN).read_text().split("The verdict looks at")[0]
    (path,) = (copy / "runs").glob("sft.*.seed1.test.*/done.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"outcome": "diverged"}), encoding="utf-8")
    assert write_report(copy).contrasts[0].verdict == "cannot tell"
    assert "Runs diverged: sft (1 of 2). What is compared are the others" in (copy / MARKDOWN).read_text()


def test_contrasts_that_are_not_run_yet_count_in_the_correction(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    for folder in (copy / "runs").glob("contrastive.*.test.*"):
        shutil.rmtree(folder)
    _, depth = analyse(read_contents(copy)).contrasts
    assert depth.effect is not None
    assert depth.adjusted_p_value == min(1.0, 2 * depth.effect.p_value)
    both = analyse(read_contents(straight)).contrasts
    raw = [result.effect.p_value for result in both if result.effect]
    assert [result.adjusted_p_value for result in both] == list(holm(raw))


def test_nothing_is_chosen_while_a_rate_has_not_been_tried(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(straight, copy)
    assert all(result.choice for result in analyse(read_contents(copy)).cells)
    chosen = read_contents(copy).choice("sft")
    assert chosen is not None
    (other,) = set(chosen.values) - {chosen.learning_rate}
    (folder,) = (copy / "runs").glob(f"sft.lr{other}.*.tuning.*")
    shutil.rmtree(folder)
    assert read_contents(copy).choice("sft") is None
