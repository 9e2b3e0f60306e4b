"""TREC runs and judgments, and BEIR's judgments: read strictly, written so that they read back the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_text, read_lines, shorten
from gmr.core.nouns import Qrels, Run

Value = TypeVar("Value", int, float)

BEIR_HEADER = ("query-id", "corpus-id", "score")

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # float() also takes 1_0 and nan
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SPACE = re.compile(r"[ \t\n\r\v\f]+")  # what C calls white space: other spaces belong to an id


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """The scores of a TREC run, ``query_id Q0 doc_id rank score tag`` per line, plain or ``.gz``.

    The order of lines and the ranks say nothing: scores do. A run is the order of its queries and its scores.

    Raises:
        DataError: ``path:line: ...`` for other than six columns, a rank that is no integer, a score that is
            no finite number, or a document given twice for a query; and for an empty file.
    """
    run: dict[str, dict[str, float]] = {}
    for where, columns in _rows(path):
        if len(columns) != 6:
            raise DataError(f"{where}: a run has 6 columns, this has {len(columns)}: {_line(columns)}")
        query_id, _, doc_id, rank, score, _ = columns
        if not _INTEGER.fullmatch(rank):
            raise DataError(f"{where}: rank {shorten(rank)} is not an integer")
        if not _NUMBER.fullmatch(score) or abs(value := float(score)) == float("inf"):
            raise DataError(f"{where}: score {shorten(score)} is not a finite number")
        _add(run.setdefault(query_id, {}), query_id, doc_id, value, where)
    if not run:
        raise DataError(f"{path}: the run is empty")
    return run


def write_run(run: Run, path: Path, *, tag: str = "gmr") -> None:
    """Write a TREC run: score descending, ties by document id descending; `read_run` gives the same floats.

    Raises:
        DataError: for an id that the format cannot hold, or a score that is not finite.
    """
    atomic_write_text(path, "".join(f"{line}\n" for line in run_lines(run, tag=tag)))


def run_lines(run: Run, *, tag: str = "gmr") -> list[str]:
    """The lines of a TREC run, without their ends, in the order and with the errors of `write_run`."""
    lines = []
    _check_id("tag", tag)
    for query_id, scores in run.items():
        _check_id("query id", query_id)
        ordered = sorted(((float(score), doc_id) for doc_id, score in scores.items()), reverse=True)
        for rank, (score, doc_id) in enumerate(ordered, start=1):
            _check_id("document id", doc_id)
            if not abs(score) < float("inf"):
                raise DataError(f"score {score} of document {doc_id!r} for query {query_id!r} is not finite")
            lines.append(f"{query_id} Q0 {doc_id} {rank} {score!r} {tag}")
    return lines


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgments, plain or ``.gz``: TREC (``query_id 0 doc_id relevance``) or BEIR (a header, three columns).

    Raises:
        DataError: ``path:line: ...`` for a wrong number of columns, a relevance that is no integer, or a
            document judged twice for a query; and for an empty file.
    """
    qrels: dict[str, dict[str, int]] = {}
    num_columns = 4
    for number, (where, columns) in enumerate(_rows(path)):
        if number == 0 and tuple(columns) == BEIR_HEADER:
            num_columns = 3
            continue
        if len(columns) != num_columns:
            kind = "BEIR" if num_columns == 3 else "TREC"
            hint = "" if num_columns == 3 else f"; BEIR qrels begin with the header {' '.join(BEIR_HEADER)}"
            raise DataError(
                f"{where}: {kind} qrels have {num_columns} columns, this has {len(columns)}: "
                f"{_line(columns)}{hint}"
            )
        query_id, doc_id, relevance = columns[0], columns[-2], columns[-1]
        if not _INTEGER.fullmatch(relevance):
            raise DataError(f"{where}: relevance {shorten(relevance)} is not an integer")
        _add(qrels.setdefault(query_id, {}), query_id, doc_id, int(relevance), where)
    if not qrels:
        raise DataError(f"{path}: the qrels are empty")
    return qrels


def write_qrels(qrels: Qrels, path: Path) -> None:
    """Write judgments: as BEIR when the name ends in ``.tsv``, else as TREC.

    Raises:
        DataError: for an id that the format cannot hold.
    """
    beir = path.suffix == ".tsv"
    lines = ["\t".join(BEIR_HEADER) + "\n"] if beir else []
    for query_id, judged in qrels.items():
        _check_id("query id", query_id)
        for doc_id, relevance in judged.items():
            _check_id("document id", doc_id)
            columns = (query_id, doc_id, str(int(relevance)))
            lines.append("\t".join(columns) + "\n" if beir else "{} 0 {} {}\n".format(*columns))
    atomic_write_text(path, "".join(lines))


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in read_lines(path):
        columns = [column for column in _SPACE.split(line) if column]
        if columns:
            yield f"{path}:{number}", columns


def _add(row: dict[str, Value], query_id: str, doc_id: str, value: Value, where: str) -> None:
    if doc_id in row:
        raise DataError(f"{where}: document {doc_id!r} is given twice for query {query_id!r}")
    row[doc_id] = value


def _check_id(noun: str, identifier: str) -> None:
    if not identifier or _SPACE.search(identifier):
        raise DataError(f"{noun} {identifier!r}: a TREC file cannot hold an empty id or one with white space")


def _line(columns: list[str]) -> str:
    return shorten(" ".join(columns))
