"""One run of a sweep in a process of its own: train, measure, leave small files, sign them off.

``python -m gmr.probe.sweep.execute DIRECTORY`` does so in every process that ``accelerate launch`` started.
"""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmr import suites
from gmr.core.config import load_config
from gmr.core.datasets import read_beir
from gmr.core.errors import DataError, GmrError, NotFiniteError
from gmr.core.files import (
    atomic_write_json,
    atomic_write_jsonl,
    atomic_write_text,
    file_names,
    sha256_file,
)
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult, evaluate_run, rerank_run
from gmr.probe.sweep.files import (
    COST,
    CURVES,
    DEV,
    DEV_CURVES,
    DONE,
    RECIPE,
    RUN,
    TEST,
    TRAINING,
    is_done,
    read_spec,
    result_files,
)
from gmr.probe.sweep.runs import RunSpec
from gmr.train.dev import select_queries
from gmr.train.recipe import Recipe


def execute(folder: Path) -> None:
    """Make the run that ``spec.json`` in ``folder`` describes; what a killed one left is gone on from.

    Raises:
        GmrError: Data, recipe or model at fault.
        KeyboardInterrupt: The training was told to stop; its checkpoint is there.
    """
    spec = read_spec(folder)
    training = folder / TRAINING
    if not is_done(folder, spec):
        _execute(spec, folder)
    # After the signature, so that no kill leaves a run without its training and without its results.
    if training.exists() and _is_main_process():
        shutil.rmtree(training)


def _execute(spec: RunSpec, folder: Path) -> None:
    from gmr.train.run import train

    started, cpu_started = time.monotonic(), time.process_time()
    is_fresh = not (folder / TRAINING).exists()
    recipe = load_config(spec.recipe, Recipe, where=f"{folder.name}: recipe")
    facts: dict[str, Any] = {"outcome": "trained", "dev": None, "test": {}}
    model: Path | None = None
    try:
        trained = train(recipe, output_dir=folder / TRAINING, progress=False)
        if trained.model_dir is None:
            raise KeyboardInterrupt
        facts |= {"num_steps": trained.num_steps, "num_skipped_steps": trained.num_skipped_steps}
        if spec.test is not None and _is_main_process():
            facts["test"] = _measure(spec, recipe, trained.model_dir, folder / TEST)
        model = trained.model_dir
    except NotFiniteError as error:
        # An outcome of this objective at this rate, and as good a result as a number.
        facts |= {"outcome": "diverged", "reason": str(error), "num_steps": None, "num_skipped_steps": None}
        shutil.rmtree(folder / TEST, ignore_errors=True)
    if not _is_main_process():
        return
    _keep_logs(folder)
    if model is not None:
        if trained.dev:
            facts["dev"] = sum(result.mean() for result in trained.dev) / len(trained.dev)
            _write_values(folder / DEV, trained.dev)
        if spec.keep_model and not (folder / "model").exists():
            half = folder / ".model"
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(model, half)
            half.rename(folder / "model")
    if is_fresh:  # of a run that was resumed nobody knows
        cost = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - cpu_started}
        atomic_write_json(folder / COST, {name: round(value, 2) for name, value in cost.items()})
    atomic_write_json(
        folder / DONE,
        {
            "format": 1,
            "key": spec.key,
            **facts,
            "files": {
                path.relative_to(folder).as_posix(): sha256_file(path) for path in result_files(folder)
            },
        },
    )


def _keep_logs(folder: Path) -> None:
    """Curves, recipe and circumstances of the training."""
    names = {"log.csv": CURVES, "dev.csv": DEV_CURVES, "recipe.toml": RECIPE, "run.json": RUN}
    for name, kept in names.items():
        path = folder / TRAINING / name
        if path.is_file():
            atomic_write_text(folder / kept, path.read_text(encoding="utf-8"))


def _measure(spec: RunSpec, recipe: Recipe, model: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Mean of each task, at full depth (``all``) and at each depth asked for; per-query values go to files."""
    from gmr.reranker import Reranker

    test = dict(spec.test or {})
    measure: str = test["measure"]
    reranker = Reranker(model, engine=recipe.model.engine)
    means: dict[str, dict[str, float]] = {}
    for task in held_out_tasks(test):
        run = rerank_run(reranker, task)
        for depth in (None, *test["depths"]):
            kept = run if depth is None else cut(run, task, depth=depth)
            result = evaluate_run(kept, task, measures=(measure,))
            _write_values(folder, [result], depth=depth)
            means.setdefault("all" if depth is None else str(depth), {})[task.name] = result.mean()
    return means


def held_out_tasks(test: Mapping[str, Any]) -> Sequence[RerankTask]:
    """The tasks that a plan's ``test`` section names.

    Raises:
        DataError: An unknown suite, split or task type, or a folder that cannot be read.
    """
    if test["folder"] is not None:
        task = read_beir(Path(test["folder"]), split=test["split"])
        return [select_queries(task, list(task.queries)[: test["limit"]])]
    if test["suite"] is None:
        raise DataError("the plan's test section names neither a suite nor a folder")
    return suites.load(
        test["suite"],
        split=test["split"],
        task_types=test["task_types"],
        limit=test["limit"],
        data_root=test["root"],
        names=test["names"],
    )


def cut(
    run: Mapping[str, Mapping[str, float]], task: RerankTask, *, depth: int
) -> dict[str, dict[str, float]]:
    """The run as if the first ``depth`` candidates of the first stage alone had been reranked.

    What is left out is not found: the measure counts it as it counts what the first stage missed.
    """
    return {
        query_id: {document.doc_id: scores[document.doc_id] for document in task.candidates(query_id)[:depth]}
        for query_id, scores in run.items()
    }


def _write_values(folder: Path, results: Sequence[TaskResult], *, depth: int | None = None) -> None:
    """A file for each task: a line for each query with its value."""
    names = file_names([result.task_name for result in results])
    for result in results:
        suffix = "" if depth is None else f"@{depth}"
        rows = [{"query_id": query_id, "value": value} for query_id, value in sorted(result.values().items())]
        atomic_write_jsonl(folder / f"{names[result.task_name]}{suffix}.jsonl", rows)


def _is_main_process() -> bool:
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def main(words: Sequence[str]) -> int:
    """Make the run of the directory that is named; 0 when it is made."""
    try:
        execute(Path(words[0]))
    except GmrError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
