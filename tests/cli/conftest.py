"""The command line in this process, with a scorer that needs no model."""

from collections.abc import Callable

import pytest

from tests.cli.stubs import Outcome, WordOverlap, runner


@pytest.fixture
def gmr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """``gmr`` with `WordOverlap` in the place of every model."""
    monkeypatch.setattr("gmr.reranker.Reranker", WordOverlap)
    facts = {"weights": "0" * 64, "dtype": "float32", "template": "words 1234", "adapter": "none"}
    monkeypatch.setattr("gmr.bench.identity.reranker_facts", lambda _: facts)
    monkeypatch.setattr(WordOverlap, "made", [])
    return runner(capsys)


@pytest.fixture
def real_gmr(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``gmr`` as it is."""
    return runner(capsys)
