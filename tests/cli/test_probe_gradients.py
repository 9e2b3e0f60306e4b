"""``gmr probe gradients``: tables, files and figures of a batch; what is wrong with a command is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stubs import Outcome
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.suites.tiny import write_emoji
from tests.train.runs import run, tiny_recipe

Gmr = Callable[..., Outcome]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        f'{{"query": "{word}", "positives": ["the {word}"], "negatives": ["nothing", "something"]}}\n'
        for word in ("one", "two", "three", "four")
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(rows), encoding="utf-8")
    return path


def tiny() -> str:
    return str(tiny_checkpoint("qwen2_5_vl"))


def test_it_prints_a_row_for_every_objective_and_writes_files(
    real_gmr: Gmr, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("--objective", "sft", "--objective", "contrastive", "--temperature", "0.5", "--negatives", "3")
    outcome = real_gmr(
        "probe", "gradients", "-m", tiny(), "--data", data, "--queries", "3", *words, "-o", out
    )
    assert outcome.status == 0
    assert f"{data}: 3 queries, candidates: 3 positive" in outcome.out
    for title in (
        "Measured gradient against",
        "Weights",
        "Shares of the gradient",
        "Objectives against",
        "Norm of",
    ):
        assert title in outcome.out
    assert "contrastive/yes,temperature=0.5" in outcome.out
    content = json.loads((out / "gradients.json").read_text(encoding="utf-8"))
    names = [each["name"] for each in content["reports"][0]["objectives"]]
    assert names == ["sft/yes_minus_no", "contrastive/yes,temperature=0.5"]
    assert content["settings"]["negatives"] == 3
    assert sorted(path.name for path in out.iterdir()) == [
        "candidates.jsonl",
        "gradients.html",
        "gradients.json",
        "gradients.md",
    ]


def test_tables_and_page_are_made_again_from_the_files(real_gmr: Gmr, data: Path, tmp_path: Path) -> None:
    first = real_gmr("probe", "gradients", "-m", tiny(), "--data", data, "-o", tmp_path / "a")
    again = real_gmr("probe", "gradients", "--redraw", tmp_path / "a", "-o", tmp_path / "b")
    assert again.out == first.out.replace(str(tmp_path / "a"), str(tmp_path / "b"))
    for name in ("gradients.html", "gradients.json", "candidates.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_suite_that_is_read_from_a_folder_gives_a_batch(real_gmr: Gmr, tmp_path: Path, split: str) -> None:
    write_emoji(tmp_path)
    words = ("probe", "gradients", "-m", tiny(), "--suite", "emoji", "--split", split, "--parameters", "none")
    outcome = real_gmr(*words, "--data-root", tmp_path, "--queries", 2)
    assert outcome.status == 0, outcome.err
    assert f"emoji, {split}: 2 queries" in outcome.out
    refused = real_gmr(*words)
    assert refused.status == 65
    assert "emoji is read from files: give --data-root" in refused.err


def test_more_queries_than_there_are_is_said(real_gmr: Gmr, data: Path) -> None:
    outcome = real_gmr("probe", "gradients", "-m", tiny(), "--data", data, "--parameters", "none")
    assert "the data has 4 queries, and 16 were asked for: these are all" in outcome.err
    assert "Norm of" not in outcome.out


def test_a_run_is_probed_over_its_steps_with_its_own_objective(
    real_gmr: Gmr, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "squares"
    run(tiny_recipe(dev=""), folder, dev_tasks=[])
    words = ("--data", data, "--queries", "2", "--negatives", "2")
    outcome = real_gmr("probe", "gradients", "--run", folder, *words, "-o", tmp_path / "out")
    assert outcome.status == 0
    for step in (0, 2, 4):
        assert f"squares step {step}" in outcome.out
    assert "from squares step 0 to squares step 4" in outcome.out
    content = json.loads((tmp_path / "out" / "gradients.json").read_text(encoding="utf-8"))
    assert [report["step"] for report in content["reports"]] == [0, 2, 4]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--objective", "sfd"), 65, "objective 'sfd': weight 'sfd' is unknown: did you mean 'sft'"),
        (("--objective", "sft", "--objective", "sft"), 65, "objective 'sft/yes_minus_no' is given twice"),
        (("--parameters", "some"), 2, "--parameters is 'some': it must be one of auto, all, adapter"),
        (("--run", "x", "--model", "y"), 2, "--run brings its own models: leave --model out"),
        (("--run", "x"), 65, "x is no folder of a run"),
        (("--suite", "glyphs", "--data", "x"), 2, "--suite and --data both name the batch"),
        (("--suite", "glyph"), 65, "unknown suite 'glyph'"),
        (("--random-to-hard", "1"), 65, "random_to_hard must be a ratio such as '1:1', not '1'"),
        (("--device", "gpu"), 2, "--device is 'gpu'"),
        (("-m", "a", "-m", "a"), 2, "--model: 'a' is given twice"),
        (("--redraw", "nothing"), 65, "nothing/gradients.json"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    real_gmr: Gmr, words: tuple[str, ...], status: int, message: str
) -> None:
    outcome = real_gmr("probe", "gradients", *words)
    assert outcome.status == status
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
