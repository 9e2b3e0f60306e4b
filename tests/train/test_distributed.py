"""Two processes train as one does with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gmr.core.config import to_toml
from gmr.train.checkpoints import checkpoint_folders, newest_good
from gmr.train.recipe import EvaluationSection
from tests.conftest import REPOSITORY
from tests.helpers.ports import free_port
from tests.train.runs import run, tiny_recipe

SCRIPT = """
import atexit
import os
import sys
from pathlib import Path
import torch
from gmr.core.config import load_config
from gmr.train.recipe import Recipe
from tests.train.runs import run
told = Path(sys.argv[1]).with_name("group-" + os.environ["RANK"])
# Registered first, it comes last.
atexit.register(lambda: told.write_text(str(torch.distributed.is_initialized())))
run(load_config(Path(sys.argv[1]), Recipe), Path(sys.argv[2]), pictures=True)
"""
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--nproc-per-node=2", "--master-port={port}"],
    "accelerate launch": [
        "accelerate.commands.accelerate_cli",
        "launch",
        *("--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no"),
        *("--dynamo_backend=no", "--main_process_port={port}"),
    ],
}


def launch(launcher: str, page: Path, folder: Path) -> None:
    """Run the recipe in two processes on this machine."""
    script = page.with_name("script.py")
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    log = f"--log-dir={page.with_name('log')}"  # else one of its own stays among the system's temporary files
    options = [option.format(port=free_port()) for option in LAUNCHERS[launcher]]
    command = [sys.executable, "-m", *options, log, str(script), str(page), str(folder)]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # One that is in a group when the interpreter ends may abort: Gloo's threads hold tensors of Python's.
    told = [page.with_name(f"group-{rank}") for rank in range(2)]
    assert [path.read_text() for path in told] == ["False", "False"]
    for path in told:
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "rows_per_pass"), [("torchrun", None), ("torchrun", 3), ("accelerate launch", None)]
)
def test_two_processes_give_the_losses_weights_and_values_of_one_with_the_same_global_batch(
    tmp_path: Path, launcher: str, rows_per_pass: int | None
) -> None:
    # 16 examples, so 4 steps are an epoch.
    # Plain gradient descent: Adam would make whole steps of gradients that are nothing but rounding.
    options = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 6, "save_steps": 3}
    options |= {"evaluation": EvaluationSection(every=3)}
    recipe = tiny_recipe(per_device_train_batch_size=2, model={"rows_per_pass": rows_per_pass}, **options)
    page = tmp_path / "recipe.toml"
    page.write_text(to_toml(recipe))
    one = run(tiny_recipe(per_device_train_batch_size=4, **options), tmp_path / "one", pictures=True)
    launch(launcher, page, tmp_path / "two")

    two = json.loads((tmp_path / "two" / "result.json").read_text())
    for found, expected in zip(two["history"], one.history, strict=True):
        for name, value in expected.items():
            if "runtime" not in name and "per_second" not in name and name != "train_loss":
                assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name
    weights = [load_file(tmp_path / folder / "model" / "model.safetensors") for folder in ("one", "two")]
    differences = torch.cat([(weights[0][name] - weights[1][name]).abs().flatten() for name in weights[0]])
    assert float(differences.max()) < 1e-5
    assert two["dev"][0]["run"].keys() == one.dev[0].run.keys()
    names = {path.name for path in newest_good(tmp_path / "two").folder.iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= names


@pytest.mark.slow
def test_two_processes_resume_to_the_weights_of_a_straight_run(tmp_path: Path) -> None:
    # The checkpoint is in the second epoch, whose order and negatives are not those of the first.
    recipe = tiny_recipe(max_steps=7, save_steps=5, lora=True)
    page = tmp_path / "recipe.toml"
    page.write_text(to_toml(recipe))
    launch("torchrun", page, tmp_path / "straight")
    launch("torchrun", page, tmp_path / "resumed")
    (tmp_path / "resumed" / "result.json").unlink()
    for folder in checkpoint_folders(tmp_path / "resumed")[1:]:
        (folder / "optimizer.pt").unlink()
    assert newest_good(tmp_path / "resumed").folder == tmp_path / "resumed" / "checkpoint-5"
    launch("torchrun", page, tmp_path / "resumed")
    files = [tmp_path / name / "model" / "adapter_model.safetensors" for name in ("straight", "resumed")]
    straight, resumed = (load_file(path) for path in files)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
