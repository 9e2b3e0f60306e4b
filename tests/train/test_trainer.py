"""The trainer's gradient is that of the closed form, however the step is cut; broken steps change nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from gmr.core.errors import ConfigError, ModelError
from gmr.modeling import loading
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.objectives import ObjectiveConfig
from gmr.train import run as run_module
from gmr.train import trainer as trainer_module
from gmr.train.collator import GroupCollator
from gmr.train.recipe import EvaluationSection, FreezeSection
from gmr.train.run import TrainResult
from gmr.train.sampling import EpochSampler, GroupDataset
from gmr.train.sources import load_base
from gmr.train.trainable import choose_trainable, parameter_groups
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import training_set
from tests.train.runs import ARCHITECTURE, parameters, run, tiny_recipe

CL = ObjectiveConfig(weight="contrastive", direction="yes", temperature=0.5)


class Gradients(TrainerCallback):
    """Keeps the gradients of the first step as the optimizer is about to see them."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.first:
            self.first = {
                name: parameter.grad.clone()
                for name, parameter in kwargs["model"].named_parameters()
                if parameter.grad is not None
            }


def first_gradients(folder: Path, **options: Any) -> tuple[dict[str, Tensor], TrainResult]:
    watcher = Gradients()
    recipe = tiny_recipe(**{"max_steps": 1, "max_grad_norm": 0.0, "save_strategy": "no", **options})
    result = run(recipe, folder, pictures=True, callbacks=[watcher])
    return watcher.first, result


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Relative error of the whole gradient as one vector."""
    assert found.keys() == expected.keys()
    norm = sum(float(gradient.double().square().sum()) for gradient in expected.values()) ** 0.5
    error = sum(float((found[name] - expected[name]).double().square().sum()) for name in expected) ** 0.5
    assert error <= tolerance * norm, f"{error / norm:.2e}"


def batch_of_first_step(num_queries: int) -> Sequence[Any]:
    recipe = tiny_recipe()
    data = GroupDataset(training_set(pictures=True), recipe.data.sampling, seed=3)
    return [data[key] for key in list(EpochSampler(len(data), seed=3))[:num_queries]]


def closed_form(model: RerankModel, groups: Sequence[Any], kind: str) -> tuple[Tensor, Tensor]:
    """Loss as the paper prints it, each prompt alone through the model, and the answer logits in a row."""
    losses: list[Tensor] = []
    logits: list[Tensor] = []
    for group in groups:
        prompts = [model.processor.encode(group.query, document) for document in group.documents]
        z = torch.cat([model(**model.processor.collate([prompt])) for prompt in prompts])
        logits.append(z)
        if kind == "sft":
            signs = torch.tensor([1.0 if label else -1.0 for label in group.labels])
            losses.append(torch.nn.functional.softplus(-signs * (z[:, 0] - z[:, 1])).sum())
        else:
            losses.append(torch.logsumexp(z[:, 0] / 0.5, 0) - z[0, 0] / 0.5)
    return torch.stack(losses).mean(), torch.cat(logits)


@pytest.mark.parametrize("kind", ["sft", "cl"])
def test_the_gradient_of_a_step_is_that_of_the_closed_form_and_the_log_says_its_value(
    tmp_path: Path, kind: str
) -> None:
    objective = ObjectiveConfig() if kind == "sft" else CL
    found, result = first_gradients(tmp_path, objective=objective)

    model = load_model(tiny_checkpoint(ARCHITECTURE), max_tokens=512, device="cpu")
    loss, logits = closed_form(model, batch_of_first_step(2), kind)
    loss.backward()
    loss, logits = loss.detach(), logits.detach()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    expected.pop("backbone.lm_head.weight", None)
    assert_close(found, expected, 1e-5)

    logged = result.history[0]
    assert logged["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert logged["sft_loss" if kind == "sft" else "contrastive_loss"] == pytest.approx(float(loss), rel=1e-5)
    positive = torch.tensor([1.0, 0.0, 0.0, 0.0] * 2).bool()
    if kind == "sft":
        weights = (torch.sigmoid(logits[:, 0] - logits[:, 1]) - positive.float()).abs()
    else:
        shares = torch.softmax(logits[:, 0].view(2, 4) / 0.5, -1)
        weights = ((shares - positive.view(2, 4).float()) / 0.5).abs().flatten()
    assert logged["weight_positive"] == pytest.approx(float(weights[positive].mean()), rel=1e-4)
    assert logged["weight_negative"] == pytest.approx(float(weights[~positive].mean()), rel=1e-4)


@pytest.mark.parametrize("objective", [ObjectiveConfig(), CL], ids=["sft", "cl"])
def test_accumulating_eight_batches_of_one_query_is_one_batch_of_eight(tmp_path: Path, objective) -> None:
    options = {"objective": objective, "model": {}}
    whole, one = first_gradients(tmp_path / "a", per_device_train_batch_size=8, **options)
    parts, eight = first_gradients(
        tmp_path / "b", per_device_train_batch_size=1, gradient_accumulation_steps=8, **options
    )
    assert_close(parts, whole, 3e-6)  # one packed sequence of eight queries rounds unlike eight of one
    for name in ("loss", "sft_loss", "contrastive_loss", "weight_positive", "weight_negative"):
        assert eight.history[0][name] == pytest.approx(one.history[0][name], rel=1e-5)


def test_a_last_step_with_fewer_queries_is_still_a_mean_over_queries(tmp_path: Path) -> None:
    # 5 queries as 2 + 2 + 1: the odd one must weigh a fifth, not a third.
    data = training_set()
    few = type(data)(data.examples[:5], data.pools)
    whole, parts = Gradients(), Gradients()
    options = {"max_steps": 1, "max_grad_norm": 0.0, "save_strategy": "no"}
    run(
        tiny_recipe(per_device_train_batch_size=5, **options),
        tmp_path / "a",
        training_set=few,
        callbacks=[whole],
    )
    run(
        tiny_recipe(per_device_train_batch_size=2, gradient_accumulation_steps=3, **options),
        tmp_path / "b",
        training_set=few,
        callbacks=[parts],
    )
    assert_close(parts.first, whole.first, 1e-6)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_passes_of_a_few_prompts_give_the_gradient_of_the_whole_batch(tmp_path: Path, rows: int) -> None:
    whole, one = first_gradients(tmp_path / "a", objective=CL)
    parts, many = first_gradients(tmp_path / "b", objective=CL, model={"rows_per_pass": rows})
    # Passes of fewer rows are padded less, so float32 rounds a little otherwise.
    assert_close(parts, whole, 3e-6)
    assert many.history[0]["loss"] == pytest.approx(one.history[0]["loss"], rel=1e-5)


@pytest.mark.parametrize("engine", ["packed", "padded"])
@pytest.mark.parametrize("limits", [{"tokens_per_pass": 1}, {"tokens_per_pass": 300, "rows_per_pass": 3}])
def test_passes_of_a_few_tokens_give_the_gradient_of_the_whole_batch(
    tmp_path: Path, engine: str, limits: dict[str, int]
) -> None:
    whole, one = first_gradients(tmp_path / "a", objective=CL, model={"engine": engine})
    parts, many = first_gradients(tmp_path / "b", objective=CL, model={"engine": engine, **limits})
    assert_close(parts, whole, 3e-6)
    assert many.history[0]["loss"] == pytest.approx(one.history[0]["loss"], rel=1e-5)


@pytest.mark.parametrize("length_groups", [2, 3, 100])
def test_parts_of_equal_length_give_the_gradient_of_the_whole_batch(
    tmp_path: Path, length_groups: int
) -> None:
    whole, one = first_gradients(tmp_path / "a", objective=CL)
    parts, many = first_gradients(tmp_path / "b", objective=CL, model={"length_groups": length_groups})
    assert_close(parts, whole, 3e-6)
    assert many.history[0]["loss"] == pytest.approx(one.history[0]["loss"], rel=1e-5)


def test_passes_of_a_few_prompts_keep_dropout_between_the_two_forward_passes(
    tmp_path: Path, monkeypatch
) -> None:
    options = {"lora": True, "objective": CL, "model": {"rows_per_pass": 3}}
    twice, _ = first_gradients(tmp_path / "a", **options)
    # The Trainer's own step runs all passes in one graph: one forward pass, the same masks by construction.
    monkeypatch.delattr("gmr.train.trainer.RerankTrainer.training_step")
    once, _ = first_gradients(tmp_path / "b", **options)
    assert_close(twice, once, 1e-6)


FROZEN = {
    "vision_tower": (FreezeSection(vision_tower=True), lambda n: ".visual." in n and ".merger." not in n),
    "projector": (FreezeSection(projector=True), lambda n: ".visual.merger." in n),
    "embeddings": (FreezeSection(embeddings=True), lambda n: "embed_tokens" in n),
}


@pytest.mark.parametrize("part", FROZEN)
def test_a_frozen_part_keeps_its_weights_and_all_others_move(tmp_path: Path, part: str) -> None:
    freeze, is_frozen = FROZEN[part]
    base = parameters(load_model(tiny_checkpoint(ARCHITECTURE), device="cpu"))
    result = run(tiny_recipe(freeze=freeze, max_steps=3, save_strategy="no"), tmp_path, pictures=True)
    trained = parameters(load_model(str(result.model_dir), device="cpu"))
    kept = {name for name in base if torch.equal(base[name], trained[name])}
    expected = {name for name in base if is_frozen(name) or "lm_head" in name}
    assert kept == expected


def test_adapters_leave_the_base_alone_and_the_saved_model_scores_as_the_trained_one(tmp_path: Path) -> None:
    result = run(tiny_recipe(lora=True, max_steps=3), tmp_path, pictures=True)
    assert (tmp_path / "model" / "adapter_model.safetensors").is_file()
    model = load_model(str(result.model_dir), device="cpu")
    base = parameters(load_model(tiny_checkpoint(ARCHITECTURE), device="cpu"))
    loaded = {
        name.replace(".base_layer", "").replace("base_model.model.", ""): p
        for name, p in parameters(model).items()
    }
    assert all(torch.equal(loaded[name], base[name]) for name in base)
    assert any("lora_B" in name and p.abs().max() > 0 for name, p in loaded.items())


def test_parts_with_a_learning_rate_of_their_own_form_groups_and_every_parameter_is_in_one() -> None:
    recipe = tiny_recipe()
    model = load_base(recipe, device=torch.device("cpu"))
    choose_trainable(model, recipe, mixed_precision=False)
    decayed = {name for name, p in model.named_parameters() if p.ndim > 1}
    groups = parameter_groups(
        model, decayed=decayed, weight_decay=0.1, learning_rate=1e-3, learning_rates={"vision": 1e-5}
    )
    assert sorted((group["lr"], group["weight_decay"]) for group in groups) == [
        (1e-5, 0.0),
        (1e-5, 0.1),
        (1e-3, 0.0),
        (1e-3, 0.1),
    ]
    assert groups[0]["lr"] == 1e-3, "the rate that is logged is the recipe's"
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(
        (".visual." in names[id(p)]) == (group["lr"] == 1e-5) for group in groups for p in group["params"]
    )


def test_half_precision_weights_are_trained_in_float32_or_not_at_all(tmp_path: Path) -> None:
    recipe = tiny_recipe(model={"dtype": "bfloat16"})
    with pytest.raises(ConfigError, match=r"model.dtype = 'bfloat16' would lose small updates"):
        run(recipe, tmp_path / "a")
    model = load_base(recipe, device=torch.device("cpu"))
    choose_trainable(model, recipe, mixed_precision=True)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}


class BreakLogits(TrainerCallback):
    """Makes the model return NaN at the given steps."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps
        self.before: dict[str, Tensor] = {}
        self.unchanged: list[bool] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model = kwargs["model"]
        self.before = parameters(model)
        if state.global_step + 1 in self.steps:
            self.hook = model.register_forward_hook(lambda module, inputs, logits: logits * float("nan"))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step in self.steps:
            self.hook.remove()
            after = parameters(kwargs["model"])
            self.unchanged.append(all(torch.equal(self.before[name], after[name]) for name in after))


