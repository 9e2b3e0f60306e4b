"""Folders that a process builds once and shares between its tests, and that nothing is left of afterwards."""

import atexit
import shutil
from pathlib import Path
from tempfile import mkdtemp

_MADE: list[Path] = []


def shared_folder(prefix: str) -> Path:
    """A new folder for as long as the tests of this process run."""
    folder = Path(mkdtemp(prefix=prefix))
    _MADE.append(folder)
    return folder


def remove_shared_folders() -> None:
    """Take away all that `shared_folder` has made; at the end of the tests, or of a process without any."""
    while _MADE:
        shutil.rmtree(_MADE.pop(), ignore_errors=True)


atexit.register(remove_shared_folders)
