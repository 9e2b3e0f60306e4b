"""Frozen first stages: one small file for each task, and a table with the digests of all."""

import gzip
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate, pairwise
from operator import sub
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_bytes, atomic_write_text
from gmr.core.nouns import Run

logger = logging.getLogger(__name__)
COLUMNS = ("task", "queries", "candidates", "made_for", "sha256")
TABLE = "table.tsv"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567ABCDEFGHIJKLMNOPQRSTUVWXYZ0189-_"


@dataclass(frozen=True)
class FrozenRun:
    """A row of the table.

    Attributes:
        task: its name.
        queries: number of queries.
        candidates: number of candidates of all queries.
        made_for: digest of the queries and documents it was made for.
        sha256: of the file.
    """

    task: str
    queries: int
    candidates: int
    made_for: str
    sha256: str


class FrozenRuns:
    """The frozen runs of a suite.

    Args:
        folder: where ``table.tsv`` and the files are; the package's own when None.
        suite: name of the suite.
    """

    def __init__(self, suite: str, folder: Path | None = None) -> None:
        self.suite = suite
        self.folder = folder or Path(str(files("gmr.suites"))) / "first_stages" / suite
        table = self.folder / TABLE
        self.table = parse_table(table.read_text("utf-8"), where=str(table)) if table.is_file() else {}

    def read(
        self, task: str, made_for: str, *, query_ids: Sequence[str], doc_ids: Sequence[str]
    ) -> dict[str, dict[str, float]] | None:
        """The run of a task; None, with a warning, when there is none for these queries and documents.

        Raises:
            DataError: the file is missing, or is not the one that the table names.
        """
        row = self.table.get(task)
        if row is None:
            logger.warning("%s: no frozen first stage; candidates are found anew, others will differ", task)
            return None
        if row.made_for != made_for:
            logger.warning(
                "%s: the frozen first stage was made for other data (queries and documents have digest %s, these %s): "
                "candidates are found anew, results are not comparable",
                *(task, row.made_for[:16], made_for[:16]),
            )
            return None
        path = self.folder / f"{task}.tsv.gz"
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != row.sha256:
            raise DataError(f"{path}: missing, or not the file that {TABLE} names; install gmr-rerank anew")
        return decode(gzip.decompress(data).decode(), query_ids=query_ids, doc_ids=doc_ids, where=str(path))


def parse_table(text: str, *, where: str) -> dict[str, FrozenRun]:
    """Rows of a table by task.

    Raises:
        DataError: a row has another number of columns.
    """
    rows: dict[str, FrozenRun] = {}
    for number, line in enumerate(text.splitlines()[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise DataError(f"{where}:{number}: {len(cells)} columns, expected {', '.join(COLUMNS)}")
        rows[cells[0]] = FrozenRun(cells[0], int(cells[1]), int(cells[2]), cells[3], cells[4])
    return rows


def encode(run: Run, *, doc_ids: Sequence[str]) -> str:
    """A run as text: for each query its id, the places of its candidates among ``doc_ids``, and their scores.

    Candidates come best first; of the scores, in thousandths, the first is written and how far each next one is
    below. Numbers are written in base 32, lowest digit first, in letters that say whether another digit follows.
    """
    place = {doc_id: number for number, doc_id in enumerate(doc_ids)}
    lines = []
    for query_id, scores in run.items():
        ordered = sorted(scores, key=lambda doc_id: (scores[doc_id], doc_id), reverse=True)
        values = [round(scores[doc_id] * 1000) for doc_id in ordered]
        falls = values[:1] + [before - after for before, after in pairwise(values)]
        places = _to_text([place[doc_id] for doc_id in ordered])
        lines.append(f"{query_id}\t{places}\t{_to_text(falls)}\n")
    return "".join(lines)


def _to_text(numbers: Iterable[int]) -> str:
    letters = []
    for number in numbers:
        rest, digit = divmod(number, 32)
        while rest:
            letters.append(LETTERS[32 + digit])
            rest, digit = divmod(rest, 32)
        letters.append(LETTERS[digit])
    return "".join(letters)


def _to_numbers(text: str) -> list[int]:
    numbers, number, shift = [], 0, 0
    for letter in text:
        digit = LETTERS.index(letter)
        number += digit % 32 << shift
        if digit >= 32:
            shift += 5
        else:
            numbers.append(number)
            number, shift = 0, 0
    return numbers


def decode(
    text: str, *, query_ids: Sequence[str], doc_ids: Sequence[str], where: str
) -> dict[str, dict[str, float]]:
    """The run that ``encode`` wrote, in the order of ``query_ids``.

    Raises:
        DataError: the file lacks a query, or a line is not as it was written.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            query_id, places, falls = line.split("\t")
            first, *rest = _to_numbers(falls)
            values = accumulate(rest, sub, initial=first)
            scores = {
                doc_ids[place]: value / 1000 for place, value in zip(_to_numbers(places), values, strict=True)
            }
        except (ValueError, IndexError):
            raise DataError(f"{where}:{number}: not a line of a frozen first stage") from None
        run[query_id] = scores
    missing = [query_id for query_id in query_ids if query_id not in run]
    if missing:
        raise DataError(f"{where}: query {missing[0]!r} is not there")
    return {query_id: run[query_id] for query_id in query_ids}


def write_frozen(folder: Path, runs: Mapping[str, tuple[Run, str, Sequence[str]]]) -> dict[str, FrozenRun]:
    """Write the files and the table of a suite's runs.

    Args:
        folder: where to.
        runs: task -> its run, the digest of what it was made for, and the sorted ids of its documents.
    """
    rows: dict[str, FrozenRun] = {}
    for task, (run, made_for, doc_ids) in runs.items():
        # mtime 0: the same bytes at every build
        data = gzip.compress(encode(run, doc_ids=doc_ids).encode(), 9, mtime=0)
        atomic_write_bytes(folder / f"{task}.tsv.gz", data)
        sha256 = hashlib.sha256(data).hexdigest()
        rows[task] = FrozenRun(task, len(run), sum(map(len, run.values())), made_for, sha256)
    lines = ["\t".join(COLUMNS)]
    lines += [f"{r.task}\t{r.queries}\t{r.candidates}\t{r.made_for}\t{r.sha256}" for r in rows.values()]
    atomic_write_text(folder / TABLE, "\n".join(lines) + "\n")
    return rows
