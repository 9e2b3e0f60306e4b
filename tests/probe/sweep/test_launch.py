"""Wherever a run is made, it leaves the same files."""

from concurrent.futures import wait
from contextlib import nullcontext
from pathlib import Path

import pytest

from gmr.core.errors import GmrError
from gmr.core.files import atomic_write_json
from gmr.probe.sweep.cells import cells_of
from gmr.probe.sweep.execute import execute
from gmr.probe.sweep.files import SPEC
from gmr.probe.sweep.launch import OVER
from gmr.probe.sweep.plan import load_plan
from gmr.probe.sweep.runs import RunSpec, reported_runs
from tests.helpers.turns import alone
from tests.probe.sweep.tiny import results, write_plan


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    plan = load_plan(
        write_plan(tmp_path_factory.mktemp("plan")), ["common.training.max_steps=2", "seeds=[0]"]
    )
    (run,) = reported_runs(plan, cells_of(plan)["sft"], learning_rate=1e-3)
    return run


@pytest.fixture(scope="module")
def expected(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the run as this process makes it."""
    folder = tmp_path_factory.mktemp("here") / spec.name
    atomic_write_json(folder / SPEC, spec.to_json())
    execute(folder)
    return results(folder)


@pytest.mark.slow
@pytest.mark.parametrize("over", sorted(OVER))
def test_every_place_gives_the_same_files(
    over: str, spec: RunSpec, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if over == "ray":
        pytest.importorskip("ray")
    # Nobody's accelerate configuration is asked. Ray keeps its token at home, and this process keeps the token.
    for name in ("HOME", "HF_HOME") if over == "accelerate" else ():
        monkeypatch.setenv(name, str(tmp_path))
    folder = tmp_path / spec.name
    atomic_write_json(folder / SPEC, spec.to_json())
    # Two clusters of Ray on one small machine starve each other.
    with alone("ray") if over == "ray" else nullcontext(), OVER[over](1) as submit:
        future = submit(folder)
        wait([future], timeout=240)
        future.result()
    found = results(folder)
    found.pop("accelerate", None)
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("over", ["accelerate", "processes"])
def test_what_goes_wrong_elsewhere_is_told_in_a_line(over: str, tmp_path: Path) -> None:
    with OVER[over](1) as submit, pytest.raises(GmrError, match=r"spec\.json: no such file"):
        submit(tmp_path / "nothing").result()
