"""Facts about the demo: it runs to the end, goes on where it stopped, and says what its numbers say."""

import json
from dataclasses import replace

import pytest

from gmr.core.errors import DataError
from gmr.demo.run import DemoPlan, run_demo
from gmr.demo.systems import BASE, CHANCE, FIRST_STAGE, PIXELS, SHIPPED, trained_system
from gmr.demo.tables import comparison_lines, results_table, verdicts
from gmr.demo.training import TrainingJob
from gmr.evaluation import Comparison, SummaryRow
from gmr.metrics.statistics import Interval

SFT, CL = (trained_system(objective, 0, num_seeds=1) for objective in ("sft", "cl"))
SYSTEMS = (CHANCE, PIXELS, FIRST_STAGE, BASE, SFT, CL, SHIPPED)


def _row(level: str, label: str, pixels: float = 0.2) -> SummaryRow:
    values = {system.name: Interval(0.5, 0.4, 0.6) for system in SYSTEMS}
    values |= {CHANCE.name: Interval(0.2, 0.2, 0.2), PIXELS.name: Interval(pixels, 0.1, 0.9)}
    return SummaryRow(level, label, 1, 7, values)


def _comparison(
    a: str, b: str, delta: float, p: float, level: str = "mean", label: str = "all"
) -> Comparison:
    interval = Interval(delta, delta - 0.05, delta + 0.05)
    return Comparison(a, b, level, label, interval, p, p, 3, 2, 1)


def test_the_table_has_a_column_for_each_system_and_leaves_pixels_out_where_they_say_nothing():
    table = results_table(
        [_row("type", "t2i"), _row("type", "i2i", pixels=0.7), _row("mean", "all")], SYSTEMS
    )
    head, _, t2i, i2i, mean = table.splitlines()
    assert all(system.name in head for system in SYSTEMS)
    assert " - " in t2i
    assert "0.700 [0.10, 0.90]" in i2i
    assert "T→I" in t2i
    assert " - " in mean


@pytest.mark.parametrize(
    ("delta", "p", "said"),
    [
        (0.2, 0.001, "SFT is ahead of CL here by 0.200"),
        (-0.2, 0.001, "CL is ahead of SFT here by 0.200"),
        (0.2, 0.3, "SFT and CL cannot be told apart here (p = 0.30)"),
    ],
)
def test_the_verdict_on_the_two_objectives_follows_the_test(delta, p, said):
    lines = verdicts([_row("mean", "all")], [_comparison("SFT", "CL", delta, p)], SYSTEMS)
    assert any(said in line for line in lines)


def test_task_types_are_counted_by_interval_and_again_after_correction():
    rows = [_row("type", "t2i"), _row("type", "i2i"), _row("type", "i2t")]
    comparisons = [
        _comparison("SFT", "base", 0.2, 0.01, "type", "t2i"),
        _comparison("SFT", "base", 0.2, 0.2, "type", "i2i"),
        _comparison("SFT", "base", 0.04, 0.01, "type", "i2t"),
    ]
    line = next(line for line in verdicts(rows, comparisons, SYSTEMS) if line.startswith("SFT beats"))
    assert "the base in 2 of 3 task types (1 after correction)" in line
    assert "the first stage in 0 of 3 task types (0 after correction)" in line


def test_only_comparisons_over_all_types_are_told_line_by_line():
    comparisons = [_comparison("SFT", "CL", 0.1, 0.5), _comparison("SFT", "CL", 0.1, 0.5, "type", "t2i")]
    (line,) = comparison_lines(comparisons)
    assert line.startswith("SFT - CL: +0.100 [+0.050, +0.150], p = 0.5000")


def test_a_job_of_other_length_or_seed_is_another_job(tmp_path):
    job = TrainingJob("SFT", "gmr-nano-sft", tmp_path, 10, 0)
    assert len({job.key, replace(job, num_steps=11).key, replace(job, seed=1).key}) == 3


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="not empty and not the output of an earlier demo"):
        run_demo(tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_the_demo_runs_to_the_end_and_a_second_call_trains_and_scores_nothing_anew(tmp_path):
    plan = DemoPlan(num_steps=2, num_queries=2)
    first = run_demo(tmp_path, plan=plan, progress=False)
    page = first.report.read_text(encoding="utf-8")
    assert "<svg" in page
    assert "data:image/png" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {system.name for system in SYSTEMS}
    assert len(list((tmp_path / "trec").glob("*.trec"))) == 9 * len(SYSTEMS)
    assert "SFT - CL" in str(first)

    models = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/model/model.safetensors")}
    scored = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/*.json")}
    assert len(models) == 2
    assert len(scored) == 9 * 4
    again = run_demo(tmp_path, plan=plan, progress=False)
    assert {path: path.stat().st_mtime_ns for path in models} == models
    assert {path: path.stat().st_mtime_ns for path in scored} == scored
    assert again.rows == first.rows
