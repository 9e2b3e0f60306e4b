"""What is in the local suites and how baselines do on them, as the tables of ``docs/suites.md``.

``python -m gmr.bench.suite_tables DATA_ROOT docs/suites.md`` writes each table between its two marks, and leaves the
rest of the page alone.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.files import atomic_write_text, read_text
from gmr.core.nouns import display_type
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run, evaluate_task
from gmr.metrics.tables import compact_markdown_table
from gmr.suites.baselines import PixelCosine, chance_run, first_stage_run

logger = logging.getLogger(__name__)
SUITES = ("emoji", "stamps", "vaswani", "xquad")
HEADER = (
    "task",
    "type",
    "queries",
    "documents",
    "candidates",
    "relevant",
    "recall",
    "chance",
    "first stage",
    "pixels",
)
# One task of each type and suite: the small model is no reference for the rest.
MODEL_TASKS = (
    *(f"emoji-{kind}" for kind in ("t2t", "i2i-noto", "t2i", "t2vd", "i2t", "t2it", "it2t", "it2i", "it2it")),
    *("stamps-t2i", "stamps-i2t", "vaswani", "xquad-en"),
)
MODEL, MODEL_QUERIES = "gmr-nano", 20


def task_row(task: RerankTask) -> list[str]:
    """The cells of a task: counts, recall of the first stage within its candidates, nDCG@10 of the baselines."""
    judged = {name: {doc for doc, grade in task.qrels[name].items() if grade > 0} for name in task.qrels}
    found = [len(judged[name] & task.first_stage[name].keys()) / len(judged[name]) for name in judged]
    chance = evaluate_run(chance_run(task), task, expected_under_ties=True)
    pixels = "–"
    if all(side.startswith(("i", "v")) for side in task.task_type.split("2")):
        pixels = _cell(evaluate_task(PixelCosine(), task, expected_under_ties=True).mean())
    return [
        task.name,
        display_type(task.task_type),
        str(len(task.queries)),
        f"{len(task.corpus):,}",
        str(max(map(len, task.first_stage.values()))),
        f"{fmean(map(len, judged.values())):.2f}",
        _cell(fmean(found)),
        _cell(chance.mean()),
        _cell(evaluate_run(first_stage_run(task), task).mean()),
        pixels,
    ]


def model_rows(tasks: Sequence[RerankTask], *, model: str) -> list[list[str]]:
    """For each task nDCG@10 of chance, the first stage and a model on the same queries."""
    from gmr.reranker import Reranker

    reranker = Reranker(model)
    rows = []
    for task in tasks:
        chance = evaluate_run(chance_run(task), task, expected_under_ties=True)
        first = evaluate_run(first_stage_run(task), task)
        found = evaluate_task(reranker, task)
        logger.info("%s: %s", task.name, _cell(found.mean()))
        rows.append([task.name, str(len(task.queries)), *(_cell(r.mean()) for r in (chance, first, found))])
    return rows


def replace_table(page: str, name: str, table: str, *, where: str) -> str:
    """The page with a table between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        DataError: the page lacks one of the marks.
    """
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->\n")
    if not begin or not end:
        raise DataError(
            f"{where}: no lines '<!-- {name} -->' and '<!-- /{name} -->' to put the table between"
        )
    return f"{before}{begin}{table}{end}{after}"


def write_tables(data_root: Path, path: Path) -> None:
    """Measure all suites under the data root and put the tables into the page.

    Raises:
        DataError: data or a mark of the page is missing.
    """
    page = read_text(path)
    for name in SUITES:
        rows = []
        for task in suites.load(name, data_root=data_root):
            rows.append(task_row(task))
            logger.info("%s", " ".join(rows[-1]))
        page = replace_table(
            page, name, compact_markdown_table(HEADER, rows, right=HEADER[2:]), where=str(path)
        )
    tasks = []
    for name in SUITES:
        wanted = [task for task in suites.task_names(name) if task in MODEL_TASKS]
        tasks += suites.load(name, data_root=data_root, names=wanted, limit=MODEL_QUERIES)
    header = ("task", "queries", "chance", "first stage", MODEL)
    table = compact_markdown_table(header, model_rows(tasks, model=MODEL), right=header[2:])
    page = replace_table(page, "model", table, where=str(path))
    atomic_write_text(path, page)


def _cell(value: float) -> str:
    return f"{value:.3f}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_tables(Path(sys.argv[1]), Path(sys.argv[2]))
