"""Graded answers, policy gradients and preferences as recipes: they train, go on after a crash, and rank."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from gmr.core.config import to_toml
from gmr.core.errors import ConfigError, ModelError
from gmr.modeling.loading import load_model
from gmr.objectives import ObjectiveConfig
from gmr.reranker import Reranker
from gmr.train.balance import BalancedSampler, StepShape
from gmr.train.collator import GroupCollator
from gmr.train.length_packing import PackedSampler
from gmr.train.recipe import ModelSection, Recipe
from gmr.train.reference import count_groups, reference_table
from gmr.train.sampling import EpochSampler, GroupDataset, SamplingConfig
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import training_set
from tests.train.runs import assert_bitwise_equal, run, tiny_recipe, weights
from tests.train.test_balance import steps_of
from tests.train.test_distributed import launch
from tests.train.test_resume import Crash, CrashAt

GRADES: dict[str, Any] = {"answers": "grades_0_9", "readout": "expectation_odds"}


def grades(weight: str, **options: Any) -> ObjectiveConfig:
    return ObjectiveConfig(weight=weight, direction="answers", num_positive=5, **options)


OBJECTIVES = {
    "grades": grades("grades"),
    "policy": grades("policy_gradient", num_rollouts=3, kl=0.1),
    "r_rr": grades("policy_gradient", num_rollouts=3, reward="reciprocal_rank", advantage="leave_one_out"),
    "sft_preference": ObjectiveConfig(weight="sft_preference", num_positive=5),
}


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_run_that_crashed_ends_with_the_bits_of_a_straight_one(
    tmp_path: Path, name: str, lora: bool
) -> None:
    recipe = tiny_recipe(objective=OBJECTIVES[name], model=GRADES, lora=lora)
    straight = run(recipe, tmp_path / "straight")
    with pytest.raises(Crash):
        run(recipe, tmp_path / "crashed", callbacks=[CrashAt(3)])
    torch.manual_seed(123)
    resumed = run(recipe, tmp_path / "crashed")
    assert_bitwise_equal(weights(resumed), weights(straight))
    assert (tmp_path / "crashed" / "log.csv").read_text() == (tmp_path / "straight" / "log.csv").read_text()


def test_a_graded_model_is_saved_with_its_answers_and_ranks_by_its_grades(tmp_path: Path) -> None:
    result = run(tiny_recipe(objective=OBJECTIVES["grades"], model=GRADES), tmp_path)
    assert result.model_dir is not None
    model = load_model(result.model_dir)
    assert (model.readout, len(model.answer_ids), model.num_positive) == ("expectation_odds", 10, 5)
    assert not (result.model_dir / "modules.json").exists()  # sentence-transformers has no form for it
    scores = {}
    for readout in ("expectation_odds", "expectation"):
        reranker = Reranker(load_model(result.model_dir, readout=readout))
        found = reranker.rank("a red square", ["red", "blue", "green"])
        scores[readout] = {place.doc_id: place.score for place in found}
    for doc_id, odds in scores["expectation_odds"].items():
        assert 9 * torch.tensor(odds).sigmoid().item() == pytest.approx(
            scores["expectation"][doc_id], rel=1e-4
        )


def test_the_second_stage_starts_from_the_model_of_the_first(tmp_path: Path) -> None:
    first = run(tiny_recipe(objective=OBJECTIVES["grades"], model=GRADES), tmp_path / "sft")
    recipe = tiny_recipe(objective=OBJECTIVES["policy"])
    second = Recipe(
        name="rl",
        model=ModelSection(base=str(first.model_dir), max_tokens=512),
        data=recipe.data,
        objective=recipe.objective,
        training=recipe.training,
    )
    result = run(second, tmp_path / "rl")
    assert len(load_model(result.model_dir).answer_ids) == 10
    assert -1 <= result.history[0]["loss"] < 0  # minus the mean nDCG, at the reference itself


@pytest.mark.parametrize("split", [{"rows_per_pass": 2}, {"engine": "padded"}])
def test_how_a_batch_is_cut_changes_no_sample(tmp_path: Path, split: dict[str, Any]) -> None:
    options = {"objective": OBJECTIVES["policy"], "max_steps": 2, "optim": "sgd", "learning_rate": 0.1}
    whole = run(tiny_recipe(model=GRADES, **options), tmp_path / "whole")
    cut = run(tiny_recipe(model={**GRADES, **split}, **options), tmp_path / "cut")
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(cut)[name], tensor, rtol=0, atol=1e-5)


def test_reference_logits_are_the_base_model_s_and_are_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), max_tokens=512)
    dataset = GroupDataset(training_set(pictures=True), SamplingConfig(num_negatives=3), seed=1)
    options: dict[str, Any] = {"num_groups": 32, "run_dir": tmp_path, "identity": {"a": 1}}
    table = reference_table(model, dataset, **options)
    for epoch in range(2):
        for index in range(len(dataset)):
            group = dataset[epoch, index]
            prompts = model.processor.encode_many((group.query, document) for document in group.documents)
            with torch.inference_mode():
                alone = torch.cat([model(**model.processor.collate([prompt])) for prompt in prompts])
            rows = torch.tensor([table[index, document.doc_id] for document in group.documents])
            torch.testing.assert_close(rows, alone, rtol=0, atol=2e-5)

    monkeypatch.setattr("gmr.train.reference._compute", None)  # a second time there is nothing to compute
    assert reference_table(model, dataset, **options) == table
    monkeypatch.undo()
    written = (tmp_path / "reference.safetensors").read_bytes()
    (tmp_path / "reference.safetensors").write_bytes(written[:50])
    assert reference_table(model, dataset, **options) == table
    assert reference_table(model, dataset, **{**options, "identity": {"a": 2}}) == table
    assert load_file(tmp_path / "reference.safetensors")["logits"].shape == (len(table), 2)


@settings(deadline=None, max_examples=200)
@given(
    costs=st.lists(st.integers(1, 100), min_size=8, max_size=30),
    num_processes=st.integers(1, 3),
    batch_size=st.integers(1, 3),
    accumulated=st.integers(1, 2),
    window=st.integers(0, 3),
    drop_last=st.booleans(),
    length=st.integers(1, 20) | st.sampled_from([0.3, 1.0, 1.5, 2.0]),
)
def test_the_groups_that_a_reference_is_made_for_are_all_that_a_run_draws(
    costs: list[int],
    num_processes: int,
    batch_size: int,
    accumulated: int,
    window: int,
    drop_last: bool,
    length: int | float,
) -> None:
    num_examples = len(costs)
    if drop_last and num_examples < num_processes * batch_size * accumulated:
        return
    options = {
        "seed": 5,
        "cost": lambda key: costs[key[1]],
        "shape": StepShape(num_processes, batch_size, accumulated),
        "drop_last": drop_last,
    }
    sampler = PackedSampler(num_examples, window=window, **options) if window else None
    if sampler is None and num_processes > 1:
        sampler = BalancedSampler(num_examples, **options)
    sampler = sampler or EpochSampler(num_examples, seed=5)
    drawn: list[Any] = []
    num_steps = length if isinstance(length, int) else None
    while num_steps is None or len(drawn) < num_steps:
        dealt = {"num_processes": num_processes, "batch_size": batch_size, "accumulated": accumulated}
        found = steps_of(sampler, drop_last=drop_last, **dealt)
        num_steps = math.ceil(length * len(found)) if num_steps is None else num_steps
        drawn += found
        sampler.set_epoch(sampler.epoch + 1)
    args = SimpleNamespace(
        max_steps=length if isinstance(length, int) else -1,
        num_train_epochs=length,
        train_batch_size=batch_size,
        gradient_accumulation_steps=accumulated,
        world_size=num_processes,
        dataloader_drop_last=drop_last,
    )
    plain = EpochSampler(num_examples, seed=5)
    known = set()
    left = count_groups(args, num_examples, window=window)
    while left > 0:
        keys = list(plain)[:left]
        known.update(keys)
        left -= len(keys)
        plain.set_epoch(plain.epoch + 1)
    assert {key for step in drawn[:num_steps] for keys in step for key in keys} <= known


@pytest.mark.parametrize(
    "training",
    [
        {"dataloader_drop_last": True, "per_device_train_batch_size": 3, "max_steps": 11},
        {"max_steps": -1, "num_train_epochs": 0.4, "per_device_train_batch_size": 5},
    ],
)
def test_a_run_has_a_reference_for_all_that_it_draws(tmp_path: Path, training: dict[str, Any]) -> None:
    recipe = tiny_recipe(objective=ObjectiveConfig(weight="sft_preference"), dev="", **training)
    assert run(recipe, tmp_path, dev_tasks=[]).model_dir is not None


def test_draws_are_a_function_of_seed_epoch_and_index() -> None:
    examples = training_set(pictures=False)
    one, other = (GroupDataset(examples, SamplingConfig(num_negatives=3), seed=1, num_draws=5) for _ in "ab")
    assert one[2, 3] == other[2, 3]
    assert one[2, 3].draws != one[1, 3].draws
    plain = GroupDataset(examples, SamplingConfig(num_negatives=3), seed=1)[2, 3]
    assert plain.documents == one[2, 3].documents
    assert plain.draws is None


def test_answers_that_the_tokenizer_splits_are_refused_with_their_tokens() -> None:
    with pytest.raises(
        ModelError, match=r"the answer '10' must be one token after .* \(a set of them by name"
    ):
        load_model(tiny_checkpoint("qwen3"), answers="grades_0_10")
    with pytest.raises(ModelError, match="the answer '9' must be one token"):
        load_model("gmr-nano-base", answers="grades_0_9")
    with pytest.raises(ConfigError, match="no set of answers is called 'grades'; there are yes_no, "):
        load_model("gmr-nano-base", answers="grades")


def test_gmr_nano_grades_in_words() -> None:
    model = load_model("gmr-nano-base", answers="grade_words_0_10", readout="expectation")
    assert len(set(model.answer_ids)) == 11
    scores = Reranker(model).score([("a", "b")])
    assert 0 < scores[0] < 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["policy", "sft_preference"])
def test_two_processes_sample_and_refer_as_one_does(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {
        "optim": "sgd",
        "learning_rate": 0.1,
        "max_steps": 5,
        "objective": OBJECTIVES[name],
    }
    page = tmp_path / "recipe.toml"
    model = {**GRADES, "length_window": 1}
    page.write_text(to_toml(tiny_recipe(per_device_train_batch_size=2, model=model, **options)))
    one = run(
        tiny_recipe(per_device_train_batch_size=4, model=GRADES, **options), tmp_path / "one", pictures=True
    )
    launch("torchrun", page, tmp_path / "two")
    two = load_file(tmp_path / "two" / "model" / "model.safetensors")
    for tensor, expected in weights(one).items():
        torch.testing.assert_close(two[tensor], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_through_a_tiny_qwen_the_surrogate_has_the_loss_s_gradient(name: str) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), answers="grades_0_9", max_tokens=512)
    objective = OBJECTIVES[name].build()
    dataset = GroupDataset(training_set(pictures=True), SamplingConfig(num_negatives=3), seed=1, num_draws=3)
    batch = GroupCollator(model.processor)([dataset[0, index] for index in (0, 9)])
    shape = (*batch["mask"].shape, 10)
    reference = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    given = {"reference": reference, "draws": batch["draws"]}
    gradients = []
    for kind in ("surrogate", "loss"):
        model.zero_grad()
        rows = torch.cat([model(**part) for part in batch["passes"]])
        logits = rows.new_zeros(shape)
        logits[batch["mask"]] = rows[batch["order"].argsort()]
        group = (logits, batch["labels"], batch["mask"])
        value = (
            objective(*group, **given).surrogate
            if kind == "surrogate"
            else objective.weight.loss(*group, **given)
        )
        value.backward()
        found = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
        gradients.append(torch.cat(found))
    assert gradients[1].abs().max() > 1e-3
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[1].norm()
