"""``vaswani``: a small complete text collection with the BM25 run that comes with it; text only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gmr.core.beir import read_beir
from gmr.core.tasks import RerankTask
from gmr.suites.reading import check_sha256, data_folder

SPLITS: dict[str, str] = {"test": "all 93 queries"}
INSTRUCTION = "Find abstracts that are about what the query asks for."
RUN = "run.bm25.trec.gz"
RUN_SHA256 = "6d0da9fb3ccb539ed45b0e7dc46d490fba4d5edbd667a82f3ccfd90b3aa813c3"


def task_types(_split: str) -> dict[str, str]:
    """Task type by name of the task."""
    return {"vaswani": "t2t"}


def load_tasks(
    data_root: Path, split: str, wanted: Sequence[str], *, limit: int | None = None
) -> list[RerankTask]:
    """The one task, its candidates from ``run.bm25.trec.gz``; a run of other content is warned of.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    if not wanted:
        return []
    folder = data_folder(data_root, "vaswani", marker="corpus.jsonl.gz")
    task = read_beir(folder, split=split, name="vaswani", task_type="t2t", first_stage=folder / RUN)
    check_sha256(folder / RUN, RUN_SHA256)
    kept = list(task.queries)[:limit]
    return [
        replace(
            task,
            queries={name: replace(task.queries[name], instruction=INSTRUCTION) for name in kept},
            qrels={name: task.qrels[name] for name in kept if name in task.qrels},
            first_stage={name: task.first_stage[name] for name in kept if name in task.first_stage},
        )
    ]
