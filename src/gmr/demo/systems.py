"""What the demo compares, and its results, kept so that an interrupted demo goes on where it stopped."""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, digest, sha256_file
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult, evaluate_run, evaluate_task
from gmr.modeling.folders import resolve_folder
from gmr.reports.experiment import Role
from gmr.reranker import Reranker
from gmr.suites import baselines
from gmr.suites.baselines import PixelCosine, chance_run, first_stage_run
from gmr.train.workers import POLL_S, workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoSystem:
    """One thing that ranks in the demo.

    Attributes:
        name: short; also the heading of its column.
        description: one sentence.
        role: baseline, trained here, or shipped with the package.
        model: name or folder of a model; None for a baseline that needs none.
        recipe: packaged recipe that trains it here; None if it is not trained here.
        seed: of that training run.
    """

    name: str
    description: str
    role: Role
    model: str | None = None
    recipe: str | None = None
    seed: int = 0


CHANCE = DemoSystem(baselines.CHANCE, "the exact expectation of a random order", "baseline")
PIXELS = DemoSystem(
    baselines.PIXEL_COSINE, "cosine of raw pixels where both sides have a picture", "baseline"
)
FIRST_STAGE = DemoSystem(
    baselines.FIRST_STAGE,
    "word overlap, ink cosine and the nearest training examples; its order is what models rerank",
    "baseline",
)
BASE = DemoSystem(
    "base", "gmr-nano-base: can name what it sees, was never trained to rank", "baseline", "gmr-nano-base"
)
SHIPPED = DemoSystem(
    "gmr-nano", "the packaged model: the same recipe, trained for longer", "shipped", "gmr-nano"
)


def trained_system(objective: str, seed: int, *, num_seeds: int) -> DemoSystem:
    """The model that one training run of the demo makes."""
    what = {
        "sft": "the base after supervised fine-tuning: yes or no for each pair",
        "cl": "the base after contrastive learning: the right one among a query's candidates",
    }[objective]
    name = objective.upper() if num_seeds == 1 else f"{objective.upper()} seed {seed}"
    return DemoSystem(name, what, "trained", recipe=f"gmr-nano-{objective}", seed=seed)


def evaluate_baseline(system: DemoSystem, tasks: Sequence[RerankTask]) -> list[TaskResult]:
    """Results of a system without a model, one per task."""
    if system is CHANCE:
        return [evaluate_run(chance_run(task), task, expected_under_ties=True) for task in tasks]
    if system is FIRST_STAGE:
        return [evaluate_run(first_stage_run(task), task) for task in tasks]
    # Where a side has no picture all scores are equal, and the expectation is that of chance.
    return [evaluate_task(PixelCosine(), task, expected_under_ties=True) for task in tasks]


def evaluate_models(
    folders: Mapping[str, Path], *, num_queries: int | None, cache_dir: Path, progress: bool
) -> dict[str, list[TaskResult]]:
    """Results of models on the suite's test tasks, several models at a time.

    Args:
        folders: system name to model folder.
        num_queries: held-out queries per task type; None for all.
        cache_dir: where results are kept, by contents of model and task; what is there is not scored again.
        progress: show one bar over all models on stderr.
    """
    tasks = suites.load("glyphs", limit=num_queries)
    paths = {
        name: [cache_path(folder, task, cache_dir) for task in tasks] for name, folder in folders.items()
    }
    todo = [name for name, files in paths.items() if any(_read_result(file) is None for file in files)]
    if todo:
        wanted = [file for name in todo for file in paths[name]]
        with (
            workers(len(todo)) as pool,
            tqdm(total=len(wanted), unit="task", desc="scoring", disable=not progress) as bar,
        ):
            pending: set[Future[None]] = {
                pool.submit(_evaluate_model, folders[name], num_queries, cache_dir) for name in todo
            }
            while pending:
                done, pending = wait(pending, timeout=POLL_S)
                for future in done:
                    future.result()
                bar.n = sum(file.exists() for file in wanted)
                bar.set_postfix_str(", ".join(todo))
    return {name: [_kept(file) for file in files] for name, files in paths.items()}


def _evaluate_model(folder: Path, num_queries: int | None, cache_dir: Path) -> None:
    """Score what is not kept yet; runs in a worker."""
    reranker: Reranker | None = None
    for task in suites.load("glyphs", limit=num_queries):
        path = cache_path(folder, task, cache_dir)
        if _read_result(path) is None:
            reranker = reranker or Reranker(folder)
            atomic_write_json(path, evaluate_task(reranker, task).to_dict())


def cache_path(folder: Path, task: RerankTask, cache_dir: Path) -> Path:
    """File of a model's result on a task, by the contents of both."""
    return cache_dir / f"{_model_digest(folder)[:24]}-{_task_digest(task)[:24]}.json"


def _kept(path: Path) -> TaskResult:
    result = _read_result(path)
    if result is None:
        raise RuntimeError(f"{path}: scoring ended without a result")
    return result


def _read_result(path: Path) -> TaskResult | None:
    if not path.exists():
        return None
    try:
        return TaskResult.from_dict(json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except (DataError, ValueError):
        logger.warning("%s cannot be read; it is computed again", path)
        return None


def _model_digest(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".json", ".jinja"))
    return digest(*(f"{path.name}:{sha256_file(path)}".encode() for path in files))


def _task_digest(task: RerankTask) -> str:
    # Items are what their ids say, so ids, order and instructions tell tasks apart.
    facts: list[object] = [task.name, task.measure, {q: list(row) for q, row in task.first_stage.items()}]
    facts.append([(query.query_id, query.instruction) for query in task.queries.values()])
    return digest(json.dumps(facts).encode())


def packaged_folder(system: DemoSystem) -> Path:
    """Folder of a packaged model."""
    return resolve_folder(str(system.model))
