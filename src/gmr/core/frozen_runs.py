"""A frozen first stage on disk: a TREC run and the record beside it, checked before every use.

vaswani.trec.gz      the run
vaswani.json         its digest, the retriever, the data, the counts, and how good it is
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError, UsageError
from gmr.core.files import digest, parse_json_object, read_text, sha256_file
from gmr.core.items import item_key
from gmr.core.nouns import Document, Query, Run
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_run, run_lines

FORMAT = 1
SUFFIXES = (".trec", ".trec.gz", ".run", ".run.gz", ".txt", ".txt.gz")
NEEDED = ("format", "file", "sha256", "run_sha256", "depth", "retriever", "data", "counts")


def record_path(run_path: Path) -> Path:
    """Where the record of a run lies: ``a.json`` for ``a.trec`` and ``a.trec.gz``."""
    name = run_path.name
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return run_path.with_name(f"{name.removesuffix(suffix)}.json")
    raise UsageError(f"{run_path}: a run is called {', '.join('*' + suffix for suffix in SUFFIXES)}")


def run_digest(run: Run) -> str:
    """SHA-256 of what a run says, query by query in the order of ids, however it is compressed, tagged or ordered."""
    lines = run_lines({query_id: run[query_id] for query_id in sorted(run)})
    return digest(*(line.encode() for line in lines))


def is_frozen(path: Path) -> bool:
    """Whether the file beside a run says that it is the record of a first stage; results lie beside runs as well."""
    if not path.name.endswith(SUFFIXES) or not (beside := record_path(path)).is_file():
        return False
    try:
        record = parse_json_object(read_text(beside), where=str(beside))
    except DataError:
        return True  # as a damaged record is told
    return "sha256" in record or "format" in record


def verify(path: Path, *, task: RerankTask | None = None) -> dict[str, Any]:
    """The record of a frozen run, after the run was compared with it.

    Args:
        path: of the run.
        task: if given, its queries and corpus must be those that were searched.

    Raises:
        DataError: there is no record, it is no record, it is of another file, the run was changed, or the task has
            other queries or documents.
    """
    _, record = read_frozen_run(path, task=task)
    return record


def read_frozen_run(
    path: Path, *, task: RerankTask | None = None
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Run and record of a frozen first stage, with the checks of `verify`."""
    beside = record_path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if not beside.is_file():
        raise DataError(
            f"{path}: no record {beside.name} beside it; freeze the run with gmr first-stage --retriever import:FILE"
        )
    record = parse_json_object(read_text(beside), where=str(beside))
    missing = [name for name in NEEDED if name not in record]
    if missing or record["format"] != FORMAT:
        raise DataError(
            f"{beside}: no record of a first stage of format {FORMAT}"
            + (f"; it lacks {', '.join(missing)}" if missing else f", but of {record['format']!r}")
        )
    if record["file"] != path.name:
        raise DataError(
            f"{beside}: this is the record of {record['file']!r}, not of {path.name!r}; was it renamed?"
        )
    if (now := sha256_file(path)) != record["sha256"]:
        raise DataError(
            f"{path}: the run was changed: its sha256 is {now[:16]}…, the record says {str(record['sha256'])[:16]}…"
        )
    run = read_run(path)
    if run_digest(run) != record["run_sha256"]:
        raise DataError(f"{beside}: the record was changed: run_sha256 is not that of {path.name}")
    if task is not None:
        _check_data(path, record, task)
    return run, record


def _check_data(path: Path, record: Mapping[str, Any], task: RerankTask) -> None:
    here = data_facts(task.queries, task.corpus)
    words = {"queries_sha256": "other queries", "corpus_sha256": "another corpus"}
    other = [words[name] for name, value in here.items() if record["data"].get(name) != value]
    if other:
        raise DataError(
            f"{path}: it was made from {' and '.join(other)} than {task.name} has"
            f" (by task {record.get('task')!r} with {record['counts'].get('queries')} queries"
            f" and {record['counts'].get('documents')} documents)"
        )


def data_facts(queries: Mapping[str, Query], corpus: Mapping[str, Document]) -> dict[str, str]:
    """Digests of the queries (with their instructions) and of the corpus: ids and content, in the order of ids."""
    asked = [
        digest(*(part.encode() for part in (query_id, item_key(query.item), query.instruction or "")))
        for query_id, query in sorted(queries.items())
    ]
    documents = [
        digest(doc_id.encode(), item_key(document.item).encode())
        for doc_id, document in sorted(corpus.items())
    ]
    return {
        "queries_sha256": digest(*(each.encode() for each in asked)),
        "corpus_sha256": digest(*(each.encode() for each in documents)),
    }
