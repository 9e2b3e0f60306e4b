"""The page on mteb shows what its examples print and what its commands answer."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stubs import Outcome, runner
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "mteb.md").read_text(encoding="utf-8")


@pytest.fixture
def gmr(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    return runner(capsys)


def assert_alike(shown: str, expected: str) -> None:
    """The same words and lines; numbers as near as another processor may put them, revisions are of versions too."""
    lines = [[line.split() for line in text.splitlines() if line.strip()] for text in (shown, expected)]
    assert [len(words) for words in lines[0]] == [len(words) for words in lines[1]]
    for words, other_words in zip(*lines, strict=True):
        for word, other in zip(words, other_words, strict=True):
            if re.fullmatch(r"[0-9a-f]{8}|[0-9.]+\.[0-9.]+\.[0-9.]+|─+", other):
                continue
            number, other_number = (
                re.fullmatch(r"\[?([0-9]+\.[0-9]+)[\],]*", each) for each in (word, other)
            )
            if number and other_number:
                assert float(number[1]) == pytest.approx(float(other_number[1]), abs=0.03)
            else:
                assert word == other


def test_the_examples_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(examples) == 3
    names: dict[str, object] = {}
    for code, expected in examples:
        capsys.readouterr()
        exec(code, names)
        assert_alike(capsys.readouterr().out, expected)


@pytest.mark.slow
def test_the_commands_answer_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gmr: Callable[..., Outcome]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"```console\n\$ gmr (.*?)\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(commands) == 3
    for words, expected in commands:
        outcome = gmr(*words.split())
        assert outcome.status == 0, outcome.err
        assert_alike(outcome.out, expected)
