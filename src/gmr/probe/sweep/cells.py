"""The cells of a plan, each with its recipe for any learning rate and seed."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gmr.core.errors import ConfigError
from gmr.probe.sweep.plan import CellSection, Plan, overrides_of
from gmr.train.recipe import Recipe, load_recipe

FORCED = ("training.dataloader_num_workers=0", "training.disable_tqdm=true", 'training.report_to="none"')
"""A run has one core and a worker's silence; none of it touches a weight."""


@dataclass(frozen=True)
class Cell:
    """One way of training.

    Attributes:
        name: Of the cell; with a grid, the values of the combination are part of it.
        about: A sentence.
        overrides: What it changes in the plan's recipe.
        learning_rates: To try; where there is one, or none, nothing is chosen.
        tuned_as: The cell whose rate it takes.
    """

    name: str
    about: str
    overrides: tuple[str, ...]
    learning_rates: tuple[float, ...]
    tuned_as: str | None = None

    @property
    def is_tuned(self) -> bool:
        """Whether it has a rate of its own to choose."""
        return self.tuned_as is None and len(self.learning_rates) > 1


def cells_of(plan: Plan) -> dict[str, Cell]:
    """The cells by name, each combination of the grid one, in the order of the page.

    Raises:
        ConfigError: A grid that is none, another number of learning rates, or a cell that is named but not there.
    """
    cells = {}
    for base_name, section in (plan.cells or {"": CellSection()}).items():
        rates = _rates(plan, base_name, section)
        for values, overrides in _combinations(plan.grid):
            name = "/".join(part for part in (base_name, values) if part)
            changes = (*overrides_of(plan.common), *overrides_of(section.set), *overrides)
            cells[name] = Cell(name, section.about, changes, rates, section.tuned_as)
    _check_names(plan, cells)
    return cells


def recipe_of(plan: Plan, cell: Cell, *, learning_rate: float | None, seed: int) -> Recipe:
    """The recipe of one run.

    Args:
        plan: The plan.
        cell: One of its cells.
        learning_rate: None is the recipe's own.
        seed: Of data order, sampling, and whatever starts at random.

    Raises:
        ConfigError: The cell's changes do not fit the recipe.
    """
    rate = [] if learning_rate is None else [f"training.learning_rate={learning_rate!r}"]
    changes = [*FORCED, *cell.overrides, *rate, f"training.seed={seed}"]
    name = f"name={json.dumps(f'{plan.name}: {cell.name}')}"
    try:
        recipe = load_recipe(plan.recipe, [*changes, name])
    except ConfigError as error:
        raise ConfigError(f"plan {plan.name!r}, cell {cell.name!r}: {error}") from error
    if recipe.head is None or recipe.head.kind != "random_projection":
        return recipe
    # A direction drawn at random is part of the luck that seeds are there for.
    return replace(recipe, head=replace(recipe.head, seed=seed))


def _rates(plan: Plan, name: str, section: CellSection) -> tuple[float, ...]:
    rates = section.learning_rates
    if rates is None:
        return plan.tuning.learning_rates
    if len(rates) != len(plan.tuning.learning_rates):
        raise ConfigError(
            f"plan {plan.name!r}, cell {name!r}: learning_rates are {len(rates)}, the plan's "
            f"{len(plan.tuning.learning_rates)}: a fair comparison gives every cell as many"
        )
    return rates


def _combinations(grid: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What each combination is called, and its changes; one without either where there is no grid."""
    axes = list(_axes(grid))
    for values in itertools.product(*(choices for _, choices in axes)):
        pairs = [(name, value) for (name, _), value in zip(axes, values, strict=True)]
        label = ", ".join(f"{name.rpartition('.')[2]}={_spelled(value)}" for name, value in pairs)
        yield label, [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs]


def _axes(grid: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Sequence[Any]]]:
    for key, value in grid.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from _axes(value, name)
        elif isinstance(value, list) and value:
            yield name, value
        else:
            raise ConfigError(f"grid.{name} must be a list of values, not {value!r}")


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_names(plan: Plan, cells: Mapping[str, Cell]) -> None:
    def check(name: str, where: str) -> None:
        if name not in cells:
            raise ConfigError(
                f"plan {plan.name!r}: {where} names the cell {name!r}; there are {', '.join(cells)}"
            )

    for contrast in plan.contrasts:
        check(contrast.a, f"contrast {contrast.name!r}")
        check(contrast.b, f"contrast {contrast.name!r}")
    for cell in cells.values():
        if cell.tuned_as is not None:
            check(cell.tuned_as, f"tuned_as of {cell.name!r}")
            if cells[cell.tuned_as].tuned_as is not None:
                raise ConfigError(
                    f"plan {plan.name!r}: cell {cell.name!r} is tuned as {cell.tuned_as!r}, which is not tuned itself"
                )
