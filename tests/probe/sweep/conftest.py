"""A sweep of seconds, made once, and a place to make runs that needs no other process."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gmr.probe.sweep import sweep as module
from gmr.probe.sweep.execute import execute
from gmr.probe.sweep.plan import load_plan
from gmr.probe.sweep.report import write_report
from gmr.probe.sweep.sweep import Sweep
from tests.probe.sweep.tiny import write_plan


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """``over="here"`` makes every run in this very process, one after the other."""

    @contextmanager
    def in_this_process(num_runs: int) -> Iterator[Any]:
        def submit(folder: Path) -> "Future[None]":
            future: Future[None] = Future()
            try:
                execute(folder)
                future.set_result(None)
            except Exception as error:
                future.set_exception(error)
            return future

        yield submit

    monkeypatch.setitem(module.OVER, "here", in_this_process)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan's file."""
    return write_plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="session")
def straight(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep made in one go, by processes of its own as a user's is; nobody may change it."""
    folder = tmp_path_factory.mktemp("straight") / "sweep"
    sweep = Sweep(load_plan(page), folder)
    sweep.run(num_workers=2, progress=False)
    write_report(folder)
    return folder
