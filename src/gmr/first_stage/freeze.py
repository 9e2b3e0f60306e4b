"""A first stage to the two files that freeze it: a TREC run, and a record that ``gmr.core.frozen_runs`` checks."""

import gzip
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from gmr.core.environment import versions
from gmr.core.files import atomic_write_bytes, atomic_write_json, sha256_file
from gmr.core.frozen_runs import FORMAT, record_path, run_digest
from gmr.core.trec import run_lines
from gmr.first_stage.build import FirstStage


def write_first_stage(
    first_stage: FirstStage, path: Path, *, task: str, measured: Mapping[str, float], tag: str | None = None
) -> dict[str, Any]:
    """Write the run, then its record, which is returned; the same first stage gives the same bytes.

    Args:
        first_stage: from ``build``.
        path: of the run; it is compressed when the name ends in ``.gz``.
        task: name of the task.
        measured: from ``measure_first_stage``.
        tag: last column of the run; the retriever's name by default.

    Raises:
        UsageError: the path has no suffix of a run.
        DataError: an id cannot stand in a TREC run, or the files cannot be written.
    """
    beside = record_path(path)
    lines = run_lines(first_stage.run, tag=tag or str(first_stage.retriever["name"]))
    text = "".join(f"{line}\n" for line in lines).encode()
    # No name and no time in the header: the same run is the same file.
    data = gzip.compress(text, compresslevel=9, mtime=0) if path.suffix == ".gz" else text
    atomic_write_bytes(path, data)
    record = {
        "format": FORMAT,
        "file": path.name,
        "sha256": sha256_file(path),
        "run_sha256": run_digest(first_stage.run),
        "task": task,
        "depth": first_stage.depth,
        "retriever": dict(first_stage.retriever),
        "data": dict(first_stage.data),
        "counts": dict(first_stage.counts),
        "measured": {name: round(value, 6) for name, value in measured.items()},
        "versions": _versions(),
    }
    atomic_write_json(beside, record)
    return record


def _versions() -> dict[str, str]:
    found = versions()
    for package in ("bm25s", "PyStemmer", "sentence-transformers"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
