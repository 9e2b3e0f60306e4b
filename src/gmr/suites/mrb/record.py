"""What was loaded, compared with what the table of the test set says."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import sha256_file
from gmr.core.task_source import TaskTables
from gmr.suites.mrb.hub import Snapshot
from gmr.suites.mrb.spec import TaskSpec

logger = logging.getLogger(__name__)

COUNTS = ("num_queries", "num_documents", "num_relevant", "num_absent")


@dataclass(frozen=True)
class LoadRecord:
    """What was loaded, for the record of a run.

    Attributes:
        name: the task.
        snapshots: where the files came from; several for a task of parts.
        counts: what was found on disk: ``COUNTS``.
        expected: what the table says, as far as it does.
        num_unjudged: queries on disk without judgments, left out.
        num_unanswerable: queries whose relevant documents the corpus lacks, left out.
        num_without_candidates: queries that the first stage does not answer; they count 0.
        first_stage: file of the candidates; None when there are none or the data set brought them.
        first_stage_sha256: of that file.
    """

    name: str
    snapshots: tuple[Snapshot, ...]
    counts: dict[str, int]
    expected: dict[str, int]
    num_unjudged: int = 0
    num_unanswerable: int = 0
    num_without_candidates: int = 0
    first_stage: Path | None = None
    first_stage_sha256: str | None = None

    @property
    def differences(self) -> dict[str, tuple[int, int]]:
        """Counts that are not as expected: name -> (found, expected)."""
        return {
            name: (self.counts[name], expected)
            for name, expected in self.expected.items()
            if self.counts[name] != expected
        }


def make_record(
    spec: TaskSpec, snapshots: tuple[Snapshot, ...], tables: TaskTables, run_file: Path | None
) -> LoadRecord:
    """The record of tables as they were read for a test set."""
    return LoadRecord(
        name=spec.name,
        snapshots=snapshots,
        counts={
            "num_queries": tables.num_queries,
            "num_documents": tables.num_documents,
            "num_relevant": tables.num_relevant,
            "num_absent": len(tables.absent),
        },
        expected={count: value for count in COUNTS if (value := getattr(spec, count)) is not None},
        num_unjudged=tables.num_unjudged,
        num_unanswerable=len(tables.unanswerable),
        num_without_candidates=len(tables.no_candidates),
        first_stage=run_file,
        first_stage_sha256=None if run_file is None else sha256_file(run_file),
    )


def check_record(record: LoadRecord, tables: TaskTables, *, is_exact: bool) -> None:
    """Warn of what was left out, and of counts that are not as expected, or refuse them when ``is_exact``.

    Raises:
        DataError: naming the counts found and expected.
    """
    wrong = [f"{name} {found}, not {wanted}" for name, (found, wanted) in record.differences.items()]
    is_absent = "num_absent" in record.differences and tables.absent
    example = f" (the corpus lacks the judged {tables.absent[0]!r})" if is_absent else ""
    if wrong and is_exact:
        raise DataError(
            f"{record.name}: {', '.join(wrong)}{example}: not the data set that the task's table describes; "
            "--allow-counts takes it as it is"
        )
    if wrong:
        logger.warning("%s: %s%s", record.name, ", ".join(wrong), example)
    notes = {
        "judged documents are not in the corpus and are left out": record.counts["num_absent"],
        "queries have no relevant document in the corpus and are left out": record.num_unanswerable,
        "queries have no candidates and count 0": record.num_without_candidates,
    }
    for note, count in notes.items():
        if count:
            logger.warning("%s: %d %s", record.name, count, note)
