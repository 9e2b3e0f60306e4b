"""The models of a training run, from its base through its checkpoints: one at a time, by exchanging weights."""

import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from gmr.core.errors import ConfigError
from gmr.modeling.model import RerankModel
from gmr.probe.gradients.specs import Spec, spec_of
from gmr.train.arguments import seed_of
from gmr.train.checkpoints import checkpoint_folders, checkpoint_step, find_fault
from gmr.train.recipe import Recipe, load_recipe
from gmr.train.sources import load_base
from gmr.train.trainable import choose_trainable

logger = logging.getLogger(__name__)

RECIPE = "recipe.toml"


def read_recipe(run_dir: Path) -> Recipe:
    """The recipe as the run used it.

    Raises:
        ConfigError: the folder is no run directory.
    """
    path = run_dir / RECIPE
    if not path.is_file():
        raise ConfigError(
            f"{run_dir} is no folder of a run: it has no {RECIPE} (gmr train --output writes one)"
        )
    return load_recipe(path)


def objectives_of(recipe: Recipe, specs: list[Spec]) -> list[Spec]:
    """The run's own objective, then those of ``specs`` that are others."""
    own = spec_of(recipe.objective)
    return [own, *(spec for spec in specs if spec.name != own.name)]


def models_of_run(
    recipe: Recipe, run_dir: Path, *, device: torch.device
) -> Iterator[tuple[int, RerankModel]]:
    """Training step and model: the base as step 0, then every checkpoint in order.

    It is one and the same model, whose weights are exchanged: what is asked of it must be asked in turn. A
    checkpoint that is damaged is passed over with a warning.

    Raises:
        ConfigError: the run has no checkpoint.
        ModelError: the base cannot be loaded, or a checkpoint is of other parameters.
    """
    from gmr.train.trainer import load_trained

    folders = checkpoint_folders(run_dir)
    if not folders:
        raise ConfigError(
            f"{run_dir} holds no checkpoint: train with training.save_steps, and training.save_total_limit "
            "above the number to keep"
        )
    with torch.random.fork_rng():
        # Adapters start at random: as those of the run did.
        torch.manual_seed(seed_of(recipe))
        model = load_base(recipe, device=device)
        half = bool(recipe.training.get("bf16") or recipe.training.get("fp16"))
        choose_trainable(model, recipe, mixed_precision=half)
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    yield 0, model
    for folder in folders:
        fault = find_fault(folder)
        if fault is not None:
            logger.warning("checkpoint %s is passed over: %s", folder.name, fault)
            continue
        load_trained(folder, trained)
        yield checkpoint_step(folder), model
