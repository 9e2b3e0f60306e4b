"""The models of a run: its base, then every checkpoint, with the weights that training had there."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gmr.core.errors import ConfigError
from gmr.modeling.loading import load_model
from gmr.objectives import ObjectiveConfig
from gmr.probe.gradients.checkpoints import models_of_run, objectives_of, read_recipe
from gmr.probe.gradients.specs import parse_spec
from tests.train.runs import assert_bitwise_equal, parameters, run, tiny_recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=[False, True], ids=["full", "lora"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run(
        tiny_recipe(lora=request.param, objective=ObjectiveConfig(weight="focal"), dev=""),
        folder,
        dev_tasks=[],
    )
    return folder


def test_steps_go_from_the_base_to_the_final_model(finished: Path) -> None:
    recipe = read_recipe(finished)
    found = {step: parameters(model) for step, model in models_of_run(recipe, finished, device=CPU)}
    assert list(found) == [0, 2, 4]
    final = load_model(finished / "model", device="cpu")
    last = {name.replace(".default", ""): each for name, each in found[4].items()}
    assert_bitwise_equal(
        {name.replace(".default", ""): each for name, each in parameters(final).items()}, last
    )
    assert any(not torch.equal(found[0][name], found[2][name]) for name in found[0])


def test_adapters_start_as_those_of_a_run_that_named_no_seed(tmp_path: Path) -> None:
    recipe = tiny_recipe(lora=True, dev="", learning_rate=0.0, max_steps=2)
    recipe = replace(recipe, training={k: v for k, v in recipe.training.items() if k != "seed"})
    run(recipe, tmp_path, dev_tasks=[])  # that changes nothing, so its checkpoint is what it started from
    found = {step: parameters(model) for step, model in models_of_run(recipe, tmp_path, device=CPU)}
    assert_bitwise_equal(found[0], found[2])


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = finished / "checkpoint-2" / "trained.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    try:
        with caplog.at_level(logging.WARNING, logger="gmr"):
            steps = [step for step, _ in models_of_run(read_recipe(finished), finished, device=CPU)]
    finally:
        weights.write_bytes(whole)
    assert steps == [0, 4]
    assert "checkpoint checkpoint-2 is passed over" in caplog.text


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no folder of a run: it has no recipe.toml"):
        read_recipe(tmp_path)
    with pytest.raises(ConfigError, match=r"holds no checkpoint: train with training.save_steps"):
        next(models_of_run(read_recipe(finished), tmp_path, device=CPU))


def test_the_objective_of_the_run_comes_first_and_once(finished: Path) -> None:
    specs = [parse_spec("sft"), parse_spec("focal")]
    names = [spec.name for spec in objectives_of(read_recipe(finished), specs)]
    assert names == ["focal/yes_minus_no", "sft/yes_minus_no"]
