"""The store keeps what it acknowledged, finds what was changed, and says what is wrong with its file."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from gmr.bench import store as store_module
from gmr.bench.store import ScoreStore
from gmr.core.errors import DataError
from gmr.evaluation.cost import Cost


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_scores_come_back_as_they_were_put_whatever_they_are(tmp_path: Path) -> None:
    scores = {key(1): -1.5, key(2): 1e-30, key(3): None, key(4): 0.1, key(5): -0.0}
    with ScoreStore(tmp_path / "a.sqlite") as store:
        store.put(scores)
    with ScoreStore(tmp_path / "a.sqlite") as store:
        assert store.get([*scores, key(9)]) == scores
        assert len(store) == 5


def test_more_keys_than_a_statement_takes_are_found(tmp_path: Path) -> None:
    scores = {key(number): float(number) for number in range(3 * store_module.KEYS_AT_ONCE + 7)}
    with ScoreStore(tmp_path / "a.sqlite") as store:
        store.put(scores)
        assert store.get(scores) == scores


def test_the_first_score_of_a_key_stays_and_another_one_is_an_error_that_writes_nothing(
    tmp_path: Path,
) -> None:
    with ScoreStore(tmp_path / "a.sqlite") as store:
        store.put({key(1): 2.0})
        store.put({key(1): 2.0 + 1e-6, key(2): 1.0})
        assert store.get([key(1), key(2)]) == {key(1): 2.0, key(2): 1.0}
        for other in (2.1, None):
            with pytest.raises(DataError, match=r"has the score 2.0 and now got .*; use a new store"):
                store.put({key(3): 1.0, key(1): other})
        assert store.get([key(3)]) == {}


@pytest.mark.parametrize(
    "change",
    ["score = score + 1e-9", "score = NULL", "checksum = x'00'", "key = substr(key, 1, 31) || x'ff'"],
)
def test_a_changed_row_is_found_and_scored_again(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.sqlite"
    with ScoreStore(path) as store:
        store.put({key(1): 2.0, key(2): 3.0})
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE scores SET {change} WHERE key = ?", (key(1),))
    with ScoreStore(path) as store:
        assert store.get([key(1), key(2), key(255)]) == {key(2): 3.0}
        store.put({key(1): 2.0})
        assert store.get([key(1)]) == {key(1): 2.0}


def test_costs_add_up_by_scorer_and_task(tmp_path: Path) -> None:
    with ScoreStore(tmp_path / "a.sqlite") as store:
        store.put({key(1): 1.0}, cost=Cost(1, 0.5, 0.4, 10, 8, 2), of=("s", "t", 0))
        store.put({key(2): 1.0}, cost=Cost(2, 0.5, 0.4, 10, 8, 2), of=("s", "t", 1))
        store.put({key(3): 1.0}, cost=Cost(4), of=("s", "u", 0))
        assert store.cost("s", "t") == Cost(3, 1.0, 0.8, 20, 16, 4)
        assert store.cost("other", "t") == Cost()


def test_stores_are_merged_once_however_often(tmp_path: Path) -> None:
    with ScoreStore(tmp_path / "a.sqlite") as a, ScoreStore(tmp_path / "b.sqlite") as b:
        a.put({key(1): 1.0}, cost=Cost(1), of=("s", "t", 0))
        b.put({key(1): 1.0, key(2): None}, cost=Cost(2), of=("s", "t", 1))
        for _ in range(2):
            assert a.merge(b) == 2
            assert a.get([key(1), key(2)]) == {key(1): 1.0, key(2): None}
            assert a.cost("s", "t") == Cost(3)
        b.put({key(4): 1.0})
        a.put({key(4): 5.0})
        with pytest.raises(DataError, match="use a new store"):
            a.merge(b)


def _write(path: Path, first: int, acknowledged: Path) -> None:
    with ScoreStore(path) as store, acknowledged.open("ab", buffering=0) as log:
        for number in range(first, first + 100_000):
            store.put({key(number): float(number)})
            log.write(key(number))


def test_two_writers_that_are_killed_lose_nothing_they_were_told_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    ScoreStore(path).close()
    context = multiprocessing.get_context("fork")
    for round_ in range(3):
        logs = [tmp_path / f"log-{writer}" for writer in range(2)]
        writers = [
            context.Process(target=_write, args=(path, round_ * 10**6 + writer * 500_000, log))
            for writer, log in enumerate(logs)
        ]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 60  # on a busy machine a writer starts late
        while time.monotonic() < deadline and not all(log.is_file() and log.stat().st_size for log in logs):
            time.sleep(0.01)
        time.sleep(0.4 + 0.13 * round_)
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
    acknowledged = [
        data[at : at + 32]
        for log in logs
        for data in [log.read_bytes()]
        for at in range(0, len(data) - 31, 32)
    ]
    assert len(acknowledged) > 50
    with ScoreStore(path) as store:
        found = store.get(acknowledged)
        assert found == {each: float(int.from_bytes(each, "big")) for each in acknowledged}
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"scores " * 1000)
    with pytest.raises(
        DataError, match=r"a\.sqlite: this is no store of scores, or it is damaged .*move it away"
    ):
        ScoreStore(tmp_path / "a.sqlite")
    with sqlite3.connect(tmp_path / "b.sqlite") as database:
        database.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT)")
        database.execute("INSERT INTO about VALUES ('format', 'gmr scores 7')")
    database.close()
    with pytest.raises(DataError, match=r"format 'gmr scores 7', and 'gmr scores 1' is read here"):
        ScoreStore(tmp_path / "b.sqlite")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/a\.sqlite: the store cannot be made"):
        ScoreStore(tmp_path / "file" / "a.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"a\.sqlite: the store cannot be opened for writing .*--output"):
        ScoreStore(folder / "a.sqlite")


def test_a_read_only_store_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.sqlite"
    ScoreStore(path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        store_module.sqlite3,
        "connect",
        lambda where, **options: connect(f"file:{where}?mode=ro", uri=True, **options),
    )
    with pytest.raises(DataError, match=r"the store cannot be opened for writing"):
        ScoreStore(path)


def test_a_full_disk_is_an_error_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    # A limit on the size of files stands in for the disk; SQLite meets it as it would meet a full one.
    path = tmp_path / "a.sqlite"
    acknowledged: list[bytes] = []
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limit[1]))
        store = ScoreStore(path)

        def fill() -> None:
            for start in range(0, 10**6, 100):
                rows = {key(start + number): 1.0 for number in range(100)}
                store.put(rows)
                acknowledged.extend(rows)

        message = r"no more can be written .*: free some space .* run the same command again"
        with pytest.raises(DataError, match=message):
            fill()
        store.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert acknowledged
    with ScoreStore(path) as store:
        assert len(store.get(acknowledged)) == len(acknowledged)
        store.put({key(-1 % 2**200): 1.0})


def test_a_file_system_without_locks_is_refused_unless_one_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    seen: list[Path] = []

    def lockless(where: Path, **options: object) -> sqlite3.Connection:
        # The probe's own connection goes to a copy: nothing shuts it out, as where locks do nothing.
        seen.append(where)
        return connect(where if len(seen) % 2 else tmp_path / "copy.sqlite", **options)

    monkeypatch.setattr(store_module.sqlite3, "connect", lockless)
    with pytest.raises(DataError, match=r"does not lock files; .*--single-writer"):
        ScoreStore(tmp_path / "a.sqlite")
    seen.clear()
    ScoreStore(tmp_path / "a.sqlite", is_single_writer=True).close()
