"""What a probe leaves: files that say all of it, and a page made of them alone."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from gmr.core.errors import DataError
from gmr.probe.gradients import GradientStudy, parse_spec, probe_model
from gmr.probe.gradients.figures import MAX_POINTS, thinned
from gmr.probe.gradients.files import CANDIDATES, PAGE, SUMMARY, TABLES, read_study, write_study
from gmr.probe.gradients.page import gradients_page
from gmr.probe.gradients.tables import curve_table, model_tables
from gmr.probe.gradients.words import sentences
from tests.probe.gradients.groups import coloured_groups
from tests.probe.gradients.models import tiny_model


@cache
def study(num_reports: int = 1) -> GradientStudy:
    specs = [parse_spec(text) for text in ("sft", "contrastive", "listnet,temperature=0.5")]
    report = probe_model(tiny_model(), coloured_groups(pictures=True), specs, name="<tiny>")
    steps = [None] if num_reports == 1 else list(range(0, 10 * num_reports, 10))
    reports = tuple(replace(report, step=step) for step in steps)
    return GradientStudy("squares", {"seed": 0, "objectives": ["sft"]}, {"python": "3"}, reports)


@pytest.mark.parametrize("num_reports", [1, 2])
def test_what_is_written_is_read_and_gives_the_same_files(tmp_path: Path, num_reports: int) -> None:
    write_study(study(num_reports), tmp_path / "a")
    again = read_study(tmp_path / "a")
    assert again == study(num_reports)
    write_study(again, tmp_path / "b")
    for name in (SUMMARY, CANDIDATES, TABLES, PAGE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_line_has_one_candidate_with_every_objective(tmp_path: Path) -> None:
    write_study(study(), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / CANDIDATES).read_text(encoding="utf-8").splitlines()]
    assert len(lines) == sum(study().reports[0].kinds.values())
    assert lines[0]["model"] == "<tiny>"
    assert lines[0]["kind"] == "positive"
    assert set(lines[0]["gradients"]) == {each.name for each in study().reports[0].objectives}


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (SUMMARY, lambda text: text.replace('"format": 1', '"format": 9'), "format 9, this version reads 1"),
        (SUMMARY, lambda text: text.replace('"net_weight"', '"nett"'), "not as gmr probe gradients wrote it"),
        (CANDIDATES, lambda text: text.partition("\n")[0] + "\n", "has 1 of 20 candidates of <tiny>"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, damage: object, message: str) -> None:
    write_study(study(), tmp_path)
    path = tmp_path / name
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_study(tmp_path)


def test_a_folder_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gradients\.json"):
        read_study(tmp_path / "nothing")


def test_the_page_stands_alone_and_shows_every_figure(tmp_path: Path) -> None:
    for number, figures in ((1, 3), (2, 7)):
        write_study(study(number), tmp_path)
        page = (tmp_path / PAGE).read_text(encoding="utf-8")
        assert page.count("<svg") == figures
        assert "&lt;tiny&gt;" in page
        assert "<tiny>" not in page
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "<script" not in page


def test_of_many_models_the_first_and_the_last_have_figures_of_their_own() -> None:
    page = gradients_page(study(6))
    assert page.count("<svg") == 7
    assert [f"<h2>&lt;tiny&gt; step {step}</h2>" in page for step in range(0, 60, 10)] == [
        True,
        *[False] * 4,
        True,
    ]


def test_every_table_is_rectangular_and_has_every_objective() -> None:
    report = study(3).reports[0]
    names = [each.name for each in report.objectives]
    for table in (*model_tables(report), curve_table(study(3))):
        assert {len(row) for row in table.rows} == {len(table.columns)}
    for table in model_tables(report)[:3]:
        assert [row[0] for row in table.rows] == names
    assert len(curve_table(study(3)).rows) == len(names) * 3


def test_sentences_give_the_numbers_of_the_report() -> None:
    report = study().reports[0]
    said = sentences(study())
    for each in report.objectives:
        assert any(
            text.startswith(f"{each.name}:") and f"{each.mean_weight['positive'].mean:.3f}" in text
            for text in said
        )
    assert "from <tiny> step 0 to <tiny> step 20" in sentences(study(3))[1]


def test_a_scatter_of_many_candidates_is_thinned_evenly() -> None:
    candidates = study().reports[0].candidates * 300
    assert len(candidates) > MAX_POINTS >= len(thinned(candidates)) > MAX_POINTS / 2
    assert thinned(()) == ()
