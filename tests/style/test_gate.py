"""The gate script: both halves run, pytest's closing line comes last, a failure is a failure."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FAKE_MAKE = """#!/usr/bin/env bash
echo "make $1"
case "$1" in
  check) exit {check} ;;
  test) echo "tests/x.py ..."; echo "{closing}"; echo "make: some last words" >&2; exit {test} ;;
esac
"""


@pytest.mark.parametrize(
    ("check", "test", "closing", "passed"),
    [
        (0, 0, "12 passed, 1 skipped in 3.21s", True),
        (2, 0, "12 passed in 3.21s", False),
        (0, 1, "1 failed, 11 passed in 75.00s (0:01:15)", False),
        (2, 2, "no tests ran in 0.01s", False),
    ],
)
def test_the_gate_runs_both_and_ends_with_the_closing_line(
    tmp_path: Path, check: int, test: int, closing: str, passed: bool
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "run", tmp_path / ".ci" / "run")
    make = tmp_path / "bin" / "make"
    make.write_text(FAKE_MAKE.format(check=check, test=test, closing=closing))
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        [tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False, env=environment, cwd="/"
    )
    lines = done.stdout.splitlines()
    assert "make check" in lines
    assert "make test" in lines
    assert lines[-1] == closing
    assert (done.returncode == 0) == passed
