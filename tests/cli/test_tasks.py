"""The options that say what to work on: none that would do nothing is taken without a word."""

from pathlib import Path

import pytest

from gmr.cli.tasks import load_tasks
from gmr.core.datasets import write_beir
from gmr.core.errors import UsageError
from tests.bench.suites import make_task


@pytest.fixture
def own_suite(tmp_path: Path) -> str:
    """A TOML file with one set that lies in a folder."""
    write_beir(make_task("toy", num_queries=2, depth=4, num_documents=6), tmp_path / "toy")
    page = tmp_path / "mine.toml"
    page.write_text('[tasks.toy]\ntask_type = "t2t"\nformat = "beir"\nfolder = "toy"\n')
    return str(page)


def test_a_split_of_sets_that_say_their_own_is_refused(own_suite: str) -> None:
    assert [task.name for task in load_tasks(own_suite, [])] == ["toy"]
    with pytest.raises(UsageError, match=r"--split: each set of .*mine\.toml says its own"):
        load_tasks(own_suite, [], split="dev")


def test_a_folder_of_first_stages_for_what_brings_its_own_is_refused(own_suite: str, tmp_path: Path) -> None:
    assert load_tasks(own_suite, [], runs_root=tmp_path)[0].first_stage
    with pytest.raises(UsageError, match="--runs-root: glyphs brings its own first stages"):
        load_tasks("glyphs", [], runs_root=tmp_path, limit=1)
    with pytest.raises(UsageError, match="--runs-root: --folder brings its own first stages"):
        load_tasks(None, [tmp_path / "toy"], runs_root=tmp_path, folder_option="--folder")
