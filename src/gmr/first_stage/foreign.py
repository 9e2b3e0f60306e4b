"""Rankings that other tools wrote, as runs: TREC, mteb predictions, rank lists of tevatron, ``top_ranked`` tables."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import parse_json_object, read_lines, shorten
from gmr.core.records import read_table
from gmr.core.task_source import candidates_of
from gmr.core.trec import read_run

Scores = dict[str, dict[str, float]]


def read_foreign(path: Path) -> tuple[Scores, str]:
    """The run in a file, and the key of ``FORMATS`` it was read as, told by its name and first line.

    Raises:
        DataError: ``path:line: ...`` for what is none of the formats, a score that is not finite, or a document given
            twice for a query.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        kind = "mteb"
    elif name.endswith(".jsonl"):
        kind = "top_ranked"
    else:
        first = next((line for _, line in read_lines(path) if line.strip()), "")
        kind = "trec" if len(first.split()) == 6 else "tevatron"
    return FORMATS[kind](path), kind


def _read_mteb(path: Path) -> Scores:
    """``{subset: {split: {query_id: {doc_id: score}}}}``, with one subset and one split, or the innermost two alone."""
    content: Any = parse_json_object("\n".join(line for _, line in read_lines(path)), where=str(path))
    content.pop("mteb_model_meta", None)
    at: list[str] = []
    while _depth(content) > 2:
        if len(content) != 1:
            raise DataError(
                f"{path}: {'/'.join(at) or 'the file'} holds {len(content)} parts ({', '.join(map(repr, content))}); "
                "keep one subset and one split"
            )
        key, content = next(iter(content.items()))
        at.append(str(key))
    run: Scores = {}
    for query_id, scores in content.items():
        if not isinstance(scores, Mapping):
            raise DataError(f"{path}: query {query_id!r} has no table of scores but {shorten(scores)}")
        run[query_id] = {}
        for doc_id, score in scores.items():
            if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
                raise DataError(
                    f"{path}: query {query_id!r}, document {doc_id!r}: {shorten(score)} is no score"
                )
            run[query_id][doc_id] = float(score)
    return _not_empty(run, path)


def _read_rank_list(path: Path) -> Scores:
    """``query_id doc_id score`` by tabs or blanks, one in each line."""
    run: Scores = {}
    for number, line in read_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if len(columns) != 3:
            raise DataError(
                f"{where}: a TREC run has 6 columns, a rank list 3 (query, document, score); "
                f"this has {len(columns)}: {shorten(line)}"
            )
        query_id, doc_id, text = columns
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise DataError(f"{where}: score {shorten(text)} is not a finite number")
        row = run.setdefault(query_id, {})
        if doc_id in row:
            raise DataError(f"{where}: document {doc_id!r} is given twice for query {query_id!r}")
        row[doc_id] = score
    return _not_empty(run, path)


def _read_top_ranked(path: Path) -> Scores:
    """``{"query-id": ..., "corpus-ids": [best first]}`` in each line; scores count down to 1."""
    return _not_empty(candidates_of(read_table([path])), path)


FORMATS: dict[str, Callable[[Path], Scores]] = {
    "trec": read_run,
    "mteb": _read_mteb,
    "tevatron": _read_rank_list,
    "top_ranked": _read_top_ranked,
}


def _depth(value: Any) -> int:
    """Nested objects on the longest way to a value."""
    if not isinstance(value, Mapping):
        return 0
    return 1 + max(map(_depth, value.values()), default=0)


def _not_empty(run: Scores, path: Path) -> Scores:
    if not run:
        raise DataError(f"{path}: the run is empty")
    return run
