"""One bar over all runs of a sweep: alive on a terminal, a word a minute in a file."""

import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

# Seconds between two words to what is no terminal: a night's sweep leaves a page in its log, not a megabyte.
LOG_EVERY_S = 60.0


class SweepBar:
    """Seconds of work that are done, of those estimated, on stderr.

    Args:
        name: Of the plan.
        seconds: Of all runs together, as estimated.
        num_runs: How many there are.
        is_shown: False writes nothing.
    """

    def __init__(self, name: str, *, seconds: float, num_runs: int, is_shown: bool) -> None:
        self._num_runs = num_runs
        self._bar = tqdm(
            total=round(seconds),
            desc=name,
            disable=not is_shown,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            smoothing=0.05,
        )
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def skip_to(self, seconds: float) -> None:
        """So much was done before: it does not count for the speed."""
        self._bar.initial = self._bar.n = round(seconds)

    def show(self, seconds: float, *, num_done: int) -> None:
        """So much is done now."""
        if self._bar.disable:
            return
        self._bar.n = min(round(seconds), self._bar.total)
        self._bar.set_postfix_str(f"{num_done} of {self._num_runs} runs", refresh=False)
        now = time.monotonic()
        if self._bar.fp.isatty() or now - self._written >= LOG_EVERY_S:
            self._bar.refresh()
            self._written = now
