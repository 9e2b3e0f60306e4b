"""The suite's tasks from their frozen tables."""

import gzip
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES, Query
from gmr.core.tasks import RerankTask
from gmr.suites.glyphs.items import document
from gmr.suites.glyphs.plans import query_item

SPLITS: dict[str, str] = {
    "test": "characters never trained on, in faces never trained on",
    "known": "characters trained on, in faces never trained on",
    "dev": "characters never trained on, in the faces of training",
}


@lru_cache(maxsize=len(SPLITS))
def _records(split: str) -> list[dict[str, Any]]:
    resource = files("gmr.suites.glyphs") / "data" / f"{split}.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(resource.read_bytes()).decode().splitlines()]


def load_tasks(
    split: str = "test", *, task_types: Sequence[str] | None = None, limit: int | None = None
) -> list[RerankTask]:
    """One task per task type, in the order of ``TASK_TYPES``.

    Args:
        split: a key of ``SPLITS``.
        task_types: which of the nine; all by default.
        limit: first so many queries of each; all by default.

    Raises:
        DataError: unknown split or task type.
    """
    if split not in SPLITS:
        raise DataError(f"glyphs has no split {split!r}; it has {', '.join(SPLITS)}")
    wanted = TASK_TYPES if task_types is None else tuple(task_types)
    unknown = [task_type for task_type in wanted if task_type not in TASK_TYPES]
    if unknown:
        raise DataError(f"unknown task type {unknown[0]!r}; there are {', '.join(TASK_TYPES)}")
    return [_task(split, task_type, limit) for task_type in TASK_TYPES if task_type in wanted]


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
        name=f"glyphs-{task_type}" if split == "test" else f"glyphs-{task_type}-{split}",
        task_type=task_type,
        queries=queries,
        corpus=corpus,
        qrels={record["query_id"]: {record["answer"]: 1} for record in records},
        first_stage={record["query_id"]: record["first_stage"] for record in records},
        metadata={record["query_id"]: {"kind": record["kind"]} for record in records},
    )
