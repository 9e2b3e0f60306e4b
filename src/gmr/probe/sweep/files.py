"""The files of a run's directory: their names, and reading back what they say.

The results of a run are the same bytes however often it was stopped on the way; what is not (the circumstances in
``run.json``, the seconds in ``cost.json``) stands in files of its own.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import parse_json_object, read_jsonl, read_text, sha256_file
from gmr.probe.sweep.runs import RunSpec

SPEC, DONE, COST, RUN = "spec.json", "done.json", "cost.json", "run.json"
CURVES, DEV_CURVES, RECIPE = "curves.csv", "dev.csv", "recipe.toml"
DEV, TEST = "dev", "test"
TRAINING, MODEL = "training", "model"
"""``training`` is the training run's own folder; it goes when its results are taken out of it."""


@dataclass(frozen=True)
class RunResult:
    """What a finished run found.

    Attributes:
        spec: Which run.
        outcome: ``trained``, or ``diverged``: then there is nothing else.
        dev: Mean of the development tasks' means; None without such tasks.
        folder: Where its files are.
    """

    spec: RunSpec
    outcome: str
    dev: float | None
    folder: Path

    def values(self, *, depth: int | None = None) -> dict[str, dict[str, float]]:
        """Task to query id to value on the test, at full depth or when so many candidates are reranked."""
        suffix = "" if depth is None else f"@{depth}"
        found = {}
        for path in sorted((self.folder / TEST).glob(f"*{suffix}.jsonl")):
            name = path.name.removesuffix(f"{suffix}.jsonl")
            if "@" not in name:
                found[name] = {str(row["query_id"]): float(row["value"]) for _, row in read_jsonl(path)}
        return found

    def curves(self) -> dict[str, tuple[list[float], list[float]]]:
        """Quantity to steps and values, from the training log."""
        return read_curves(self.folder / CURVES)

    def dev_curve(self) -> tuple[list[float], list[float]]:
        """Steps and means over the development tasks."""
        path = self.folder / DEV_CURVES
        if not path.is_file():
            return [], []
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["task"] == "mean"]
        return [float(row["step"]) for row in rows], [float(row["value"]) for row in rows]


def read_spec(folder: Path) -> RunSpec:
    """The run that a directory is for."""
    path = folder / SPEC
    return RunSpec.from_json(parse_json_object(read_text(path), where=str(path)), where=str(path))


def is_done(folder: Path, spec: RunSpec) -> bool:
    """Whether the directory holds the results of this very run."""
    path = folder / DONE
    return path.is_file() and _record(path).get("key") == spec.key


def read_result(folder: Path, spec: RunSpec) -> RunResult | None:
    """The result of a finished run; None while it is not finished.

    Raises:
        DataError: A file is missing or not as the run left it.
    """
    if not is_done(folder, spec):
        return None
    record = _record(folder / DONE)
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file() or sha256_file(path) != expected:
            raise DataError(
                f"{path}: not as its run left it; delete {folder} and run the sweep again to make it anew"
            )
    return RunResult(spec, record["outcome"], record["dev"], folder)


def result_files(folder: Path) -> list[Path]:
    """The files that are the same however often the run was stopped on the way."""
    others = (TRAINING, MODEL, SPEC, DONE, COST, RUN)
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in others
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def read_curves(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Column to steps and values of a training log; rows without a value are left out."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name not in ("step", "epoch")]
    found = {}
    for name in names:
        kept = [(float(row["step"]), float(row[name])) for row in rows if row[name]]
        found[name] = ([step for step, _ in kept], [value for _, value in kept])
    return found


def last_step(folder: Path) -> int:
    """The step of the last complete line of a running run's log; 0 as long as there is none."""
    try:
        with (folder / TRAINING / "log.csv").open(encoding="utf-8", newline="") as file:
            return int(float([row["step"] for row in csv.DictReader(file)][-1]))
    except (OSError, ValueError, TypeError, IndexError, KeyError):
        return 0


def read_cost(folder: Path) -> Mapping[str, float] | None:
    """Wall-clock and processor seconds of a run that went through in one go."""
    path = folder / COST
    return parse_json_object(read_text(path), where=str(path)) if path.is_file() else None


def _record(path: Path) -> dict[str, Any]:
    return parse_json_object(read_text(path), where=str(path))
