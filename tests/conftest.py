"""Where the tests find shared fixtures and real data; what is absent is skipped, never faked."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.folders import remove_shared_folders

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def log_level_is_left_alone() -> Iterator[None]:
    """A test that turns the log down would silence the warnings that a later one waits for, in some orders only."""
    yield
    assert logging.getLogger("gmr").level == logging.NOTSET, (
        "the test changed the level of the log for all others"
    )


def pytest_sessionfinish() -> None:
    """Leave nothing in the system's folder for temporary files: here, or in each worker of several."""
    remove_shared_folders()


def shared_root() -> Path:
    """Folder of the shared fixtures and data: ``GMR_SHARED`` or ``../shared`` beside the repository."""
    return Path(os.environ.get("GMR_SHARED", REPOSITORY.parent / "shared"))


def shared_fixture(name: str) -> Path:
    """Path of a shared fixture; the calling test is skipped where it is absent."""
    path = shared_root() / "fixtures" / name
    if not path.exists():
        pytest.skip(f"shared fixture {name} is not here")
    return path


def shared_data(name: str) -> Path:
    """Path of a shared data set; the calling test is skipped where it is absent."""
    path = shared_root() / "data" / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not here")
    return path
