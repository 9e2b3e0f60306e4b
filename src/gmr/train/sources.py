"""Where a recipe's model and data come from."""

from collections.abc import Sequence
from pathlib import Path

import torch

from gmr import suites
from gmr.core.datasets import read_beir, read_training_jsonl
from gmr.core.errors import ConfigError, DataError
from gmr.core.files import digest, sha256_file
from gmr.core.tasks import RerankTask, TrainingSet
from gmr.modeling.changes import change_answers, draw_weights
from gmr.modeling.folders import resolve_folder
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.objectives import Objective
from gmr.train.arguments import seed_of
from gmr.train.media import refuse_broken_pictures
from gmr.train.recipe import Recipe


def load_training_set(recipe: Recipe) -> TrainingSet:
    """The examples that the recipe's ``data`` section names."""
    if recipe.data.suite is not None:
        return suites.training_set(recipe.data.suite, limit=recipe.data.limit, data_root=recipe.data.root)
    found = read_training_jsonl(Path(str(recipe.data.path)))
    refuse_broken_pictures(found, where=str(recipe.data.path))
    return TrainingSet(found.examples[: recipe.data.limit], found.pools)


def load_dev_tasks(recipe: Recipe) -> Sequence[RerankTask]:
    """The development tasks that ``data.dev`` names; none when it is empty."""
    if not recipe.data.dev:
        return []
    if recipe.data.dev == "suite":
        return suites.load(
            str(recipe.data.suite), split="dev", data_root=recipe.data.root, names=recipe.data.dev_names
        )
    try:
        return [read_beir(Path(recipe.data.dev))]
    except DataError as error:
        raise DataError(f"recipe {recipe.name!r}: data.dev: {error}") from error


def load_base(recipe: Recipe, *, device: torch.device) -> RerankModel:
    """The model to start from, with the recipe's template, answers, readout, length and head.

    Raises:
        ConfigError: The objective counts other positive answers than the model has.
        ModelError: The model cannot be loaded, or an answer is not one token.
    """
    model = load_model(
        recipe.model.base,
        template=recipe.model.template,
        dtype=recipe.model.dtype,
        device=device,
        max_tokens=recipe.model.max_tokens,
        answers=recipe.model.answers,
        readout=recipe.model.readout,
        engine=recipe.model.engine,
    )
    if recipe.model.base_init == "random":
        draw_weights(model, seed=seed_of(recipe))
    positive, negative = recipe.model.positive_answers, recipe.model.negative_answers
    if positive is not None or negative is not None:
        change_answers(model, positive=positive, negative=negative)
    if recipe.head is not None and recipe.head != model.head_config:
        model.head_config = recipe.head
        model.head = recipe.head.build(model.answer_rows())
    if recipe.objective.num_positive != model.num_positive:
        raise ConfigError(
            f"recipe {recipe.name!r}: objective.num_positive is {recipe.objective.num_positive}, but the "
            f"template {model.processor.template.name!r} has {model.num_positive} positive answers"
        )
    return model


def base_fingerprint(recipe: Recipe) -> str:
    """Sha256 over names and contents of the base model's files; its model card may be edited."""
    return fingerprint_of(recipe.model.base)


def fingerprint_of(base: str) -> str:
    """The same of a model by its name or folder."""
    folder = resolve_folder(base)
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")
    return digest(*[f"{path.name}\n{sha256_file(path)}".encode() for path in files])


def check_teacher(objective: Objective, training_set: TrainingSet) -> None:
    """Make sure that every example brings teacher scores where the objective asks for them.

    Raises:
        DataError: One does not; it is named.
    """
    if not objective.weight.needs_teacher:
        return
    for example in training_set.examples:
        if example.scores is None:
            raise DataError(
                f"training example {example.example_id!r} has no scores, but the objective {objective.name} "
                "learns from a teacher's: add them, or choose another objective"
            )
