"""A resumed run ends with the very weights of a straight one, whatever stopped it, and never goes on with damage."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from gmr.core.errors import ConfigError
from gmr.train.checkpoints import checkpoint_folders, newest_good
from gmr.train.recipe import EvaluationSection
from gmr.train.run import train
from tests.conftest import REPOSITORY
from tests.train.data import dev_task, training_set
from tests.train.runs import assert_bitwise_equal, run, tiny_recipe, weights

STEPS = 10  # 8 examples in batches of 2: an epoch is 4 steps


class Crash(RuntimeError):
    """Stands in for whatever ends a process."""


class CrashAt(TrainerCallback):
    """Ends the run at the end of a step, after its log line and its checkpoint if it has them."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise Crash

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and not control.should_save:
            raise Crash

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and not (control.should_save or control.should_log):
            raise Crash


def recipe(**options: Any) -> Any:
    evaluation = EvaluationSection(every=4)
    defaults = {"max_steps": STEPS, "evaluation": evaluation, "save_total_limit": 4, "logging_steps": 3}
    return tiny_recipe(**{**defaults, **options})


def assert_same(found: Any, expected: Any) -> None:
    """Nested states of optimizers and schedulers, tensors bit for bit."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(recipe(lora=True), tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize(
    "step",
    [2, 5, 8, 9, STEPS],
    ids=["in an epoch", "between saves", "at an epoch's end", "after a log line", "after the last step"],
)
def test_a_crash_and_a_resume_give_the_weights_and_logs_of_a_straight_run_bit_for_bit(
    tmp_path: Path, straight: Any, step: int
) -> None:
    # With dropout in the adapters, so the state of the random numbers has to come back as well.
    with pytest.raises(Crash):
        run(recipe(lora=True), tmp_path, callbacks=[CrashAt(step)])
    assert newest_good(tmp_path).folder == tmp_path / f"checkpoint-{step - step % 2}"
    torch.manual_seed(987)  # another process would have another state
    result = run(recipe(lora=True), tmp_path)
    assert_bitwise_equal(weights(result), weights(straight))
    for name in ("log.csv", "dev.csv", "dev_per_query.csv"):
        assert (tmp_path / name).read_text() == (straight.run_dir / name).read_text()


def test_a_crash_after_the_last_evaluation_leaves_nothing_to_train(
    tmp_path: Path, straight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("gmr.train.run.save_model", crash)
        with pytest.raises(Crash):
            run(recipe(lora=True), tmp_path)
    result = run(recipe(lora=True), tmp_path)
    assert result.num_steps == STEPS
    assert [dev.per_query for dev in result.dev] == [dev.per_query for dev in straight.dev]
    assert_bitwise_equal(weights(result), weights(straight))
    for name in ("log.csv", "dev.csv", "dev_per_query.csv"):
        assert (tmp_path / name).read_text() == (straight.run_dir / name).read_text()


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_run_that_stopped_early_stays_stopped_when_it_is_resumed(tmp_path: Path, keep: str) -> None:
    # Steps too small to change an order: the second evaluation is no better than the first.
    page = recipe(evaluation=EvaluationSection(every=2, patience=1, keep=keep), learning_rate=1e-6)  # type: ignore[arg-type]
    expected = run(page, tmp_path / "straight")
    with pytest.raises(Crash):
        run(page, tmp_path / "crashed", callbacks=[CrashAt(4)])
    found = run(page, tmp_path / "crashed")
    assert (found.num_steps, expected.num_steps) == (4, 4)
    assert_bitwise_equal(weights(found), weights(expected))
    assert [dev.per_query for dev in found.dev] == [dev.per_query for dev in expected.dev]
    for name in ("log.csv", "dev.csv", "dev_per_query.csv"):
        logs = [(tmp_path / folder / name).read_text() for folder in ("straight", "crashed")]
        assert logs[0] == logs[1]


def test_full_fine_tuning_with_workers_and_accumulation_resumes_bit_for_bit(tmp_path: Path) -> None:
    options = {"dataloader_num_workers": 2, "gradient_accumulation_steps": 3, "max_steps": 6}
    expected = run(tiny_recipe(**options), tmp_path / "straight", pictures=True)
    with pytest.raises(Crash):
        run(tiny_recipe(**options), tmp_path / "crashed", pictures=True, callbacks=[CrashAt(4)])
    # The number of workers may change: nothing is drawn from their random states.
    found = run(tiny_recipe(**{**options, "dataloader_num_workers": 0}), tmp_path / "crashed", pictures=True)
    assert_bitwise_equal(weights(found), weights(expected))


def test_optimizer_and_scheduler_of_a_resumed_run_are_those_of_a_straight_one(
    tmp_path: Path, straight: Any
) -> None:
    with pytest.raises(Crash):
        run(recipe(lora=True), tmp_path, callbacks=[CrashAt(4)])
    run(recipe(lora=True), tmp_path)
    for name in ("trained.safetensors", "optimizer.pt", "scheduler.pt"):
        last = f"checkpoint-{STEPS}"
        found, expected = (folder / last / name for folder in (tmp_path, straight.run_dir))
        if name.endswith("safetensors"):
            assert_bitwise_equal(load_file(found), load_file(expected))
        else:
            assert_same(torch.load(found, weights_only=True), torch.load(expected, weights_only=True))


@pytest.mark.parametrize("name", ["trained.safetensors", "optimizer.pt"])
def test_a_damaged_newest_checkpoint_is_skipped_and_the_end_is_the_same(
    tmp_path: Path, straight: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Crash):
        run(recipe(lora=True), tmp_path, callbacks=[CrashAt(6)])
    damaged = tmp_path / "checkpoint-6" / name
    data = bytearray(damaged.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    damaged.write_bytes(bytes(data))
    result = run(recipe(lora=True), tmp_path)
    assert f"checkpoint-6 is skipped: {damaged}" in caplog.text
    assert_bitwise_equal(weights(result), weights(straight))
    assert newest_good(tmp_path).skipped == (), "the damaged folder was written anew"


def test_rotation_keeps_what_the_recipe_says_and_at_least_two(tmp_path: Path) -> None:
    run(recipe(save_total_limit=3), tmp_path / "three")
    assert [folder.name for folder in checkpoint_folders(tmp_path / "three")] == [
        "checkpoint-6",
        "checkpoint-8",
        "checkpoint-10",
    ]
    run(recipe(save_total_limit=1), tmp_path / "one")
    assert len(checkpoint_folders(tmp_path / "one")) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 2e-3}, r"recipe.training.learning_rate: 0.001 -> 0.002"),
        ({"model": {"rows_per_pass": 2}}, r"recipe.model.rows_per_pass: None -> 2"),
    ],
)
def test_a_changed_recipe_is_not_resumed_unless_forced(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(Crash):
        run(recipe(), tmp_path, callbacks=[CrashAt(2)])
    with pytest.raises(ConfigError, match=named):
        run(recipe(**change), tmp_path)
    assert run(recipe(**change), tmp_path, force=True).model_dir is not None


def test_changed_data_is_not_resumed_and_other_logging_is(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        run(recipe(), tmp_path, callbacks=[CrashAt(2)])
    with pytest.raises(ConfigError, match=r"data: '[0-9a-f]{64}' -> '[0-9a-f]{64}'"):
        run(recipe(), tmp_path, training_set=training_set(num_hard=3))
    assert run(recipe(logging_steps=5), tmp_path).model_dir is not None


def test_a_complete_run_gives_its_result_again_without_training(tmp_path: Path) -> None:
    first = run(recipe(), tmp_path)

    def fail(*arguments: Any, **options: Any) -> None:
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gmr.train.run.load_base", fail)
        again = run(recipe(), tmp_path)
    assert again.model_dir == first.model_dir
    assert list(again.history) == list(first.history)
    assert [dev.per_query for dev in again.dev] == [dev.per_query for dev in first.dev]
    with pytest.raises(ConfigError, match=r"max_steps: 10 -> 12"):
        run(recipe(max_steps=12), tmp_path)
    assert run(recipe(max_steps=12), tmp_path, force=True).num_steps == 12


def test_never_resuming_wants_a_directory_without_checkpoints(tmp_path: Path) -> None:
    run(recipe(), tmp_path)
    with pytest.raises(ConfigError, match="holds checkpoints"):
        run(recipe(), tmp_path, resume="never")


def test_resuming_from_a_named_checkpoint_that_is_damaged_is_refused(tmp_path: Path, straight: Any) -> None:
    with pytest.raises(Crash):
        run(recipe(lora=True), tmp_path, callbacks=[CrashAt(6)])
    result = run(recipe(lora=True), tmp_path, resume=tmp_path / "checkpoint-4")
    assert_bitwise_equal(weights(result), weights(straight))
    (tmp_path / "checkpoint-8" / "scheduler.pt").unlink()
    with pytest.raises(ConfigError, match=r"scheduler.pt: missing"):
        run(recipe(lora=True), tmp_path, resume=tmp_path / "checkpoint-8")


class Terminate(TrainerCallback):
    """Sends SIGTERM to this process in the middle of a step."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_saves_at_the_end_of_the_step_and_the_next_start_goes_on(
    tmp_path: Path, straight: Any
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopped = run(recipe(lora=True), tmp_path, callbacks=[Terminate()])
    assert signal.getsignal(signal.SIGTERM) == before
    assert stopped.model_dir is None
    assert stopped.num_steps == 5
    assert newest_good(tmp_path).folder == tmp_path / "checkpoint-5"
    assert_bitwise_equal(weights(run(recipe(lora=True), tmp_path)), weights(straight))


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.save

    def full(state: Any, path: Any, *arguments: Any, **options: Any) -> None:
        if "checkpoint-4" in str(path) and str(path).endswith("optimizer.pt"):
            raise OSError(28, "No space left on device")
        real(state, path, *arguments, **options)

    monkeypatch.setattr(torch, "save", full)
    result = run(tiny_recipe(max_steps=6), tmp_path)
    assert result.model_dir is not None
    assert newest_good(tmp_path).folder == tmp_path / "checkpoint-6"
    assert not (tmp_path / "checkpoint-4" / "manifest.json").exists()


