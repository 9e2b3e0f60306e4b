"""No worker outlives the process that wanted it, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import sys, time
from gmr.train.workers import workers
if __name__ == "__main__":
    import tests.train.test_workers as own
    with workers(1) as pool:
        future = pool.submit(own.write_pid_and_sleep, sys.argv[1])
        future.result()
"""


def write_pid_and_sleep(path: str) -> None:
    """What a worker does: longer than any test waits."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, signal_number: int) -> None:
    script, told = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    with subprocess.Popen([sys.executable, str(script), str(told)], env=environment) as parent:
        deadline = time.monotonic() + 60
        while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        pid = int(told.read_text())
        parent.send_signal(signal_number)
        parent.wait()
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(pid)
