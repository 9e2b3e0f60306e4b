"""The report of a benchmark on the terminal."""

import pytest

from gmr.cli.bench.report import print_report
from gmr.core.nouns import TASK_TYPES
from gmr.evaluation import evaluate_run
from gmr.reports.benchmark import build_benchmark_report
from tests.evaluation.tasks import text_task
from tests.reports.benchmark.samples import BASELINES, made_report, made_results, made_run, made_task

REPORT = made_report(with_published=True)


def printed(capsys, report, width):
    print_report(report, width=width)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
def test_no_table_is_wider_than_the_terminal(capsys, width):
    tasks = [text_task(f"public-set-{i}", TASK_TYPES[i % 9], num_queries=3) for i in range(12)]
    models = (
        ("runs/a-long-name/of-a-model/of-mine", 1.0),
        ("organisation/reranker-2B", 2.0),
        ("c", 2.2),
        ("d", 0.5),
    )
    report = build_benchmark_report(
        tasks, made_results(tasks, models=models), suite="mrb-open", baselines=BASELINES
    )
    lines = printed(capsys, report, width).splitlines()
    # sentences are wrapped by the terminal, or not at all in a pipe; tables are not
    sentences = {
        *report.findings,
        *(f"! {sentence}" for sentence in report.warnings),
        report.published.caution,
    }
    assert max(len(line.rstrip()) for line in lines if line not in sentences) <= width


def test_every_mean_and_every_warning_is_printed(capsys):
    out = printed(capsys, REPORT, 200)
    for row in REPORT.summary:
        for value in row.values.values():
            assert f"{value.mean:.3f}" in out
    for sentence in [*REPORT.findings, *REPORT.warnings]:
        assert sentence in out


def test_names_stand_as_letters_where_they_do_not_fit(capsys):
    narrow, wide = printed(capsys, REPORT, 45), printed(capsys, REPORT, 200)
    assert "A  chance" in narrow
    assert "A  chance" not in wide


def test_the_best_of_a_line_has_a_star_where_there_are_no_intervals(capsys):
    lines = printed(capsys, REPORT, 80).splitlines()
    row = REPORT.rows("type")[0]
    line = next(line for line in lines if line.strip().startswith("T→T"))
    assert f"{max(value.mean for value in row.values.values()):.3f}*" in line
    assert line.count("*") == 1


def test_the_published_table_is_named_as_not_comparable(capsys):
    out = " ".join(printed(capsys, REPORT, 120).split())
    assert out.index("other test sets, not comparable") < out.index("63.85") < out.index("cannot be compared")
    assert "63.85" not in printed(capsys, made_report(), 120)


def test_control_characters_of_names_are_made_visible(capsys):
    task = made_task("a\x1b[2Jb", num_queries=3)
    results = {"m\x1b[31m\u202ex": [evaluate_run(made_run(task, 1.0, 0), task)]}
    report = build_benchmark_report([task], results, suite="s\x07", baselines=())
    for width in (80, 300):
        out = printed(capsys, report, width)
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
        assert r"\x1b" in out
