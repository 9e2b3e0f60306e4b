"""A benchmark of a real model that is killed with SIGKILL ends with the files of one that was not."""

from pathlib import Path

import pytest

from tests.bench.kill import files_of, kill_and_resume, num_rows, start


@pytest.mark.slow
def test_after_three_kills_the_files_are_the_same_to_the_last_byte_and_no_row_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    assert start(tmp_path / "whole").wait() == 0
    rows = kill_and_resume(tmp_path / "killed", kills=3, seed=1)
    whole, killed = files_of(tmp_path / "whole"), files_of(tmp_path / "killed")
    assert (
        len(whole) == 4 * 9 + 3 * 9 + 1
    )  # values of four systems, runs of all but chance, and what ties them together
    assert killed == whole
    assert num_rows(tmp_path / "killed") == num_rows(tmp_path / "whole") >= max(rows)


@pytest.mark.slow
def test_two_processes_that_run_the_same_benchmark_at_once_end_with_the_same_files(tmp_path: Path) -> None:
    assert start(tmp_path / "alone").wait() == 0
    both = [start(tmp_path / "both") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert files_of(tmp_path / "both") == files_of(tmp_path / "alone")
    assert num_rows(tmp_path / "both") == num_rows(tmp_path / "alone")
