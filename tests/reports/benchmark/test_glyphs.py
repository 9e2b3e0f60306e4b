"""The page of the embedded suite: real pictures, the baselines, and the model of the package."""

from gmr import suites
from gmr.evaluation import evaluate_run, evaluate_task
from gmr.reports.benchmark import build_benchmark_report, write_report
from gmr.reranker import Reranker
from gmr.suites.baselines import PixelCosine, chance_run, first_stage_run
from tests.reports.test_html import Reader


def test_the_embedded_suite_makes_a_whole_report(tmp_path):
    tasks = suites.load("glyphs", task_types=["t2t", "i2i", "it2t"], limit=5)
    pixels, model = PixelCosine(), Reranker("gmr-nano")
    results = {
        "chance": [evaluate_run(chance_run(task), task, expected_under_ties=True) for task in tasks],
        "first stage": [evaluate_run(first_stage_run(task), task) for task in tasks],
        "pixel cosine": [evaluate_task(pixels, task, expected_under_ties=True) for task in tasks],
        "gmr-nano": [evaluate_task(model, task) for task in tasks],
    }
    baselines = {"chance", "first stage", "pixel cosine"}
    report = build_benchmark_report(tasks, results, suite="glyphs", baselines=baselines)
    assert report.models == ["gmr-nano"]
    assert report.unordered == {"chance"}
    assert report.breakdowns[0].fact == "kind"
    # pixels say nothing where a side has no picture: there they have the value of chance, and no order
    words = next(case for case in report.cases if case.task_type == "t2t")
    looks = next(case for case in report.cases if case.task_type == "i2i")
    assert "pixel cosine" not in words.places
    assert "pixel cosine" in looks.places
    write_report(report, tmp_path)
    read = Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not read.open
    assert read.tags.count("image") > 20
