"""Short runs on tiny checkpoints."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from gmr.modeling.model import RerankModel
from gmr.objectives import ObjectiveConfig
from gmr.train.recipe import DataSection, EvaluationSection, FreezeSection, LoraSection, ModelSection, Recipe
from gmr.train.run import TrainResult, train
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import dev_task, training_set

ARCHITECTURE = "qwen2_5_vl"


def tiny_recipe(
    *,
    objective: ObjectiveConfig | None = None,
    lora: bool = False,
    evaluation: EvaluationSection | None = None,
    freeze: FreezeSection | None = None,
    dev: str = "given",
    model: dict[str, Any] | None = None,
    **training: Any,
) -> Recipe:
    """A recipe of a few steps of two queries with three negatives; keywords go into ``training``."""
    options: dict[str, Any] = {
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 1,
        "logging_steps": 1,
        "save_steps": 2,
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 3,
    }
    return Recipe(
        name="tiny",
        model=ModelSection(base=str(tiny_checkpoint(ARCHITECTURE)), max_tokens=512, **(model or {})),
        lora=LoraSection(enabled=lora, r=4, dropout=0.1),
        freeze=freeze or FreezeSection(),
        data=DataSection(path="given", dev=dev, num_negatives=3),
        objective=objective or ObjectiveConfig(),
        evaluation=evaluation or EvaluationSection(),
        training={**options, **training},
    )


def run(recipe: Recipe, folder: Path, *, pictures: bool = False, **options: Any) -> TrainResult:
    """Train the recipe on the coloured squares."""
    options = {
        "training_set": training_set(pictures=pictures),
        "dev_tasks": [dev_task(pictures=pictures)],
    } | options
    return train(recipe, output_dir=folder, progress=False, **options)


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    """All tensors of the final model's folder."""
    if result.model_dir is None:
        raise ValueError("the run has no final model")
    return {
        name: tensor
        for path in sorted(result.model_dir.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def parameters(model: RerankModel) -> dict[str, torch.Tensor]:
    """Copies of a model's parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_bitwise_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert not different, f"{len(different)} of {len(expected)} tensors differ, such as {different[0]}"
