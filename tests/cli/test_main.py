"""How a run of the command line ends: exit status, one line for an error, a traceback only when asked."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import gmr as package
from gmr.cli import rank as rank_module
from gmr.cli.main import app
from gmr.core.errors import ConfigError, DataError, ModelError, UsageError
from tests.cli.stubs import Outcome

Gmr = Callable[..., Outcome]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes ``gmr rank`` end with an exception."""

    def arrange(error: BaseException) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(rank_module, "build_query", fail)

    return arrange


RANK = ("rank", "--query", "q", "--documents", "nowhere")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("a.jsonl:3: bad"), 65, "error: a.jsonl:3: bad\n"),
        (ConfigError("unknown key"), 65, "error: unknown key\n"),
        (ModelError("no weights"), 65, "error: no weights\n"),
        (UsageError("choose one"), 2, "error: choose one\n"),
        (
            FileNotFoundError(2, "No such file or directory", "x.png"),
            65,
            "error: x.png: No such file or directory\n",
        ),
        (OSError(28, "No space left on device"), 65, "error: No space left on device\n"),
        (DataError("two\nlines \x1b[2J"), 65, "error: two\\nlines \\x1b[2J\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    gmr: Gmr, failing: Callable[[BaseException], None], error: BaseException, status: int, message: str
) -> None:
    failing(error)
    outcome = gmr(*RANK)
    assert (outcome.status, outcome.out, outcome.err) == (status, "", message)


def test_a_fault_of_ours_says_how_to_see_more(gmr: Gmr, failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError("division by zero"))
    outcome = gmr(*RANK)
    assert outcome.status == 70
    assert outcome.err.count("\n") == 1
    assert "ZeroDivisionError: division by zero" in outcome.err
    assert "--debug" in outcome.err


def test_debug_shows_the_traceback_and_the_line(gmr: Gmr, failing: Callable[[BaseException], None]) -> None:
    failing(DataError("a.jsonl:3: bad"))
    outcome = gmr("--debug", *RANK)
    assert outcome.status == 65
    assert "Traceback" in outcome.err
    assert outcome.err.endswith("error: a.jsonl:3: bad\n")


@pytest.mark.parametrize(
    "words",
    [
        ["rank"],
        ["rank", "--query", "q"],
        ["rank", "--nonsense"],
        ["nonsense"],
        ["rank", "--query", "q", "--documents", "d", "--top-k", "0"],
        ["rank", "--query", "q", "--documents", "d", "--top-k", "many"],
        ["rank", "--documents", "d"],
        ["rank", "--query", " ", "--documents", "d"],
        ["rank", "--query", "q", "--documents", "d", "--json", "--trec"],
        ["rank", "--query", "q", "--documents", "d", "--trec", "--query-id", "a b"],
        ["rank", "--query", "q", "--documents", "d", "--dtype", "float12"],
        ["train"],
        ["evaluate"],
        ["evaluate", "--suite", "glyphs", "--task", "folder"],
        ["evaluate", "--suite", "glyphs", "--measure", "ndgc@10"],
        ["evaluate", "--suite", "glyphs", "--measure", "rr", "--measure", "rr"],
        ["evaluate", "--run", "a.trec"],
        ["evaluate", "--qrels", "q"],
        ["evaluate", "--run", "a.trec", "--qrels", "q", "--model", "m"],
        ["evaluate", "--task", "folder", "--limit", "3"],
        ["evaluate", "--suite", "glyphs", "--first-stage", "x"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2_and_one_line(gmr: Gmr, words: list[str]) -> None:
    outcome = gmr(*words)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_version_is_the_packages(gmr: Gmr) -> None:
    assert gmr("--version") == Outcome(0, f"gmr {package.__version__}\n", "")


@pytest.mark.parametrize("command", ["rank", "first-stage", "train", "evaluate", "bench", "demo", "info"])
def test_every_command_explains_itself_with_examples(gmr: Gmr, command: str) -> None:
    outcome = gmr(command, "--help")
    assert outcome.status == 0
    assert f"gmr {command}" in outcome.out.split("Examples")[1]


def test_help_teaches_commands_examples_and_next_steps(gmr: Gmr) -> None:
    shown = gmr("--help").out
    for words in ("Use a model", "Make a model", "Look around", "Three examples", "Next steps"):
        assert words in shown
    assert shown.split("Three examples")[1].split("Next steps")[0].count("gmr ") == 3


def test_square_brackets_of_a_help_text_are_styles_or_shown() -> None:
    # Rich takes other words in brackets for a style as well, and leaves them out.
    texts = list(_help_texts(get_command(app)))
    assert any("\\[quick]" in text for text in texts)
    words = {word for text in texts for word in re.findall(r"(?<!\\)\[/?([a-z]\w*)\]", text)}
    assert words == {"bold", "cyan"}


def _help_texts(command: Any) -> Iterator[str]:
    yield command.help or ""
    yield command.epilog or ""
    for parameter in command.params:
        yield getattr(parameter, "help", None) or ""
    for inner in getattr(command, "commands", {}).values():
        yield from _help_texts(inner)


def test_the_examples_of_the_help_name_real_options(gmr: Gmr) -> None:
    for command in ("rank", "train", "evaluate", "demo", "info"):
        shown = gmr(command, "--help").out
        options, examples = shown.split("Examples")
        used = {word for word in examples.split() if word.startswith("--")}
        assert not {word for word in used if word not in options}, command


def run_process(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gmr", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_python_m_gmr_is_the_same_command() -> None:
    done = run_process("--version")
    assert (done.returncode, done.stdout) == (0, f"gmr {package.__version__}\n")


def test_the_status_of_the_process_is_the_one_of_the_error(tmp_path: Path) -> None:
    done = run_process("evaluate", "--run", str(tmp_path / "none.trec"), "--qrels", str(tmp_path / "none"))
    assert done.returncode == 65
    assert done.stderr == f"error: {tmp_path / 'none'}: no such file\n"


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    qrels = tmp_path / "qrels"
    qrels.write_text("q 0 d 1\n")
    run = tmp_path / "run.trec"
    run.write_text("q Q0 d 1 1.0 t\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "gmr", "evaluate", "--run", str(run), "--qrels", str(qrels)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in errors
    assert "error" not in errors


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    fifo = tmp_path / "documents.txt"
    os.mkfifo(fifo)  # reading it waits for ever, as a long run would
    process = subprocess.Popen(
        [sys.executable, "-m", "gmr", "rank", "--query", "q", "--documents", str(fifo)],
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell inherits that Ctrl-C is ignored; a user's terminal does not ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    writer = os.open(fifo, os.O_WRONLY)  # returns once the command has opened the other end
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    os.close(writer)
    assert process.returncode == 130
    assert errors.strip() == "interrupted"


def test_gmr_alone_shows_the_help_and_no_error(gmr: Gmr) -> None:
    outcome = gmr()
    assert (outcome.status, outcome.err) == (2, "")
    assert outcome.out.split() == gmr("--help").out.split()
