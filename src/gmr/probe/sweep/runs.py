"""The training runs of a sweep: what each is made of, and the name that follows from it."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gmr.core.config import load_config, to_toml
from gmr.core.environment import versions
from gmr.core.errors import ConfigError, DataError
from gmr.core.files import digest, sha256_file
from gmr.probe.sweep.cells import Cell, cells_of, recipe_of
from gmr.probe.sweep.plan import HeldOutSection, Plan
from gmr.suites.joined import parts_of
from gmr.train.recipe import Recipe, flatten
from gmr.train.record import HARMLESS
from gmr.train.sources import fingerprint_of

Purpose = Literal["tuning", "test"]


@dataclass(frozen=True)
class RunSpec:
    """One run.

    Attributes:
        name: Of its directory: cell, learning rate, seed, purpose, and the beginning of ``key``.
        cell: Which cell.
        learning_rate: As it is set; None for the recipe's own.
        seed: Of the training.
        purpose: ``tuning`` runs choose a learning rate and never see the test; ``test`` runs are reported.
        recipe: The recipe's page.
        test: What is measured, as `HeldOutSection`'s fields; None for a tuning run.
        keep_model: Keep the final model.
        key: Digest of everything that the results depend on.
    """

    name: str
    cell: str
    learning_rate: float | None
    seed: int
    purpose: Purpose
    recipe: str
    test: Mapping[str, Any] | None
    keep_model: bool
    key: str

    def to_json(self) -> dict[str, Any]:
        """As ``spec.json`` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], *, where: str) -> "RunSpec":
        """What ``to_json`` gave.

        Raises:
            DataError: A key is missing or unknown.
        """
        try:
            return cls(**record)
        except TypeError as error:
            raise DataError(f"{where}: not the description of a run ({error})") from None


def tuning_runs(plan: Plan, cells: Mapping[str, Cell] | None = None) -> list[RunSpec]:
    """Every rate on every tuning seed, of each cell that has a rate to choose.

    Raises:
        ConfigError: A recipe without development tasks, or a test on what the rates are chosen by.
    """
    runs = []
    for cell in (cells or cells_of(plan)).values():
        for rate in cell.learning_rates if cell.is_tuned else ():
            for seed in plan.tuning.seeds:
                spec = _spec(plan, cell, learning_rate=rate, seed=seed, purpose="tuning")
                _check_tuning(plan, cell, load_config(spec.recipe, Recipe, where=spec.name))
                runs.append(spec)
    return runs


def reported_runs(plan: Plan, cell: Cell, *, learning_rate: float | None) -> list[RunSpec]:
    """The runs of one cell that are reported, one for each seed."""
    return [_spec(plan, cell, learning_rate=learning_rate, seed=seed, purpose="test") for seed in plan.seeds]


def lone_rate(cell: Cell) -> float | None:
    """The rate of a cell that has nothing to choose from."""
    return cell.learning_rates[0] if cell.learning_rates else None


def _spec(plan: Plan, cell: Cell, *, learning_rate: float | None, seed: int, purpose: Purpose) -> RunSpec:
    recipe = recipe_of(plan, cell, learning_rate=learning_rate, seed=seed)
    test = facts_of(plan.test) if purpose == "test" else None
    _check_needs(plan, recipe)
    key = digest(json.dumps(_dependencies(recipe, test), sort_keys=True).encode())
    slug = re.sub(r"[^\w.=-]+", "-", cell.name, flags=re.ASCII).strip("-.") or "cell"
    rate = recipe.training.get("learning_rate", "default")
    return RunSpec(
        name=f"{slug[:80]}.lr{rate}.seed{seed}.{purpose}.{key[:8]}",
        cell=cell.name,
        learning_rate=learning_rate,
        seed=seed,
        purpose=purpose,
        recipe=to_toml(recipe),
        test=test,
        keep_model=plan.keep_models and purpose == "test",
        key=key,
    )


def _check_needs(plan: Plan, recipe: Recipe) -> None:
    """Tell how to make what is not there; a page that was changed to read something else does not need it."""
    read = [recipe.model.base, recipe.data.path, recipe.data.dev, plan.test.folder]
    for path in (str(each) for each in read if each):
        if path in plan.needs and not Path(path).exists():
            raise ConfigError(f"plan {plan.name!r} needs {path}, which is not there: {plan.needs[path]}")


def facts_of(test: HeldOutSection) -> dict[str, Any]:
    """The section as JSON can hold it."""
    return {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in asdict(test).items()
    }


def _dependencies(recipe: Recipe, test: Mapping[str, Any] | None) -> dict[str, Any]:
    """What, changed, makes another run of it: recipe, test, base model, files that are read, and versions."""
    keys = {name: value for name, value in flatten(recipe) if name not in HARMLESS}
    if keys["data.dev_names"] is None:  # younger than many a finished run, which is what it was
        del keys["data.dev_names"]
    data = _file_digest(recipe.data.path) if recipe.data.path else None
    # A path says nothing of what lies there, here or where another sweep was started.
    named = [recipe.data.dev, test["folder"] if test else None, *_suite_folders(recipe, test)]
    folders = [_folder_digest(folder) for folder in named if folder and Path(folder).is_dir()]
    return {
        "recipe": keys,
        "test": test,
        "base": _base_digest(recipe.model.base),
        "data": data,
        "versions": _versions(),
        **({"folders": folders} if folders else {}),
    }


def _suite_folders(recipe: Recipe, test: Mapping[str, Any] | None) -> list[str]:
    """Where suites are read that do not come with the package, each folder once."""
    named = [(recipe.data.suite, recipe.data.root), *([(test["suite"], test["root"])] if test else [])]
    return list(
        dict.fromkeys(
            str(Path(root) / part) for suite, root in named if suite and root for part in parts_of(suite)
        )
    )


_versions = cache(versions)


@cache
def _base_digest(base: str) -> str:
    return fingerprint_of(base)


@cache
def _file_digest(path: str) -> str:
    return sha256_file(Path(path))


@cache
def _folder_digest(folder: str) -> str:
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return digest(*(f"{path.relative_to(folder).as_posix()} {sha256_file(path)}".encode() for path in files))


def _check_tuning(plan: Plan, cell: Cell, recipe: Recipe) -> None:
    where = f"plan {plan.name!r}, cell {cell.name!r}"
    if not recipe.data.dev:
        raise ConfigError(f"{where}: a learning rate is chosen on development tasks, and data.dev names none")
    is_of_suites = recipe.data.dev == "suite" and plan.test.folder is None and plan.test.split == "dev"
    shared = set(parts_of(str(recipe.data.suite))) & set(parts_of(str(plan.test.suite)))
    same_folder = (
        plan.test.folder is not None and plan.test.folder.resolve() == Path(recipe.data.dev).resolve()
    )
    if (is_of_suites and shared) or same_folder:
        raise ConfigError(f"{where}: the test would be the development tasks that choose the learning rate")
