"""Tests leave nothing in the system's folder for temporary files, however the process that made it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MAKE = """
from tests.helpers.folders import shared_folder
folder = shared_folder("made-")
(folder / "file").write_text("kept as long as it is needed")
print(folder)
"""
FAIL = MAKE + "raise SystemExit(1)"
# As in a worker of xdist, whose process may end without a word to Python.
SESSION = (
    MAKE
    + """
import os
from tests.conftest import pytest_sessionfinish
pytest_sessionfinish()
print(flush=True)
os._exit(0)
"""
)


@pytest.mark.parametrize("script", [MAKE, FAIL, SESSION], ids=["end", "failure", "session"])
def test_a_shared_folder_is_gone_with_its_process(tmp_path: Path, script: str) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(tmp_path / "made-") in done.stdout
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("made-")]
