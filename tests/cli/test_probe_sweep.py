"""``gmr probe plans``, ``sweep`` and ``report``: what is run, what came out, and nothing trained to look at it."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import gmr as package
from tests.cli.stubs import Outcome
from tests.probe.sweep.tiny import write_plan

Gmr = Callable[..., Outcome]
PLANS = Path(package.__file__).parent / "probe" / "plans"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plan(tmp_path_factory.mktemp("plan"))


def test_the_list_has_every_plan_with_its_question(real_gmr: Gmr) -> None:
    outcome = real_gmr("probe", "plans")
    assert outcome.status == 0
    for path in PLANS.glob("*.toml"):
        line = next(line for line in outcome.out.splitlines() if path.stem in line.split())
        assert tomllib.loads(path.read_text())["question"] in line


@pytest.mark.parametrize("command", ["sweep", "report"])
def test_the_help_teaches_by_examples_with_real_options(command: str, real_gmr: Gmr) -> None:
    options, examples = real_gmr("probe", command, "--help").out.split("Examples")
    assert f"gmr probe {command}" in examples
    assert not {word for word in examples.split() if word.startswith("--") and word not in options}


def test_a_dry_run_shows_every_run_and_makes_none(real_gmr: Gmr, page: Path, tmp_path: Path) -> None:
    outcome = real_gmr("probe", "sweep", page, "--dry-run", "--output", tmp_path / "out", "--workers", 2)
    assert outcome.status == 0, outcome.err
    assert "Does it run?" in outcome.out
    lines = [line.split() for line in outcome.out.splitlines() if " of " in line and "columns" not in line]
    assert [line[0] for line in lines] == ["sft", "sft", "contrastive", "contrastive"]
    assert all("4" in line and "32" in line for line in lines)  # steps, prompts: 4 x 2 x (1 + 3)
    assert "8 runs, 2 at a time: how long is known when the first one is finished" in outcome.err
    assert not (tmp_path / "out").exists()


def test_the_small_model_has_an_estimate_in_time(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr(
        "probe", "sweep", "paper-weights", "--dry-run", "--quick", "-o", tmp_path, "--workers", 2
    )
    assert outcome.status == 0, outcome.err
    assert "15 runs, 2 at a time: about" in outcome.err


def test_a_sweep_ends_with_tables_and_the_report_can_be_made_again(
    real_gmr: Gmr, page: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    words = ("probe", "sweep", page, "--quick", "--only", "sft", "--output", folder, "--workers", 1)
    outcome = real_gmr(*words)
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines()[-1] == str(folder / "report.html")
    assert "1 runs are not finished" in outcome.out
    assert "depth" in outcome.out
    again = real_gmr(*words)
    assert "all runs are finished" in again.err
    before = (folder / "report.html").read_bytes()
    report = real_gmr("probe", "report", folder)
    assert report.out == outcome.out == again.out
    several = real_gmr("probe", "report", folder, folder)
    rows = [line.split()[:2] for line in several.out.splitlines() if line.split()[:1] == ["tiny"]]
    assert rows == [["tiny", "SFT"], ["tiny", "depth"]] * 2
    assert several.err.count("1 runs are not finished") == 2
    markdown = real_gmr("probe", "report", folder, "--table", "markdown")
    assert [line.split("|")[1].strip() for line in markdown.out.splitlines()] == [
        "plan",
        ":---",
        "tiny",
        "tiny",
    ]
    assert str(folder / "report.html") in markdown.err
    wrong = real_gmr("probe", "report", folder, "--table", "rtf")
    assert "it must be one of text, markdown, latex, csv" in wrong.err
    assert (folder / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere",), "nowhere: no such plan file, nor a packaged plan"),
        (("paper-head", "--set", "cels.a=1"), "paper-head: unknown key 'cels'"),
        (("paper-head", "--only", "stf"), "has no cell 'stf'; there are sft, frozen"),
        (("paper-head", "--set", "common.training.maxsteps=1"), "plan 'paper-head', cell 'sft, frozen'"),
        (("paper-head", "--set", "recipe=gone.toml"), "gone.toml: no such recipe file"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    real_gmr: Gmr, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    outcome = real_gmr("probe", "sweep", *words, "--dry-run", "--output", tmp_path / "out")
    assert outcome.status == 65
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err


def test_a_report_of_no_sweep_is_refused(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr("probe", "report", tmp_path)
    assert (outcome.status, outcome.out) == (65, "")
    assert "so not the output of gmr probe sweep" in outcome.err
