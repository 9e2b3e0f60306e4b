"""The bar of a sweep says where it is, and does not fill a log."""

import io

import pytest

from gmr.probe.sweep import progress
from gmr.probe.sweep.progress import SweepBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "pause_s", "seen"), [(Terminal, 60, 9), (io.StringIO, 0, 9), (io.StringIO, 60, 1)]
)
def test_every_step_is_drawn_on_a_terminal_and_few_in_a_file(
    stream: type[io.StringIO], pause_s: float, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = stream()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr(progress, "LOG_EVERY_S", pause_s)
    with SweepBar("plan", seconds=100, num_runs=9, is_shown=True) as bar:
        bar.skip_to(10)
        for number in range(1, 10):
            bar.show(11.0 * number, num_done=number)
    lines = [line for line in written.getvalue().split("\r") if " of 9 runs" in line]
    assert len({line.strip() for line in lines}) == seen
    assert "9 of 9 runs" in lines[-1], "where it ended is always said"
    assert " 99%" in lines[-1]


def test_a_bar_that_is_not_shown_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with SweepBar("plan", seconds=100, num_runs=9, is_shown=False) as bar:
        bar.skip_to(10)
        bar.show(50, num_done=5)
    assert capfd.readouterr() == ("", "")
