"""A plan: one page of TOML that says which runs to make, how to compare them, and what the paper found."""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from gmr.core.config import load_config
from gmr.core.errors import ConfigError
from gmr.core.files import read_text
from gmr.metrics.measures import parse_measure
from gmr.probe.sweep.verdict import Certainty, Claim


@dataclass(frozen=True)
class TuningSection:
    """How each cell's learning rate is chosen: every rate on every seed, best mean on the development tasks.

    Attributes:
        learning_rates: To try; none or one leaves nothing to choose.
        seeds: Of the runs that choose; others than the plan's, so that no run is both chosen and reported.
    """

    learning_rates: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (1000,)

    def __post_init__(self) -> None:
        check_rates(self.learning_rates, "tuning.learning_rates")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"tuning.seeds must be at least one, each once, not {list(self.seeds)}")


def check_rates(rates: Sequence[float], name: str) -> None:
    """Make sure that learning rates can be tried.

    Raises:
        ConfigError: One is not above zero and finite, or is there twice.
    """
    if not all(0 < rate < math.inf for rate in rates) or len(set(rates)) != len(rates):
        raise ConfigError(f"{name} must be above zero, each once, not {list(rates)}")


@dataclass(frozen=True)
class HeldOutSection:
    """What the trained models are measured on; nothing of it is seen while rates are chosen.

    Attributes:
        suite: A suite of tasks.
        folder: A task in BEIR layout with candidates, in place of a suite.
        split: Of the suite or folder.
        root: Folder with the data of a suite that is not embedded.
        task_types: Of the suite; none is all.
        names: Patterns of names of the suite's tasks; none is all.
        limit: First so many queries of each task; none is all.
        measure: One for all tasks.
        depths: Measure also when the first so many candidates alone are reranked.
    """

    suite: str | None = "glyphs"
    folder: Path | None = None
    split: str = "test"
    root: str | None = None
    task_types: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    limit: int | None = None
    measure: str = "ndcg@10"
    depths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        parse_measure(self.measure)
        if (self.limit is not None and self.limit < 1) or any(depth < 1 for depth in self.depths):
            raise ConfigError("test.limit and test.depths are numbers of queries and candidates: 1 or more")


@dataclass(frozen=True)
class PaperSection:
    """What the paper found of a contrast.

    Attributes:
        claim: Of ``a`` against ``b``: ``higher``, ``lower``, ``same``, ``not_higher`` or ``not_lower``.
        effect: Its difference ``a - b`` in points of its measure; none where no number is known.
        source: Where it stands.
        certainty: ``V`` read at the source, ``S`` from a secondary source, ``I`` inferred.
        within: Points that ``same``, ``not_higher`` and ``not_lower`` leave; our choice, made before any run.
    """

    claim: Claim
    effect: float | None = None
    source: str = ""
    certainty: Certainty = "S"
    within: float = 1.0


@dataclass(frozen=True)
class ContrastSection:
    """A pair of cells to compare, declared beforehand.

    Attributes:
        name: Short, one of its own.
        a: The cell whose value counts as plus.
        b: The cell that is subtracted.
        depth_a: The first so many candidates alone are reranked by ``a``; one of ``test.depths``.
        depth_b: The same of ``b``.
        paper: What the paper found; none where it is silent.
    """

    name: str
    a: str
    b: str
    depth_a: int | None = None
    depth_b: int | None = None
    paper: PaperSection | None = None


@dataclass(frozen=True)
class CellSection:
    """One way of training.

    Attributes:
        about: A sentence.
        set: Changes of the recipe, by section and key.
        learning_rates: To try in place of the plan's; as many, so that every cell has the same budget.
        tuned_as: Another cell whose chosen rate this one takes.
    """

    about: str = ""
    set: dict[str, Any] = field(default_factory=dict)
    learning_rates: tuple[float, ...] | None = None
    tuned_as: str | None = None

    def __post_init__(self) -> None:
        check_rates(self.learning_rates or (), "learning_rates of a cell")


