"""mteb both ways: our rerankers and tasks inside it; its tasks, predictions and results with us."""

from gmr.bench.mteb.model import MtebReranker, mteb_model
from gmr.bench.mteb.predictions import (
    Predictions,
    find_predictions,
    measure_predictions,
    read_predictions,
    write_predictions,
)
from gmr.bench.mteb.results import ReportedScores, read_result, read_results_folder, reported_rows
from gmr.bench.mteb.running import MtebRun, run_task
from gmr.bench.mteb.tasks import as_mteb_task, from_mteb_task

__all__ = [
    "MtebReranker",
    "MtebRun",
    "Predictions",
    "ReportedScores",
    "as_mteb_task",
    "find_predictions",
    "from_mteb_task",
    "measure_predictions",
    "mteb_model",
    "read_predictions",
    "read_result",
    "read_results_folder",
    "reported_rows",
    "run_task",
    "write_predictions",
]