@pytest.mark.parametrize("rows_per_pass", [None, 3])
def test_a_step_with_a_loss_that_is_not_finite_changes_no_weight_and_is_counted(
    tmp_path: Path, rows_per_pass: int | None
) -> None:
    breaker = BreakLogits(2, 4)
    recipe = tiny_recipe(max_steps=5, model={"rows_per_pass": rows_per_pass})
    result = run(recipe, tmp_path, callbacks=[breaker])
    assert breaker.unchanged == [True, True]
    assert result.num_skipped_steps == 2
    assert [entry["skipped_steps"] for entry in result.history if "skipped_steps" in entry] == [0, 1, 1, 2, 2]
    assert all(torch.isfinite(p).all() for p in load_model(str(result.model_dir), device="cpu").parameters())


def test_too_many_broken_steps_in_a_row_end_the_run_with_advice(tmp_path: Path) -> None:
    breaker = BreakLogits(*range(3, 20))
    with pytest.raises(ModelError, match=r"step 7: .* 5 steps in a row.*learning_rate"):
        run(tiny_recipe(max_steps=20), tmp_path, callbacks=[breaker])


def test_training_stops_early_when_the_measure_stays_and_keeps_the_best_weights(tmp_path: Path) -> None:
    # A learning rate of zero: every evaluation gives the same value, so the first is the best.
    evaluation = EvaluationSection(every=1, patience=3, keep="best")
    recipe = tiny_recipe(evaluation=evaluation, max_steps=50, learning_rate=0.0, save_steps=1)
    result = run(recipe, tmp_path)
    assert result.num_steps == 4


