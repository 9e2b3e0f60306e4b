"""What a run directory says about how it came to be, and the files of its results."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmr.core.environment import versions
from gmr.core.files import atomic_write_text
from gmr.core.trec import write_run
from gmr.evaluation import TaskResult
from gmr.train.recipe import Recipe, flatten

HARMLESS = {
    "name",
    "about",
    "training.logging_steps",
    "training.logging_first_step",
    "training.disable_tqdm",
    "training.report_to",
    "training.run_name",
    "training.save_steps",
    "training.save_total_limit",
    "training.dataloader_num_workers",
    "training.dataloader_prefetch_factor",
    "training.dataloader_persistent_workers",
    "training.dataloader_pin_memory",
}
"""Recipe keys that may change between a run and its resumption: none of them touches a weight."""


def run_identity(recipe: Recipe, *, data: str, base: str, world_size: int) -> dict[str, Any]:
    """What must not change when a run is resumed, by dotted name.

    Args:
        recipe: The recipe.
        data: Fingerprint of the training set.
        base: Fingerprint of the base model.
        world_size: Number of processes.
    """
    keys = {f"recipe.{name}": value for name, value in flatten(recipe) if name not in HARMLESS}
    packages = {f"versions.{name}": version for name, version in versions().items()}
    return {**keys, **packages, "data": data, "base": base, "world_size": world_size}


def write_dev(run_dir: Path, results: Sequence[TaskResult]) -> None:
    """Write ``dev_per_query.csv`` and one TREC run per task under ``runs/``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "measure", "query_id", "value"])
    for result in results:
        for measure, values in result.per_query.items():
            rows = [[result.task_name, measure, query_id, repr(value)] for query_id, value in values.items()]
            writer.writerows(rows)
        (run_dir / "runs").mkdir(exist_ok=True)
        write_run(result.run, run_dir / "runs" / f"{result.task_name}.trec")
    if results:
        atomic_write_text(run_dir / "dev_per_query.csv", text.getvalue())
