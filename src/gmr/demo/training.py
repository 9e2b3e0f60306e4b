"""The demo's training runs: one process and one core each, watched through their logs."""

import csv
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gmr.core.files import atomic_write_json, digest
from gmr.train.workers import POLL_S, workers


@dataclass(frozen=True)
class TrainingJob:
    """One run to make.

    Attributes:
        name: of the system, for the progress line.
        recipe: packaged recipe.
        run_dir: where it goes.
        num_steps: optimiser steps.
        seed: of data order and sampling.
    """

    name: str
    recipe: str
    run_dir: Path
    num_steps: int
    seed: int

    @property
    def overrides(self) -> list[str]:
        """What differs from the recipe's page."""
        return [
            f"training.max_steps={self.num_steps}",
            f"training.seed={self.seed}",
            "training.save_steps=50",
            "training.dataloader_num_workers=0",
            'data.dev=""',
            "evaluation.every=0",
            "evaluation.patience=0",
            'evaluation.keep="last"',
        ]

    @property
    def key(self) -> str:
        """Digest of what makes the run."""
        return digest(json.dumps([self.recipe, self.overrides]).encode())


@dataclass(frozen=True)
class TrainedModel:
    """A model folder and the lines of its training log."""

    folder: Path
    history: Sequence[Mapping[str, float]]


def train_all(jobs: Sequence[TrainingJob], *, progress: bool) -> list[TrainedModel]:
    """The models of the jobs, in order; finished ones are not trained again, stopped ones go on.

    Small matrices gain little from a second thread, so runs share the cores instead of the cores a run.

    Args:
        jobs: what to train.
        progress: show one bar over all runs on stderr.
    """
    todo = [job for job in jobs if _finished(job) is None]
    if todo:
        with workers(len(todo)) as pool:
            _watch(todo, [pool.submit(_train, job) for job in todo], progress=progress)
    return [_load(job) for job in jobs]


def _train(job: TrainingJob) -> None:
    from gmr.train.run import train

    trained = train(job.recipe, output_dir=job.run_dir, overrides=job.overrides, progress=False)
    if trained.model_dir is None:
        raise KeyboardInterrupt
    history = [dict(line) for line in trained.history]
    atomic_write_json(job.run_dir / "demo.json", {"key": job.key, "history": history})


def _watch(jobs: Sequence[TrainingJob], futures: Sequence["Future[None]"], *, progress: bool) -> None:
    with tqdm(
        total=sum(job.num_steps for job in jobs), unit="step", desc="training", disable=not progress
    ) as bar:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=POLL_S)
            for future in done:
                future.result()
            last = [_last_line(job) for job in jobs]
            bar.n = sum(int(line.get("step", 0)) for line in last)
            losses = (
                f"{job.name} {line['loss']:.3f}"
                for job, line in zip(jobs, last, strict=True)
                if "loss" in line
            )
            bar.set_postfix_str(
                "loss " + ", ".join(losses) if any("loss" in line for line in last) else "starting"
            )
        bar.n = bar.total
        bar.refresh()


def _last_line(job: TrainingJob) -> dict[str, float]:
    """The last complete line of a run's log; empty as long as there is none."""
    try:
        with (job.run_dir / "log.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: float(value) for name, value in rows[-1].items() if value} if rows else {}
    except (OSError, ValueError, TypeError):
        return {}


def _finished(job: TrainingJob) -> dict[str, Any] | None:
    done = job.run_dir / "demo.json"
    if not done.exists() or not (job.run_dir / "model").is_dir():
        return None
    record: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
    return record if record.get("key") == job.key else None


def _load(job: TrainingJob) -> TrainedModel:
    record = _finished(job)
    if record is None:
        raise RuntimeError(f"{job.run_dir}: the run ended without a model")
    return TrainedModel(job.run_dir / "model", record["history"])