def test_the_best_weights_become_the_model(tmp_path: Path) -> None:
    evaluation = EvaluationSection(every=1, keep="best")
    recipe = tiny_recipe(
        evaluation=evaluation, max_steps=6, learning_rate=3e-3, save_steps=1, save_total_limit=2
    )
    result = run(recipe, tmp_path, pictures=True)
    values = [entry["eval_ndcg@10"] for entry in result.history if "eval_ndcg@10" in entry]
    assert len(values) == 6
    assert result.dev[0].mean() == pytest.approx(max(values), abs=1e-9)
    assert len(set(values)) > 1, "otherwise any weights would pass"


def test_the_log_has_one_row_per_step_and_the_dev_file_one_per_evaluation_and_task(tmp_path: Path) -> None:
    run(tiny_recipe(evaluation=EvaluationSection(every=2)), tmp_path)
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["step", "1", "2", "3", "4"]
    dev = [line.split(",")[:3] for line in (tmp_path / "dev.csv").read_text().splitlines()[1:]]
    assert dev == [[step, task, "ndcg@10"] for step in "24" for task in ("mean", "colours-text")]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_recipe_cannot_have_an_engine_that_the_check_at_load_refuses(tmp_path: Path, monkeypatch) -> None:
    def refuse(model: object) -> None:
        raise ModelError("the scores differ")

    monkeypatch.setitem(loading.CHECKS, "packed", refuse)
    with pytest.raises(ModelError, match="engine 'packed' cannot be used with this model: the scores differ"):
        run(tiny_recipe(model={"engine": "packed"}), tmp_path / "packed")
    passes = watch_passes(monkeypatch)
    run(tiny_recipe(max_steps=1, dev=""), tmp_path / "auto", dev_tasks=[])
    assert passes
    assert all("attention_mask" in names and "layout" not in names for names in passes)