@dataclass(frozen=True)
class Plan:
    """Everything a sweep is made of.

    Attributes:
        name: Of the sweep; its folder is called so.
        question: What it answers, in a sentence.
        about: What else to know.
        recipe: The recipe that all cells change: a packaged one by name, or a file beside the plan.
        seeds: Of the training runs that are reported.
        common: Changes of the recipe that all cells share, by section and key.
        cells: By name.
        grid: Values by section and key; each cell is taken with every combination of them. A plan with a grid alone
            has one cell for each combination.
        tuning: Of the learning rates.
        test: What is measured.
        contrasts: What is compared.
        needs: Files and folders that do not come with the package, as the page names them, each with how it is made.
        keep_models: Keep the final model of each run.
        quick: Keys of this page with smaller values, taken for a quick look.
    """

    name: str
    question: str
    about: str = ""
    recipe: str = "gmr-nano-sft"
    seeds: tuple[int, ...] = (0, 1, 2)
    keep_models: bool = False
    needs: dict[str, str] = field(default_factory=dict)
    common: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, CellSection] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)
    tuning: TuningSection = field(default_factory=TuningSection)
    test: HeldOutSection = field(default_factory=HeldOutSection)
    contrasts: tuple[ContrastSection, ...] = ()
    quick: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds must be at least one, each once, not {list(self.seeds)}")
        if not self.cells and not self.grid:
            raise ConfigError("a plan needs cells or a grid")
        names = [contrast.name for contrast in self.contrasts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"two contrasts are called {twice[0]!r}")
        shared = set(self.seeds) & set(self.tuning.seeds)
        if shared and len(self.tuning.learning_rates) > 1:
            raise ConfigError(
                f"seed {min(shared)} is in seeds and in tuning.seeds: a run that helped to choose its learning rate "
                "would be reported"
            )
        for contrast in self.contrasts:
            for depth in (contrast.depth_a, contrast.depth_b):
                if depth is not None and depth not in self.test.depths:
                    raise ConfigError(
                        f"contrast {contrast.name!r}: depth {depth} is not among test.depths "
                        f"{list(self.test.depths)}"
                    )


def load_plan(
    name_or_path: str | Path, overrides: Sequence[str] = (), *, quick: bool = False, where: str | None = None
) -> Plan:
    """The plan of that name or in that file.

    Args:
        name_or_path: A packaged plan, or a file.
        overrides: ``section.key=value``, applied to the plan's page last.
        quick: Take the values of its table ``[quick]``.
        where: What the page is called in an error; by default the name or path.

    Raises:
        ConfigError: No such plan, an unknown key, or a value that does not fit.
    """
    packaged = packaged_plans()
    path = packaged.get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise ConfigError(f"{name_or_path}: no such plan file, nor a packaged plan ({', '.join(packaged)})")
    where = where or (str(name_or_path) if str(name_or_path) in packaged else str(path))
    changes = [*_quick_overrides(path, where), *overrides] if quick else list(overrides)
    plan = load_config(path, Plan, changes, where=where)
    beside = path.parent / plan.recipe
    if plan.recipe.endswith(".toml") and beside.is_file():
        plan = load_config(path, Plan, [*changes, f"recipe={json.dumps(str(beside.resolve()))}"], where=where)
    return plan


def packaged_plans() -> dict[str, Path]:
    """The plans that come with the package, by name."""
    folder = files("gmr.probe").joinpath("plans")
    pages = (Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {path.stem: path for path in sorted(pages, key=lambda path: path.stem)}


def overrides_of(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The leaves of a table as ``section.key=value``, in its order."""
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from overrides_of(value, name)
        else:
            # Of texts, numbers, truths and lists of them, JSON's spelling is TOML's.
            yield f"{name}={json.dumps(value, ensure_ascii=False)}"


def _quick_overrides(path: Path, where: str) -> list[str]:
    try:
        page = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError:
        return []  # told with its line when the page itself is read
    table = page.get("quick", {})
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{where}: there is no table [quick] for a quick look")
    return list(overrides_of(table))
