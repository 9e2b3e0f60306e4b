"""mteb's result files as rows of a table: scores that mteb reports, which nobody here has computed again."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmr.bench.mteb.measures import from_mteb
from gmr.core.errors import DataError
from gmr.core.files import read_text, shorten
from gmr.metrics.measures import parse_measure

NOTE = "reported by mteb, not recomputed"
# Files that mteb puts beside its results.
OTHER_FILES = ("model_meta.json",)
EXPERIMENTS = "experiments"


@dataclass(frozen=True)
class ReportedScores:
    """The scores of one model on one subset and split of one task, as mteb reports them.

    Attributes:
        path: The file.
        model: ``organisation/model``, with the name of an experiment behind it; empty for a file on its own.
        revision: Of the model; empty for a file on its own.
        task_name: As mteb calls the task.
        dataset_revision: Of the data set.
        subset: Such as a language.
        split: Of the data set.
        main: The main score of the task.
        values: Our names of measures to values, of those that we name.
        mteb_version: That computed them.
    """

    path: Path
    model: str
    revision: str
    task_name: str
    dataset_revision: str
    subset: str
    split: str
    main: float
    values: Mapping[str, float]
    mteb_version: str

    def value(self, measure: str | None = None) -> float:
        """The value of a measure; of the main score for None.

        Raises:
            DataError: mteb does not report it.
        """
        if measure is None:
            return self.main
        name = str(parse_measure(measure))
        if name not in self.values:
            raise DataError(f"{self.path}: mteb reports no {name}; there are {', '.join(self.values)}")
        return self.values[name]


def read_result(path: Path | str, *, model: str = "", revision: str = "") -> list[ReportedScores]:
    """The scores of a result file, one for each subset and split.

    mteb writes NaN for areas under curves that are undefined, which are no measures of ours; a measure that is NaN
    is an error.

    Raises:
        DataError: The file is no JSON or cut short, is no result of mteb 1.11 or newer, or has a score that is no
            finite number.
    """
    path = Path(path)
    record = _read_json(path)
    if "mteb_dataset_name" in record:
        raise DataError(
            f"{path}: written by mteb older than 1.11; load and save it with mteb's TaskResult first"
        )
    missing = [key for key in ("task_name", "dataset_revision", "scores") if key not in record]
    if missing:
        raise DataError(f"{path}: this is no result of mteb, it lacks {', '.join(missing)}")
    scores = record["scores"]
    if not isinstance(scores, Mapping) or not scores:
        raise DataError(f"{path}: scores must be split -> list of subsets, this is {shorten(scores)}")
    found = []
    for split, subsets in scores.items():
        if not isinstance(subsets, list) or not subsets:
            raise DataError(
                f"{path}: split {split!r} must have a list of subsets, this is {shorten(subsets)}"
            )
        for entry in subsets:
            subset, main, values = _read_scores(entry, f"{path}: split {split!r}")
            version = str(entry.get("mteb_version") or record.get("mteb_version") or "")
            found.append(
                ReportedScores(
                    *(path, model, revision, str(record["task_name"]), str(record["dataset_revision"])),
                    *(subset, split, main, values, version),
                )
            )
    return found


def read_results_folder(folder: Path | str) -> list[ReportedScores]:
    """The scores of all result files ``[results/]<model>/<revision>/<Task>.json`` of a folder.

    Raises:
        DataError: There are none, or one cannot be read; the message names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    root = folder / "results" if (folder / "results").is_dir() else folder
    found: list[ReportedScores] = []
    for path in sorted(root.glob("*/*/**/*.json")):
        model, revision, *between = path.relative_to(root).parts[:-1]
        if path.name in OTHER_FILES:
            continue
        name = model.replace("__", "/", 1)
        if between[:1] == [EXPERIMENTS] and len(between) == 2:
            name += f" ({between[1]})"
        elif between:
            raise DataError(f"{path}: mteb writes results to <model>/<revision>/<Task>.json below {root}")
        found += read_result(path, model=name, revision=revision)
    if not found:
        raise DataError(f"{folder}: no results of mteb; they lie in results/<model>/<revision>/<Task>.json")
    return found


def reported_rows(
    scores: Sequence[ReportedScores], *, measure: str | None = None
) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of a table of what mteb reports.

    Raises:
        DataError: mteb does not report the measure of some file.
    """
    header = ["task", "subset", "split", "model", "revision", measure or "main score", "mteb", "source"]
    rows = [
        [
            *(each.task_name, each.subset, each.split, each.model, each.revision[:8]),
            *(f"{each.value(measure):.4f}", each.mteb_version, NOTE),
        ]
        for each in scores
    ]
    return header, rows


def _read_scores(entry: Any, where: str) -> tuple[str, float, dict[str, float]]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("hf_subset"), str):
        raise DataError(f"{where}: scores of a subset name their hf_subset, these do not: {shorten(entry)}")
    where = f"{where} subset {entry['hf_subset']!r}"
    if "main_score" not in entry:
        raise DataError(f"{where}: there is no main_score")
    values = {ours: _number(entry[name], where, name) for name in entry if (ours := from_mteb(name))}
    return entry["hf_subset"], _number(entry["main_score"], where, "main_score"), values


def _number(value: Any, where: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DataError(f"{where}: {name} is {shorten(value)}, no finite number")
    return float(value)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        reason = (
            f"{error.msg}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else str(error)
        )
        raise DataError(f"{path}: not valid JSON ({reason}); was it cut short?") from None
    if not isinstance(record, dict):
        raise DataError(f"{path}: a JSON object is needed, this is {type(record).__name__}")
    return record
