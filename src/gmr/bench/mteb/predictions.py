"""mteb's files of predictions as runs, and runs as such files.

``mteb.evaluate(..., prediction_folder=...)`` writes ``<Task>_predictions.json``: the model's name and revision
under ``mteb_model_meta``, and subset -> split -> query id -> document id -> score. ``convert_to_reranking`` of an
mteb task reads it as a first stage.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, parse_json_object, read_text, shorten
from gmr.core.nouns import Run
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult, evaluate_run
from gmr.metrics.measures import Measure

META = "mteb_model_meta"
SUFFIX = "_predictions.json"


@dataclass(frozen=True)
class Predictions:
    """What one model predicted on one task.

    Attributes:
        path: The file.
        task_name: As mteb calls the task.
        model_name: ``organisation/model``; empty where the file does not say.
        revision: Of the model; empty where the file does not say.
        runs: Subset and split to run.
    """

    path: Path
    task_name: str
    model_name: str
    revision: str
    runs: Mapping[tuple[str, str], Run]

    def run(self, *, subset: str | None = None, split: str | None = None) -> Run:
        """The run of a subset and split; each may be left out where there is one alone.

        Raises:
            DataError: There is no such subset or split, or more than one to choose from.
        """
        found = [
            run
            for (of_subset, of_split), run in self.runs.items()
            if subset in (None, of_subset) and split in (None, of_split)
        ]
        if len(found) != 1:
            there = ", ".join(f"subset {a!r} split {b!r}" for a, b in self.runs)
            asked = f"subset {subset!r} split {split!r}" if subset or split else "one run alone"
            raise DataError(f"{self.path}: asked for {asked}; there are {there}")
        return found[0]


def read_predictions(path: Path | str) -> Predictions:
    """The predictions of a file ``<Task>_predictions.json``.

    Raises:
        DataError: The file is no JSON of this layout or cut short, repeats an id, has no run, or has a score that is
            no finite number; the message names the file, and the query and document.
    """
    path = Path(path)
    record = parse_json_object(read_text(path), where=str(path))
    meta = record.pop(META, {})
    if not isinstance(meta, Mapping):
        raise DataError(f"{path}: {META} must be an object, this is {shorten(meta)}")
    runs: dict[tuple[str, str], Run] = {}
    for subset, splits in record.items():
        for split, run in _object(splits, f"{path}: subset {subset!r}").items():
            runs[subset, split] = _read_run(run, f"{path}: subset {subset!r} split {split!r}")
    if not runs:
        raise DataError(
            f"{path}: there are no predictions; mteb writes subset -> split -> query -> document -> score"
        )
    return Predictions(
        path=path,
        task_name=path.name.removesuffix(SUFFIX),
        model_name=str(meta.get("model_name") or ""),
        revision=str(meta.get("revision") or ""),
        runs=runs,
    )


def find_predictions(folder: Path | str) -> list[Path]:
    """The files of predictions in a folder and those below, by path.

    Raises:
        DataError: There is no such folder, or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = sorted(folder.rglob(f"*{SUFFIX}"))
    if not found:
        raise DataError(
            f"{folder}: no file *{SUFFIX} in it or below; mteb writes them to its prediction_folder"
        )
    return found


def write_predictions(
    run: Run,
    folder: Path | str,
    *,
    task_name: str,
    model_name: str,
    revision: str,
    subset: str = "default",
    split: str = "test",
) -> Path:
    """The path of the file that mteb reads as the predictions of a model, written whole.

    Other subsets and splits of the same model that the file holds already stay in it.

    Args:
        run: Query id to document id to score.
        folder: Where mteb looks for it: its ``prediction_folder``.
        task_name: As mteb calls the task.
        model_name: ``organisation/model``.
        revision: Of the model.
        subset: Of the task; ``default`` where it has none.
        split: Of the data set.

    Raises:
        DataError: A score is not finite, the file holds predictions of another model, or it cannot be written.
    """
    path = Path(folder) / f"{task_name}{SUFFIX}"
    record: dict[str, Any] = {META: {"model_name": model_name, "revision": revision}}
    if path.is_file():
        known = read_predictions(path)
        if (known.model_name, known.revision) != (model_name, revision):
            raise DataError(f"{path}: holds predictions of {known.model_name}, revision {known.revision}")
        for (of_subset, of_split), of_run in known.runs.items():
            record.setdefault(of_subset, {})[of_split] = of_run
    where = f"{path}: subset {subset!r} split {split!r}"
    record.setdefault(subset, {})[split] = _read_run(run, where)
    atomic_write_json(path, record)
    return path


def measure_predictions(
    predictions: Predictions,
    task: RerankTask,
    *,
    subset: str | None = None,
    split: str | None = None,
    measures: Sequence[str | Measure] | None = None,
) -> TaskResult:
    """The result of predictions on a task of ours, computed from the scores in the file.

    Raises:
        DataError: There is no such subset or split; or a query is not in the task, or a document not in its corpus.
    """
    run = predictions.run(subset=subset, split=split)
    _check_known(predictions.path, task.name, "queries", run, task.queries)
    documents = dict.fromkeys(doc_id for row in run.values() for doc_id in row)
    _check_known(predictions.path, task.name, "documents", documents, task.corpus)
    return evaluate_run(run, task, measures=measures)


def _read_run(value: object, where: str) -> dict[str, dict[str, float]]:
    run: dict[str, dict[str, float]] = {}
    for query_id, scores in _object(value, where).items():
        run[query_id] = {}
        for doc_id, score in _object(scores, f"{where}: query {query_id!r}").items():
            number = float(score) if isinstance(score, (int, float)) or hasattr(score, "dtype") else math.nan
            if isinstance(score, bool) or not math.isfinite(number):
                raise DataError(
                    f"{where}: query {query_id!r}: the score of document {doc_id!r} is {shorten(score)},"
                    " no finite number"
                )
            run[query_id][doc_id] = number
    return run


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: an object is needed, this is {shorten(value)}")
    return value


def _check_known(
    path: Path, task_name: str, noun: str, given: Mapping[str, object], known: Mapping[str, object]
) -> None:
    unknown = [identifier for identifier in given if identifier not in known]
    if unknown:
        first = ", ".join(map(repr, unknown[:3]))
        raise DataError(f"{path}: {len(unknown)} of {len(given)} {noun} are not in {task_name}: {first}")
