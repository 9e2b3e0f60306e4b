"""A recipe's ``training`` section as transformers' ``TrainingArguments``."""

import dataclasses
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from gmr.core.errors import ConfigError
from gmr.train.recipe import Recipe

SET_ELSEWHERE = {
    "output_dir": "the output directory is an argument of the run",
    "eval_strategy": "set evaluation.every",
    "eval_steps": "set evaluation.every",
    "eval_on_start": "evaluate the base model by itself",
    "load_best_model_at_end": "set evaluation.keep = 'best'",
    "metric_for_best_model": "set evaluation.measure",
    "greater_is_better": "every measure here is better when it is greater",
    "remove_unused_columns": "the collator makes exactly what the model takes",
    "label_smoothing_factor": "choose another objective",
    "neftune_noise_alpha": "it is not supported",
    "gradient_checkpointing": "set model.gradient_checkpointing",
    "activation_checkpointing": "set model.gradient_checkpointing",
    "auto_find_batch_size": "set model.tokens_per_pass, which keeps the gradient",
    "train_sampling_strategy": "the order is a function of seed and epoch",
    "restore_callback_states_from_checkpoint": "callbacks here have no state to restore",
    "resume_from_checkpoint": "resuming is an argument of the run",
    "ignore_data_skip": "a resumed run goes on with the data where it stopped",
    "save_only_model": "a checkpoint without the optimizer cannot be resumed",
    "fsdp": "sharded training is not supported yet",
    "deepspeed": "sharded training is not supported yet",
    "torch_compile": "it is not supported yet",
}
"""Names that a recipe may not set, and what to do instead."""

DEFAULTS: dict[str, Any] = {"logging_steps": 10, "report_to": "none", "save_total_limit": 2, "seed": 0}


def training_arguments(recipe: Recipe, run_dir: Path) -> TrainingArguments:
    """The arguments of one run; joins the other processes when ``torchrun`` started this one.

    Raises:
        ConfigError: An unknown name, one that another section sets, or a value that does not fit.
    """
    check_names(recipe)
    options = {**DEFAULTS, **recipe.training}
    if not torch.cuda.is_available() and "use_cpu" not in options:
        options["use_cpu"] = True
    if recipe.data.dev and recipe.evaluation.every > 0:
        options |= {"eval_strategy": "steps", "eval_steps": recipe.evaluation.every}
    if recipe.evaluation.keep == "best":
        options |= {
            "load_best_model_at_end": True,
            "metric_for_best_model": f"eval_{recipe.evaluation.measure}",
            "greater_is_better": True,
            "save_strategy": "steps",
            "save_steps": options.get("save_steps", recipe.evaluation.every),
        }
    _check_ranges(recipe, options)
    try:
        return TrainingArguments(output_dir=str(run_dir), remove_unused_columns=False, **options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"recipe {recipe.name!r}: training: {str(error).splitlines()[0]}") from error


def _check_ranges(recipe: Recipe, options: dict[str, Any]) -> None:
    """Numbers that the trainer would take, and make something else of."""
    least = {
        "seed": 0,
        "data_seed": 0,
        "learning_rate": 0.0,
        "warmup_steps": 0,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "max_steps": -1,
    }
    for name, limit in least.items():
        value = options.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if value < limit or (name == "max_steps" and value == 0):
            allowed = "1 or more, or -1 for whole epochs" if name == "max_steps" else f"at least {limit:g}"
            raise ConfigError(f"recipe {recipe.name!r}: training.{name} must be {allowed}, not {value}")


def seed_of(recipe: Recipe) -> int:
    """The seed that a run of the recipe has."""
    return int(recipe.training.get("seed", DEFAULTS["seed"]))


def check_names(recipe: Recipe) -> None:
    """Make sure that ``training`` holds options of the trainer, of the right kind.

    Raises:
        ConfigError: An unknown name, one that another section sets, or a value of another kind.
    """
    known = {field.name: field.default for field in dataclasses.fields(TrainingArguments) if field.init}
    for name, value in recipe.training.items():
        if name in SET_ELSEWHERE:
            raise ConfigError(
                f"recipe {recipe.name!r}: training.{name} is not set here: {SET_ELSEWHERE[name]}"
            )
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean 'training.{near[0]}'?" if near else ""
            raise ConfigError(f"recipe {recipe.name!r}: unknown key 'training.{name}'{hint}")
        wanted = _wanted(known[name], value)
        if wanted is not None:
            raise ConfigError(f"recipe {recipe.name!r}: training.{name} must be {wanted}, not {value!r}")


def _wanted(default: Any, value: Any) -> str | None:
    """What a value must be to stand in for this default, or None where it may.

    ``TrainingArguments`` takes anything and fails much later, or not at all: the text "false" is true to it.
    """
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, int | float):
        return None if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    return "a string" if isinstance(default, str) and not isinstance(value, str | list) else None
