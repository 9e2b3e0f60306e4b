"""The blocks of a benchmark spread over workers of Ray Data; the same calls as in one process, so the same scores."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gmr.bench.blocks import WHOLE, numbered
from gmr.bench.identity import PairKeys, scorer_digest
from gmr.bench.media import BadMedia
from gmr.bench.run import Bench, check_pictures_of
from gmr.bench.runner import Bad, Plan, count, score_wanted, scoring_bar
from gmr.bench.store import ScoreStore
from gmr.bench.system import StoredSystem, load_system
from gmr.core.errors import DataError, GmrError, ModelError
from gmr.core.nouns import Pair
from gmr.core.tasks import RerankTask
from gmr.evaluation.cost import Cost


def run_on_ray(
    bench: Bench,
    models: Sequence[str],
    options: dict[str, Any],
    store_path: Path,
    *,
    num_workers: int,
    progress: bool = False,
) -> tuple[list[StoredSystem], Bad]:
    """Score a benchmark with workers, each with a model and a GPU of its own where there are GPUs.

    A running cluster is used when there is one (``ray start``), else the cores of this machine. Pictures in files must
    be there on every node.

    Args:
        bench: what to run.
        models: names or folders.
        options: for `Reranker`.
        store_path: where the scores go; this process alone writes it.
        num_workers: models in memory at once.
        progress: whether to show bars.

    Returns:
        The systems, without their models, for `run_bench`; and what of the tasks has pictures of no use.

    Raises:
        ModelError: Ray is not installed, or a worker cannot load or run a model.
        DataError: bad pictures, or a store that cannot be written.
    """
    ray = _ray()
    bad = check_pictures_of(bench, progress=progress)
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    num_gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    threads = {"num_threads": _num_threads()}
    tasks = ray.put(list(bench.tasks))
    systems = []
    with ScoreStore(store_path, is_single_writer=bench.policy.is_single_writer) as store:
        for model in models:
            ask = ray.remote(num_gpus=num_gpus)(_facts)
            facts, tolerance, error = ray.get(ask.remote(model, options, **threads))
            if error:
                raise ModelError(error)
            system = StoredSystem(model, facts, tolerance)
            systems.append(system)
            plan = Plan(bench.tasks, PairKeys(scorer_digest(facts)), WHOLE, bad)
            planned = count(plan, store, name=model, progress=progress)
            todo = list(_todo(plan, store))
            if not todo:
                continue
            rows = (
                ray.data.from_items(todo, override_num_blocks=len(todo))
                .map(
                    _Worker,
                    fn_constructor_args=(model, options, tasks, bench.policy.floors_bad_media),
                    fn_constructor_kwargs=threads,
                    compute=ray.data.ActorPoolStrategy(size=num_workers),
                    num_gpus=num_gpus,
                )
                .iter_rows()
            )
            with scoring_bar(model, planned, progress=progress) as bar:
                for row in rows:
                    if row["error"]:
                        raise DataError(row["error"])
                    scores = dict(zip(row["keys"], row["scores"], strict=True))
                    store.put(
                        scores, cost=Cost(**row["cost"]), of=(scorer_digest(facts), row["task"], row["block"])
                    )
                    if row["bad_queries"] or row["bad_documents"]:
                        found = BadMedia(dict(row["bad_queries"]), dict(row["bad_documents"]))
                        bad[row["task"]] = bad.get(row["task"], BadMedia()) | found
                    bar.update(len(scores))
    return systems, bad


def _todo(plan: Plan, store: ScoreStore) -> Iterator[dict[str, Any]]:
    """The blocks that lack scores, each with the places of the pairs that are wanted, and their keys."""
    numbers = {(task.name, block.number): number for number, task, block in numbered(plan.tasks)}
    for task, block, own in plan.blocks():
        stored = store.get(own)
        places = {id(pair): place for place, pair in enumerate(block.pairs)}
        wanted = {key: places[id(pair)] for key, pair in own.items() if key not in stored}
        if wanted:
            yield {
                "number": numbers[task.name, block.number],
                "task": task.name,
                "block": block.number,
                "keys": list(wanted),
                "places": list(wanted.values()),
            }


class _Worker:
    """A model in a process of its own."""

    def __init__(
        self, model: str, options: dict[str, Any], tasks: Any, floors_bad_media: bool, *, num_threads: int
    ) -> None:
        import ray

        _use_threads(num_threads)
        self._system = load_system(model, **options)
        self._floors_bad_media = floors_bad_media
        everything: Sequence[RerankTask] = ray.get(tasks)
        self._blocks = {number: block for number, _, block in numbered(everything)}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        pairs = self._blocks[row["number"]].pairs
        wanted: dict[bytes, Pair] = dict(
            zip(row["keys"], (pairs[place] for place in row["places"]), strict=True)
        )
        answer = {"task": row["task"], "block": row["block"], "error": ""}
        try:
            scored = score_wanted(self._system, row["task"], wanted, floors_bad_media=self._floors_bad_media)
        except GmrError as error:  # an exception of ours would come back as one of Ray's, with its traceback
            empty: dict[str, Any] = {"keys": [], "scores": [], "cost": asdict(Cost())}
            return answer | empty | {"bad_queries": [], "bad_documents": [], "error": str(error)}
        return answer | {
            "keys": list(scored.rows),
            "scores": list(scored.rows.values()),
            "cost": asdict(scored.cost),
            "bad_queries": list(scored.bad.queries.items()),
            "bad_documents": list(scored.bad.documents.items()),
        }


def _facts(model: str, options: dict[str, Any], *, num_threads: int) -> tuple[dict[str, str], float, str]:
    """What the model's scores depend on and their tolerance, or why it cannot be loaded."""
    _use_threads(num_threads)
    try:
        system = load_system(model, **options)
    except GmrError as error:
        return {}, 0.0, str(error)
    return system.facts, system.tolerance, ""


def _num_threads() -> int:
    import torch

    return torch.get_num_threads()


def _use_threads(number: int) -> None:
    """As many as the process that asked: how sums are cut between threads decides their last bits."""
    import torch

    torch.set_num_threads(number)


def _ray() -> Any:
    # Ray says a line of its own for each warning that it has about its versions to come.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelError("--ray needs Ray: pip install 'gmr-rerank[ray]'") from error
    return ray
