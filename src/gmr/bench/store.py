"""Scores on disk, one row for each pair of a scorer: nothing acknowledged is lost, nothing is there twice."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from gmr.bench.identity import row_checksum
from gmr.core.errors import DataError
from gmr.evaluation.cost import Cost

logger = logging.getLogger(__name__)

FORMAT = "gmr scores 1"
# SQLite takes a limited number of placeholders in one statement.
KEYS_AT_ONCE = 500
BUSY_S = 60.0
# Two computations of one pair may differ by rounding; further apart, they are of two different things.
TOLERANCE = 1e-5

Scores = Mapping[bytes, float | None]
"""Key to score; None where the model gave no finite number."""

TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS costs (
    scorer TEXT NOT NULL, task TEXT NOT NULL, block INTEGER NOT NULL, num_pairs INTEGER NOT NULL, seconds REAL NOT NULL,
    cpu_seconds REAL NOT NULL, num_prompt_tokens INTEGER NOT NULL, num_computed_tokens INTEGER NOT NULL,
    num_images INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS costs_of ON costs (scorer, task);
"""


class ScoreStore:
    """An SQLite file in WAL mode that several processes may write at once.

    Args:
        path: of the file; made when it is not there.
        is_single_writer: whether to go without file locks, which some network file systems do not have. Only one
            process may then write.

    Raises:
        DataError: the file is something else, cannot be opened or written, or its file system does not lock.
    """

    def __init__(self, path: Path, *, is_single_writer: bool = False) -> None:
        self.path = path
        self.num_damaged = 0
        with self._explaining():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            mode = self._database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal" and not is_single_writer:
                raise DataError(
                    f"{path}: this file system does not share a file between processes; "
                    "put the store on a local disk, or write it from one process alone (--single-writer)"
                )
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(f"BEGIN IMMEDIATE; {TABLES} COMMIT;")
            self._check_format()
            if not is_single_writer:
                self._check_locks()

    def _check_format(self) -> None:
        insert = "INSERT OR IGNORE INTO about VALUES ('format', ?)"
        self._database.execute(insert, (FORMAT,))
        (found,) = self._database.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
        if found != FORMAT:
            raise DataError(
                f"{self.path}: this store is of format {found!r}, and {FORMAT!r} is read here; use another"
            )

    def _check_locks(self) -> None:
        """Two writers at once must shut each other out; some network file systems say yes to both."""
        with closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as other:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return
            finally:
                self._database.execute("ROLLBACK")
            raise DataError(
                f"{self.path}: this file system does not lock files; put the store on a local disk, "
                "or write it from one process alone (--single-writer)"
            )

    def get(self, keys: Iterable[bytes]) -> dict[bytes, float | None]:
        """The stored scores of those keys that have one; a damaged row is as if it were not there, and logged."""
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, float | None] = {}
        damaged = 0
        with self._explaining():
            for start in range(0, len(wanted), KEYS_AT_ONCE):
                part = wanted[start : start + KEYS_AT_ONCE]
                places = ",".join("?" * len(part))
                query = f"SELECT key, score, checksum FROM scores WHERE key IN ({places})"
                for key, score, checksum in self._database.execute(query, part):
                    if checksum == row_checksum(key, score):
                        found[key] = score
                    else:
                        damaged += 1
        if damaged:
            self.num_damaged += damaged
            logger.warning("%s: %d rows are damaged, and their pairs are scored again", self.path, damaged)
        return found

    def put(
        self, scores: Scores, *, cost: Cost | None = None, of: tuple[str, str, int] | None = None
    ) -> None:
        """Add rows, all or none; rows that are there already stay as they are.

        Args:
            scores: by key.
            cost: of scoring them.
            of: digest of the scorer, name of the task and number of the block that the cost is counted for.

        Raises:
            DataError: a key has another score already, or the rows cannot be written; those written before are safe.
        """
        # SQLite keeps no negative zero; adding 0.0 makes it the positive one.
        scores = {key: None if score is None else score + 0.0 for key, score in scores.items()}
        rows = [(key, score, row_checksum(key, score)) for key, score in scores.items()]
        with self._explaining(), self._transaction():
            kept = self.get(scores)
            self._check_same(scores, kept)
            # What is there and was not read is damaged.
            self._database.executemany(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", [row for row in rows if row[0] not in kept]
            )
            if cost is not None and of is not None:
                self._database.execute(
                    "INSERT INTO costs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(*of, cost.num_pairs, cost.seconds, cost.cpu_seconds),
                        *(cost.num_prompt_tokens, cost.num_computed_tokens, cost.num_images),
                    ),
                )

    def cost(self, scorer: str, task: str) -> Cost:
        """What was spent on a task by a scorer, over all runs; a block scored by two writers counts twice."""
        query = (
            "SELECT num_pairs, seconds, cpu_seconds, num_prompt_tokens, num_computed_tokens, num_images"
            " FROM costs WHERE scorer = ? AND task = ?"
        )
        with self._explaining():
            rows = self._database.execute(query, (scorer, task)).fetchall()
        return sum((Cost(*row) for row in rows), Cost())

    def merge(self, other: "ScoreStore") -> int:
        """Add what another store has; the number of its rows.

        Raises:
            DataError: both have a key, with different scores.
        """
        num_rows = 0
        with other._explaining():
            for rows in other._batches("SELECT key, score, checksum FROM scores ORDER BY key"):
                whole = {key: score for key, score, checksum in rows if checksum == row_checksum(key, score)}
                if len(whole) < len(rows):
                    logger.warning("%s: %d damaged rows are left out", other.path, len(rows) - len(whole))
                self.put(whole)
                num_rows += len(whole)
            costs = other._database.execute("SELECT * FROM costs").fetchall()
        with self._explaining(), self._transaction():
            # The same store merged twice has cost what it cost once.
            known = set(self._database.execute("SELECT * FROM costs"))
            self._database.executemany(
                "INSERT INTO costs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row for row in costs if row not in known],
            )
        return num_rows

    def __len__(self) -> int:
        with self._explaining():
            return int(self._database.execute("SELECT count(*) FROM scores").fetchone()[0])

    def close(self) -> None:
        """Give the file back, as one file where no other process has it open."""
        self._database.close()

    def __enter__(self) -> "ScoreStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_same(self, scores: Scores, kept: Scores) -> None:
        for key, score in kept.items():
            new = scores[key]
            if (score is None) != (new is None) or (
                score is not None and new is not None and abs(score - new) > TOLERANCE * max(1.0, abs(score))
            ):
                raise DataError(
                    f"{self.path}: a pair has the score {score} and now got {new} from the same model; use a new store"
                )

    def _batches(self, query: str) -> Iterator[Sequence[tuple[bytes, float | None, bytes]]]:
        cursor = self._database.execute(query)
        while rows := cursor.fetchmany(KEYS_AT_ONCE):
            yield rows

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"{self.path}: the store cannot be made ({error.strerror})") from error
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: {_reason(error)}") from error


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return (
            f"no more can be written ({error}); every score reported so far is safe: free some space on that disk and "
            "run the same command again"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"the store cannot be opened for writing ({error}); choose a folder you may write to with --output"
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"this is no store of scores, or it is damaged ({error}); move it away and run again"
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process holds the store for more than {BUSY_S:.0f} s; is it stuck?"
    return str(error)
