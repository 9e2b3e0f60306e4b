"""A sweep of seconds: two cells on a tiny checkpoint, colours as data."""

import json
from pathlib import Path

from gmr.core.datasets import write_beir
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import COLOURS, dev_task

RECIPE = """
name = "tiny"
[model]
base = "{base}"
max_tokens = 256
[data]
path = "{data}"
dev = "{dev}"
num_negatives = 3
[evaluation]
every = 2
[training]
max_steps = 4
per_device_train_batch_size = 2
learning_rate = 1e-3
logging_steps = 1
save_steps = 1
use_cpu = true
"""
PLAN = """
name = "tiny"
question = "Does it run?"
recipe = "tiny-recipe.toml"
seeds = [0, 1]
[cells.sft]
[cells.contrastive.set]
objective = {weight = "contrastive", direction = "yes"}
model.readout = "yes"
[tuning]
learning_rates = [1e-3, 1e-2]
[test]
suite = "none"
folder = "FOLDER"
split = "test"
depths = [3]
[[contrasts]]
name = "SFT - CL"
a = "sft"
b = "contrastive"
paper = {claim = "higher", effect = 1.69, source = "Table 1"}
[[contrasts]]
name = "depth"
a = "sft"
b = "sft"
depth_b = 3
[quick]
seeds = [0]
tuning.learning_rates = [1e-3]
common.training.max_steps = 2
"""


def write_plan(folder: Path, text: str = PLAN) -> Path:
    """The plan, its recipe, training data, and a task that differs from the development task, as files."""
    names = list(COLOURS)
    rows = [
        {
            "query": f"{name}",
            "positives": [f"the colour {name}"],
            "negatives": [f"the colour {names[(place + step) % len(names)]}" for step in (1, 2)],
        }
        for place, name in enumerate(names)
    ]
    data = folder / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("dev", "test"):
        write_beir(dev_task(), folder / name)
    recipe = RECIPE.format(base=tiny_checkpoint("qwen3"), data=data, dev=folder / "dev")
    (folder / "tiny-recipe.toml").write_text(recipe, encoding="utf-8")
    plan = folder / "tiny.toml"
    plan.write_text(text.replace("FOLDER", str(folder / "test")), encoding="utf-8")
    return plan


def results(folder: Path) -> dict[str, bytes]:
    """Every file of a sweep that must be the same however it was made, by its path."""
    circumstances = {"cost.json", "run.json"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in circumstances
    }
