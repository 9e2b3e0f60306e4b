"""Tasks run by mteb with one of our models, and measured again by us from the predictions that it wrote."""

import copy
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gmr.bench.mteb.library import require
from gmr.bench.mteb.measures import from_mteb
from gmr.bench.mteb.model import MtebReranker
from gmr.bench.mteb.predictions import measure_predictions, read_predictions
from gmr.bench.mteb.results import ReportedScores, read_result
from gmr.bench.mteb.tasks import from_mteb_task, load_mteb_task
from gmr.core.errors import DataError
from gmr.core.files import digest
from gmr.core.nouns import Run
from gmr.evaluation import TaskResult
from gmr.metrics.order import canonical_order

logger = logging.getLogger(__name__)

OTHER_MEASURE = "ndcg@10"
BATCH_ROWS = 32  # of the data loaders; the scorer gets whole queries however the rows come


@dataclass(frozen=True)
class MtebRun:
    """One task run by mteb.

    Attributes:
        reported: What mteb reports, of each subset and split.
        measured: What we compute from its predictions, in the same order.
    """

    reported: list[ReportedScores]
    measured: list[TaskResult]


def run_task(
    model: MtebReranker,
    task: Any,
    folder: Path | str,
    *,
    first_stage: Run | None = None,
    depth: int | None = None,
    progress: bool = False,
) -> MtebRun:
    """What mteb and we make of a model on a task.

    mteb writes ``results/<model>/<revision>/<Task>.json`` below the folder, and takes a subset that is there from it
    when task, data, candidates and model are the same; predictions lie in ``predictions/<model>/<revision>/``. Where
    candidates or an instruction are given for the run, both have a folder ``experiments/`` of their own.

    Args:
        model: Of `mteb_model`.
        task: A name that mteb knows, or a task object such as `as_mteb_task` gives.
        folder: Where results and predictions go.
        first_stage: Candidates of a task with one subset and split; None for its own.
        depth: First so many candidates of each query; None for all.
        progress: Show a progress bar on stderr.

    Raises:
        DataError: The task cannot be loaded, has no candidates, or mteb wrote what cannot be read.
    """
    task = _choose_candidates(load_mteb_task(task), first_stage, depth)
    model = _with_settings(model, first_stage, depth)
    meta = model.mteb_model_meta
    cache = require("mteb.cache").ResultCache(cache_path=Path(folder))
    result_path = Path(cache.get_task_result_path(task.metadata.name, meta))
    predictions = Path(folder) / "predictions" / result_path.parent.relative_to(cache.cache_path / "results")
    require("mteb").evaluate(
        model,
        [task],
        cache=cache,
        overwrite_strategy=_strategy(task, result_path, predictions),
        prediction_folder=predictions,
        # One bar, of pairs: mteb's own is of tasks, and there is one.
        show_progress_bar=False,
        encode_kwargs={"batch_size": BATCH_ROWS, "show_progress_bar": progress},
    )
    reported = read_result(result_path, model=meta.name, revision=str(meta.revision))
    kept = read_predictions(predictions / task.prediction_file_name)
    if task.ignore_identical_ids:  # mteb takes these out after it wrote them
        kept = replace(kept, runs={place: _without_identical_ids(run) for place, run in kept.runs.items()})
    measure = from_mteb(task.metadata.main_score)
    if measure is None and task.metadata.main_score != "accuracy":
        logger.warning(
            "%s: the main score %s is none of gmr's measures; %s is computed instead",
            *(task.metadata.name, task.metadata.main_score, OTHER_MEASURE),
        )
        measure = OTHER_MEASURE
    measured = []
    for each in reported:
        ours = from_mteb_task(
            task, split=each.split, subset=each.subset, measure=measure, candidates_only=True
        )
        measured.append(measure_predictions(kept, ours, subset=each.subset, split=each.split))
    return MtebRun(reported, measured)


def _without_identical_ids(run: Run) -> Run:
    return {q: {d: score for d, score in row.items() if d != q} for q, row in run.items()}


def _with_settings(model: MtebReranker, first_stage: Run | None, depth: int | None) -> MtebReranker:
    """The model under whose name mteb keeps results of these candidates apart from those of others."""
    settings: dict[str, Any] = dict(model.mteb_model_meta.experiment_kwargs or {})
    if first_stage is not None:
        rows = [[query_id, sorted(scores.items())] for query_id, scores in first_stage.items()]
        settings["first_stage"] = digest(json.dumps(rows).encode())[:16]
    if depth is not None:
        settings["depth"] = depth
    meta = model.mteb_model_meta.model_copy(update={"experiment_kwargs": settings or None})
    return MtebReranker(model.scorer, meta, instruction=model.instruction)


def _choose_candidates(task: Any, first_stage: Run | None, depth: int | None) -> Any:
    """A task whose every split has its candidates; the one given is left as it is.

    mteb's own ``convert_to_reranking`` breaks ties by the order in the file; this is the canonical order.
    """
    name = task.metadata.name
    places = [(subset, split) for subset, splits in task.dataset.items() for split in splits]
    if first_stage is not None and len(places) > 1:
        there = ", ".join(f"{subset}/{split}" for subset, split in places)
        raise DataError(f"{name}: one first stage for {len(places)} subsets and splits ({there})")
    task = copy.copy(task)
    task.dataset = {subset: dict(splits) for subset, splits in task.dataset.items()}
    for subset, split in places:
        data = dict(task.dataset[subset][split])
        top_ranked = data.get("top_ranked")
        if first_stage is not None:
            top_ranked = {
                q: canonical_order(scores, where=f"query {q!r}") for q, scores in first_stage.items()
            }
        if not top_ranked:
            raise DataError(
                f"{name} ({subset}, {split}): there are no candidates to rerank; give a first stage"
            )
        data["top_ranked"] = {query_id: list(doc_ids)[:depth] for query_id, doc_ids in top_ranked.items()}
        _check_candidates(data, f"{name} ({subset}, {split})")
        task.dataset[subset][split] = data
    return task


def _check_candidates(data: Mapping[str, Any], where: str) -> None:
    known = set(data["corpus"]["id"])
    for query_id, doc_ids in data["top_ranked"].items():
        unknown = [doc_id for doc_id in doc_ids if doc_id not in known]
        if unknown:
            raise DataError(f"{where}, query {query_id!r}: candidate {unknown[0]!r} is not in the corpus")


def _strategy(task: Any, result_path: Path, predictions: Path) -> str:
    """Whether mteb may take results from its folder: only of this data, and only with their predictions.

    mteb itself takes complete results of any revision of the data set.
    """
    if not result_path.is_file():
        return "only-missing"
    revisions = {each.dataset_revision for each in read_result(result_path)}
    is_whole = (predictions / task.prediction_file_name).is_file()
    return "only-missing" if revisions == {str(task.metadata.revision)} and is_whole else "always"
