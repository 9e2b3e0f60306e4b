"""A benchmark of the shipped model in a process of its own that is killed at random moments and started again.

``python -m tests.bench.kill FOLDER KILLS [SEED]`` does it and says whether the files are those of a whole run.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

NUM_QUERIES = 6
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """The benchmark as a user starts it."""
    command = [sys.executable, "-m", "gmr", "bench", "--suite", "glyphs", "--limit", str(NUM_QUERIES)]
    options = ["--model", "gmr-nano", "--output", str(folder)]
    return subprocess.Popen(
        [*command, *options], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def num_rows(folder: Path) -> int:
    """Scores in the store, which another process may be writing."""
    path = folder / "scores.sqlite"
    if not path.exists():
        return 0
    database = sqlite3.connect(path, timeout=10)
    try:
        return int(database.execute("SELECT count(*) FROM scores").fetchone()[0])
    except sqlite3.OperationalError:  # it has been made, and its tables have not
        return 0
    finally:
        database.close()


def kill_and_resume(folder: Path, *, kills: int, seed: int) -> list[int]:
    """Kill the benchmark so often, then let it end; rows in the store at each kill.

    One kill of four comes while the process starts, the others when it has begun to score: after a random part of the
    time that scoring takes, so that some meet a commit.
    """
    generator = random.Random(seed)
    rows: list[int] = []
    longest = _seconds_of_scoring(folder)
    _empty(folder)
    while len(rows) < kills:
        process = start(folder)
        before = num_rows(folder)
        if generator.random() < 0.25:
            time.sleep(generator.uniform(0.0, 3.0))
        else:
            while process.poll() is None and num_rows(folder) == before:
                time.sleep(0.01)
            time.sleep(generator.uniform(0.0, longest))
        if process.poll() is not None:  # it came to its end: begin anew
            _empty(folder)
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        rows.append(num_rows(folder))
    if start(folder).wait():
        raise RuntimeError("the benchmark failed after the last kill")
    return rows


def _seconds_of_scoring(folder: Path) -> float:
    process = start(folder)
    while process.poll() is None and num_rows(folder) == 0:
        time.sleep(0.01)
    begun = time.monotonic()
    if process.wait():
        raise RuntimeError("the benchmark failed")
    return time.monotonic() - begun


def _empty(folder: Path) -> None:
    for path in folder.glob("scores.sqlite*"):
        path.unlink()


def files_of(folder: Path) -> dict[str, bytes]:
    """What a run leaves beside its store, its costs, and what shows them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".trec", ".jsonl") or path.name == "results.json"
    }


def main(folder: Path, kills: int, seed: int = 0) -> bool:
    """Whether both folders of results are the same, and what is in the store of the second."""
    if start(folder / "whole").wait():
        raise RuntimeError("the benchmark failed")
    rows = kill_and_resume(folder / "killed", kills=kills, seed=seed)
    whole, killed = files_of(folder / "whole"), files_of(folder / "killed")
    num = num_rows(folder / "killed"), num_rows(folder / "whole")
    same = whole == killed and num[0] == num[1]
    print(
        f"{kills} kills, with {rows} rows stored; {len(whole)} files, {num[0]} rows of {num[1]}: same is {same}"
    )
    return same


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:])) else 1)