def watch_passes(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Names of the inputs of each batch's first pass from now on."""
    passes: list[set[str]] = []

    class Watch(GroupCollator):
        def __call__(self, groups):
            batch = super().__call__(groups)
            passes.append(set(batch["passes"][0]))
            return batch

    monkeypatch.setattr(trainer_module, "GroupCollator", Watch)
    return passes


@pytest.mark.parametrize(("engine", "is_packed"), [("packed", True), ("forked", False), ("invariant", False)])
def test_training_steps_are_packed_where_the_engine_is_and_padded_pairs_with_any_other(
    tmp_path: Path, monkeypatch, engine: str, is_packed: bool
) -> None:
    passes = watch_passes(monkeypatch)
    load = run_module.load_base

    def with_engine(*args: Any, **options: Any) -> RerankModel:
        model = load(*args, **options)
        model.engine = engine
        return model

    monkeypatch.setattr(run_module, "load_base", with_engine)
    run(tiny_recipe(max_steps=1, dev=""), tmp_path, dev_tasks=[])
    assert passes
    assert all(("layout" in names) == is_packed for names in passes)


def test_out_of_memory_ends_the_run_with_advice(tmp_path: Path, monkeypatch) -> None:
    def fail(*args: Any, **options: Any) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(RerankModel, "forward", fail)
    monkeypatch.setattr(loading, "check_model", lambda model: None)
    recipe = tiny_recipe(model={"engine": "padded", "tokens_per_pass": 900})
    with pytest.raises(
        ModelError, match=r"step 1: set model.tokens_per_pass \(now 900\) or model.rows_per_pass"
    ):
        run(recipe, tmp_path)
