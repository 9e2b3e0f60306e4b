"""What the folder of a sweep holds, by its own files: nothing is asked of models, data or the versions of today."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, read_text
from gmr.probe.sweep.cells import Cell, cells_of
from gmr.probe.sweep.choose import Choice, choose
from gmr.probe.sweep.files import SPEC, read_spec
from gmr.probe.sweep.plan import Plan, load_plan
from gmr.probe.sweep.runs import RunSpec

PLAN, RUNS, INDEX = "plan.toml", "runs", "runs.json"


@dataclass(frozen=True)
class Contents:
    """A sweep on disk.

    Attributes:
        folder: Of the sweep.
        plan: As it was used.
        cells: By name.
        runs: The runs that belong to it and were begun.
    """

    folder: Path
    plan: Plan
    cells: Mapping[str, Cell]
    runs: Sequence[RunSpec]

    @property
    def runs_dir(self) -> Path:
        """Where the directories of the runs are."""
        return self.folder / RUNS

    def choice(self, name: str) -> Choice | None:
        """The learning rate of a cell; None while it is not chosen."""
        tuning = [spec for spec in self.runs if spec.purpose == "tuning"]
        return choose(self.cells, name, tuning, seeds=self.plan.tuning.seeds, runs_dir=self.runs_dir)

    def reported(self, name: str) -> list[RunSpec]:
        """The runs of a cell that are reported, as far as they were begun."""
        return [spec for spec in self.runs if spec.cell == name and spec.purpose == "test"]


def read_contents(folder: Path) -> Contents:
    """The sweep in a folder.

    Raises:
        DataError: There is none, or a file of it cannot be read.
    """
    plan_path, index = folder / PLAN, folder / INDEX
    if not plan_path.is_file() or not index.is_file():
        raise DataError(f"{folder}: no {PLAN} with {INDEX}, so not the output of gmr probe sweep")
    plan = load_plan(plan_path)
    names = json.loads(read_text(index))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{index}: a list of directories is needed")
    folders = [folder / RUNS / name for name in names]
    runs = [read_spec(path) for path in folders if (path / SPEC).is_file()]
    return Contents(folder, plan, cells_of(plan), runs)


def write_index(folder: Path, specs: Iterable[RunSpec]) -> None:
    """Keep which directories belong to the sweep; others may be those of an earlier plan."""
    atomic_write_json(folder / INDEX, [spec.name for spec in specs])
