"""The suite's tasks from their frozen tables."""

import gzip
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from gmr.core.nouns import TASK_TYPES, Query
from gmr.core.tasks import RerankTask
from gmr.suites.glyphs.items import document
from gmr.suites.glyphs.plans import query_item
from gmr.suites.planning import full_name

SPLITS: dict[str, str] = {
    "test": "characters never trained on, in faces never trained on",
    "known": "characters trained on, in faces never trained on",
    "dev": "characters never trained on, in the faces of training",
}


@lru_cache(maxsize=len(SPLITS))
def _records(split: str) -> list[dict[str, Any]]:
    resource = files("gmr.suites.glyphs") / "data" / f"{split}.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(resource.read_bytes()).decode().splitlines()]


def task_types(split: str) -> dict[str, str]:
    """Task type by name of the task."""
    return {_name(split, task_type): task_type for task_type in TASK_TYPES}


def load_tasks(
    _data_root: Path, split: str, wanted: Sequence[str], *, limit: int | None = None
) -> list[RerankTask]:
    """The tasks of some names, one for each task type, in the order of ``TASK_TYPES``; embedded, so no data is read."""
    return [_task(split, task_type, limit) for name, task_type in task_types(split).items() if name in wanted]


def _name(split: str, task_type: str) -> str:
    return full_name(f"glyphs-{task_type}", split)


def _task(split: str, task_type: str, limit: int | None) -> RerankTask:
    records = [record for record in _records(split) if record["task"] == task_type][:limit]
    queries = {
        record["query_id"]: Query(
            record["query_id"],
            query_item(tuple((kind, value) for kind, value in record["query"])),
            record["instruction"],
        )
        for record in records
    }
    corpus = {doc_id: document(doc_id) for record in records for doc_id in record["first_stage"]}
    return RerankTask(
        name=_name(split, task_type),
        task_type=task_type,
        queries=queries,
        corpus=corpus,
        qrels={record["query_id"]: {record["answer"]: 1} for record in records},
        first_stage={record["query_id"]: record["first_stage"] for record in records},
        metadata={record["query_id"]: {"kind": record["kind"]} for record in records},
    )
