"""A recipe is one page: what it says is what is trained, and what it may not say is refused by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from transformers import TrainingArguments

from gmr.core.config import load_config, to_toml
from gmr.core.errors import ConfigError, DataError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import TrainingExample, TrainingSet
from gmr.modeling.loading import load_model
from gmr.modeling.processor import PromptProcessor
from gmr.objectives import ObjectiveConfig
from gmr.train.arguments import SET_ELSEWHERE, training_arguments
from gmr.train.collator import GroupCollator
from gmr.train.recipe import (
    DataSection,
    EvaluationSection,
    ModelSection,
    Recipe,
    flatten,
    load_recipe,
    packaged_recipes,
)
from gmr.train.run import train
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import training_set
from tests.train.runs import run, tiny_recipe

NAMES = (
    "encoder-text-sft",
    "gmr-3b-sft",
    "gmr-7b-sft",
    "gmr-nano",
    "gmr-nano-cl",
    "gmr-nano-sft",
    "gmr-small-sft",
)


def test_the_packaged_recipes_are_those_promised() -> None:
    assert tuple(packaged_recipes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_recipe_loads_fits_the_trainer_and_survives_being_written(
    name: str, tmp_path: Path
) -> None:
    recipe = load_recipe(name, ["training.bf16=false"])  # bfloat16 arithmetic may be absent here
    assert recipe.name == name
    assert load_config(to_toml(recipe), Recipe) == recipe
    arguments = training_arguments(recipe, tmp_path)
    assert arguments.learning_rate == recipe.training["learning_rate"]
    recipe.objective.build()


@pytest.mark.parametrize(("name", "size"), [("gmr-3b-sft", "3B"), ("gmr-7b-sft", "7B")])
def test_the_large_recipes_hold_the_settings_of_the_paper(name: str, size: str) -> None:
    recipe = load_recipe(name)
    assert recipe.model.base == f"Qwen/Qwen2.5-VL-{size}-Instruct"
    assert recipe.model.max_tokens == 3200
    assert recipe.lora.enabled
    assert recipe.lora.r == 16
    assert recipe.training["learning_rate"] == 1e-4
    assert recipe.training["bf16"] is True
    assert (recipe.data.num_negatives, recipe.data.random_to_hard) == (16, "1:1")
    assert (recipe.objective.weight, recipe.objective.direction) == ("sft", "yes_minus_no")
    assert recipe.head is not None
    assert not recipe.head.trainable


def test_the_two_nano_recipes_differ_in_the_objective_alone() -> None:
    sft, cl = (dict(flatten(load_recipe(name))) for name in ("gmr-nano-sft", "gmr-nano-cl"))
    different = {name for name in sft if sft[name] != cl[name]}
    assert different == {"name", "about", "model.readout", "objective.weight", "objective.direction"}


@pytest.mark.parametrize("side", ["positive_answers", "negative_answers"])
def test_a_set_of_answers_and_a_side_of_ones_own_are_not_mixed(side: str) -> None:
    with pytest.raises(
        ConfigError, match=f"model.answers is 'yes_no', a set .* model.{side} is given as well"
    ):
        load_recipe("gmr-nano-sft", ["model.answers=yes_no", f'model.{side}=["right"]'])
    assert ModelSection(**{side: ("right",)}).answers is None


def test_overrides_and_files_are_read_and_unknown_names_refused(tmp_path: Path) -> None:
    page = tmp_path / "mine.toml"
    page.write_text('name = "mine"\n[data]\npath = "train.jsonl"\n[training]\nmax_steps = 5\n')
    recipe = load_recipe(page, ["training.learning_rate=2e-4", "objective.weight=focal", "lora.enabled=true"])
    assert (recipe.training, recipe.lora.enabled) == ({"max_steps": 5, "learning_rate": 2e-4}, True)
    assert recipe.objective == ObjectiveConfig(weight="focal")
    with pytest.raises(ConfigError, match=r"gmr-nono: no such recipe file, nor .*gmr-nano-sft"):
        load_recipe("gmr-nono")
    with pytest.raises(ConfigError, match=r"unknown key 'lora.rank'"):
        load_recipe(page, ["lora.rank=3"])


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"learning_rat": 1e-4},
            r"unknown key 'training.learning_rat'; did you mean 'training.learning_rate'",
        ),
        ({"bf16": 1}, r"training.bf16 must be true or false, not 1"),
        ({"learning_rate": "fast"}, r"training.learning_rate must be a number, not 'fast'"),
        ({"max_steps": True}, r"training.max_steps must be a number, not True"),
        ({"optim": 3}, r"training.optim must be a string, not 3"),
        ({"lr_scheduler_type": "zigzag"}, r"training: .*zigzag"),
        *[({name: 1}, rf"training\.{name} is not set here") for name in SET_ELSEWHERE],
    ],
)
def test_an_option_that_the_trainer_does_not_take_is_refused_by_name(
    tmp_path: Path, training: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        training_arguments(tiny_recipe(**training), tmp_path)


def test_every_name_that_is_set_elsewhere_is_one_of_the_trainers() -> None:
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    # The newer name of gradient checkpointing came with transformers 5.2x.
    assert set(SET_ELSEWHERE) - {"activation_checkpointing"} <= names


@pytest.mark.parametrize(
    ("data", "evaluation", "message"),
    [
        (DataSection(), EvaluationSection(), "either suite or path"),
        (DataSection(suite="glyphs", path="x"), EvaluationSection(), "either suite or path"),
        (DataSection(path="x", dev="suite"), EvaluationSection(), "needs data.suite"),
        (DataSection(path="x"), EvaluationSection(every=5, keep="best"), "need data.dev"),
        (DataSection(path="x", dev="y"), EvaluationSection(patience=2), "evaluation.every above 0"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(data, evaluation, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe(name="r", data=data, evaluation=evaluation)


@pytest.mark.parametrize("name", ["rows_per_pass", "tokens_per_pass", "length_groups"])
def test_limits_of_passes_below_one_are_refused_with_their_value(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{name} must be at least 1, not 0"):
        ModelSection(**{name: 0})
    with pytest.raises(ConfigError, match=rf"model\.{name} must be at least 1, not -3"):
        load_recipe("gmr-nano", [f"model.{name}=-3"])
    with pytest.raises(ValueError, match=rf"{name} must be at least 1, not 0"):
        GroupCollator(PromptProcessor.from_pretrained(tiny_checkpoint("qwen3")), **{name: 0})


def test_an_objective_with_a_teacher_wants_its_scores_and_then_learns_from_them(tmp_path: Path) -> None:
    recipe = tiny_recipe(objective=ObjectiveConfig(weight="margin_mse"), max_steps=2, save_strategy="no")
    with pytest.raises(DataError, match=r"example 'text-red' has no scores"):
        run(recipe, tmp_path / "without")
    taught = run(recipe, tmp_path / "with", training_set=training_set(teacher=True))
    assert taught.history[0]["loss"] > 0


def test_an_objective_that_counts_other_answers_than_the_model_is_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe(objective=ObjectiveConfig(num_positive=2, direction="yes"))
    with pytest.raises(ConfigError, match=r"num_positive is 2, but the template 'gmr' has 1"):
        run(recipe, tmp_path)


def test_the_recipe_of_the_paper_runs_on_a_tiny_model_and_a_file_of_examples(tmp_path: Path) -> None:
    # Everything at once: bfloat16, adapters, gradient checkpointing, several passes, random and hard negatives.
    Picture.new("RGB", (16, 16), (200, 0, 0)).save(tmp_path / "red.png")
    lines = [
        {
            "query": "red",
            "positives": [{"image": "red.png"}],
            "negatives": ["a blue square", "a green square"],
        },
        {"query": {"image": "red.png"}, "positives": ["a red square"], "negatives": ["a black square"]},
        {"query": "pink", "instruction": "Find it.", "positives": ["pink"], "negatives": ["white"]},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    overrides = [
        f"model.base={tiny_checkpoint('qwen2_5_vl')}",
        f"data.path={tmp_path / 'train.jsonl'}",
        "model.rows_per_pass=3",
        "training.max_steps=3",
        "training.save_steps=2",
        "training.logging_steps=1",
        "training.dataloader_num_workers=0",
        "training.gradient_accumulation_steps=1",
        "training.learning_rate=1e-2",
    ]
    result = train("gmr-3b-sft", output_dir=tmp_path / "run", overrides=overrides, progress=False)
    losses = [line["loss"] for line in result.history if "loss" in line]
    assert len(losses) == 3
    model = load_model(str(result.model_dir), device="cpu", dtype="bfloat16")
    trained = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert trained
    assert all(p.abs().max() > 0 for p in trained)


def test_bad_training_data_ends_the_run_with_one_line_that_names_it(tmp_path: Path) -> None:
    from gmr.core.items import Image

    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    example = TrainingExample(
        "e1", Query("q", (Text("q"),)), (Document("d", (Image(path),)),), (Document("n", (Text("n"),)),), "p"
    )
    data = TrainingSet([example], {"p": []})
    for num_workers in (0, 1):
        with pytest.raises(DataError, match=r"broken\.png") as caught:
            run(tiny_recipe(dataloader_num_workers=num_workers), tmp_path / "run", training_set=data)
        assert "\n" not in str(caught.value)
