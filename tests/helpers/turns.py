"""One at a time, over all processes that run tests: for what fights over the machine otherwise."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Waits until no other process is inside under that name."""
    with (Path(tempfile.gettempdir()) / f"gmr-tests-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