CHILD = """
import sys
from pathlib import Path
from tests.train.data import training_set
from tests.train.runs import tiny_recipe
from gmr.core.config import load_config
from gmr.train.recipe import Recipe
from gmr.train.run import train
recipe = load_config(Path(sys.argv[1]), Recipe)
train(recipe, output_dir=sys.argv[2], training_set=training_set(), dev_tasks=[], progress=False)
"""


@pytest.mark.slow
def test_kill_minus_nine_at_any_moment_and_a_restart_give_the_same_weights(tmp_path: Path) -> None:
    """Kills the process three times, at moments that fall anywhere between two checkpoints."""
    from gmr.core.config import to_toml

    page = tmp_path / "recipe.toml"
    page.write_text(to_toml(recipe(lora=True, max_steps=60, dev="", save_steps=3, dataloader_num_workers=2)))
    page.write_text(page.read_text().replace("every = 4", "every = 0"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    straight, killed = tmp_path / "straight", tmp_path / "killed"

    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CHILD, page, folder], env=environment, cwd=REPOSITORY)

    assert start(straight).wait(timeout=300) == 0
    for kills in range(3):
        process = start(killed)
        target = 10 * (kills + 1)
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and process.poll() is None:
            if any(int(folder.name.split("-")[1]) >= target for folder in checkpoint_folders(killed)):
                break
            time.sleep(0.01 + 0.007 * kills)
        process.kill()
        process.wait()
        assert not (killed / "result.json").exists(), "killed too late to show anything"
    assert start(killed).wait(timeout=300) == 0
    files = [load_file(folder / "model" / "adapter_model.safetensors") for folder in (killed, straight)]
    assert_bitwise_equal(*files)


def test_the_run_directory_says_how_it_came_to_be(tmp_path: Path) -> None:
    result = train(
        recipe(), output_dir=tmp_path, training_set=training_set(), dev_tasks=[dev_task()], progress=False
    )
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["versions"]["torch"] == torch.__version__
    assert content["seed"] == 3
    assert content["identity"]["data"] == training_set().fingerprint()
    per_query = (tmp_path / "dev_per_query.csv").read_text().splitlines()
    assert len(per_query) == 1 + len(result.dev[0].per_query["ndcg@10"])
    assert (tmp_path / "runs" / "colours-text.trec").is_file()
