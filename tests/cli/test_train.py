"""``gmr train``: recipes are listed and run; what a run leaves can be ranked with."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate import PartialState

import gmr as package
from gmr.train.run import TrainResult
from tests.cli.stubs import Outcome
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint

Gmr = Callable[..., Outcome]
RECIPES = Path(package.__file__).parent / "train" / "recipes"


def test_the_list_has_every_recipe_with_its_line(real_gmr: Gmr) -> None:
    outcome = real_gmr("train", "--list")
    assert outcome.status == 0
    pages = {path.stem: tomllib.loads(path.read_text()) for path in RECIPES.glob("*.toml")}
    assert pages
    for name, page in pages.items():
        line = next(line for line in outcome.out.splitlines() if name in line.split())
        assert page["about"] in line


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Two steps on a tiny checkpoint with four examples of text."""
    rows = [
        f'{{"query": "{word}", "positives": ["the {word}"], "negatives": ["nothing", "something"]}}\n'
        for word in ("one", "two", "three", "four")
    ]
    (tmp_path / "train.jsonl").write_text("".join(rows))
    page = tmp_path / "tiny.toml"
    page.write_text(f"""
name = "tiny"
[model]
base = "{tiny_checkpoint("qwen2_5_vl")}"
max_tokens = 256
[data]
path = "{tmp_path / "train.jsonl"}"
num_negatives = 2
[training]
max_steps = 2
per_device_train_batch_size = 2
use_cpu = true
dataloader_num_workers = 0
""")
    return page


def test_a_recipe_is_trained_and_its_model_ranks(real_gmr: Gmr, recipe: Path, tmp_path: Path) -> None:
    outcome = real_gmr("train", recipe, "--output", tmp_path / "run", "--set", "training.max_steps=3")
    assert outcome.status == 0, outcome.err
    model = tmp_path / "run" / "model"
    assert outcome.out.splitlines()[-1] == str(model)
    assert "3 steps" in outcome.err
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    ranked = real_gmr(
        "rank", "--model", model, "--query", "one", "--documents", tmp_path / "texts.txt", "--json"
    )
    assert len(ranked.out.splitlines()) == 2
    facts = real_gmr("info", model)
    assert "qwen2_5_vl" in facts.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing-of-that-name"], "nothing-of-that-name"),
        (["RECIPE", "--set", "training.learning_rat=1"], "learning_rat"),
        (["RECIPE", "--set", "modle.base=x"], "modle"),
        (["RECIPE", "--set", "model.max_tokens=many"], "max_tokens"),
        (["RECIPE", "--set", "model.base=/no/such/folder"], "/no/such/folder"),
        (["RECIPE", "--set", "data.path=/no/such.jsonl"], "/no/such.jsonl"),
        (["RECIPE", "--set", "data.dev=/no/such/folder"], "data.dev: /no/such/folder"),
        (["RECIPE", "--resume", "/no/such/checkpoint"], "/no/such/checkpoint"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named_in_one_line(
    real_gmr: Gmr, recipe: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    words = [str(recipe) if word == "RECIPE" else word for word in words]
    outcome = real_gmr("train", *words, "--output", tmp_path / "run")
    assert outcome.status == 65
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in outcome.err


def test_a_run_that_is_complete_says_so(real_gmr: Gmr, recipe: Path, tmp_path: Path) -> None:
    first = real_gmr("train", recipe, "--output", tmp_path / "run")
    again = real_gmr("train", recipe, "--output", tmp_path / "run")
    assert (again.status, again.out) == (0, first.out)
    assert "is complete already" in again.err
    assert "is complete already" not in first.err


def test_broken_pictures_are_named_before_the_first_step(real_gmr: Gmr, recipe: Path, tmp_path: Path) -> None:
    noise_picture(40, 60).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-400])
    (tmp_path / "text.png").write_text("no picture")
    with (tmp_path / "train.jsonl").open("a") as file:
        for name in ("cut", "text", "cut"):
            file.write(
                f'{{"query": "five", "positives": [{{"image": "{name}.png"}}], "negatives": ["a", "b"]}}\n'
            )
    outcome = real_gmr("train", recipe, "--output", tmp_path / "run", "--set", "training.max_steps=4")
    assert (outcome.status, outcome.err.count("\n")) == (65, 1)
    assert (
        "train.jsonl: 2 pictures cannot be used, and nothing was trained: example 'train.jsonl:5': "
        in outcome.err
    )
    assert outcome.err.index("cut.png: image is cut short") < outcome.err.index("example 'train.jsonl:6'")
    assert not (tmp_path / "run").exists()


def test_of_several_processes_one_prints_the_result(
    real_gmr: Gmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = TrainResult(tmp_path, tmp_path / "model", 7, 0, (), (), 1.0)
    monkeypatch.setattr("gmr.train.run.train", lambda *_, **__: result)
    for is_first in (True, False):
        monkeypatch.setattr(PartialState, "is_main_process", is_first)
        outcome = real_gmr("train", "gmr-nano-sft", "--output", tmp_path)
        assert outcome.status == 0
        assert bool(outcome.out) is bool(outcome.err) is is_first
