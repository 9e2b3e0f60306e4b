"""Two processes that share a model's weights (FSDP2) compute a packed group as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.helpers.ports import free_port
from tests.helpers.tiny_checkpoints import build_tiny_checkpoint

SCRIPT = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from gmr.modeling.loading import load_model
from gmr.train.collator import GroupCollator
from gmr.train.trainable import checkpoint_activations
from tests.train.test_passes import contrastive, groups

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (dist.get_world_size(),))
found = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    results = []
    for sharded in (False, True):
        model = load_model(folder, device="cpu", self_check=False).train()
        checkpoint_activations(model)
        if sharded:
            for block in [*model.base_model.language_model.layers, *model.base_model.visual.blocks]:
                fully_shard(block, mesh=mesh)
            fully_shard(model, mesh=mesh)
            assert all(isinstance(p, DTensor) for p in model.parameters())
        batch = GroupCollator(model.processor, engine="packed")(groups()[:2])
        (inputs,) = batch["passes"]
        assert "layout" in inputs
        logits = model(**inputs)
        contrastive(logits, batch["order"]).backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((logits.detach(), {n: g.full_tensor() if sharded else g for n, g in grads.items()}))
    (logits, grads), (sharded_logits, sharded_grads) = results
    assert grads.keys() == sharded_grads.keys()
    norm = sum(g.double().square().sum() for g in grads.values()) ** 0.5
    error = sum((grads[n] - sharded_grads[n]).double().square().sum() for n in grads) ** 0.5
    found[folder.name] = {
        "logits": float((logits - sharded_logits).abs().max()),
        "gradient": float(error / norm),
        "parameters": len(grads),
        "vision": sum(".visual." in name for name in grads),
    }
if dist.get_rank() == 0:
    Path(sys.argv[2]).write_text(json.dumps(found))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_sharded_weights_give_the_logits_and_gradients_of_one_process(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for architecture in ("qwen2_5_vl", "qwen3_vl"):
        for tie in (False, True):
            build_tiny_checkpoint(models / f"{architecture}{'-tied' * tie}", architecture, tie=tie)
    script, output = tmp_path / "script.py", tmp_path / "found.json"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    launcher = ["torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    command = [sys.executable, "-m", *launcher]
    log = f"--log-dir={tmp_path / 'log'}"  # else one of its own stays among the system's temporary files
    done = subprocess.run(
        [*command, log, str(script), str(models), str(output)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(output.read_text())
    assert len(found) == 4
    for name, values in found.items():
        assert values["logits"] <= 1e-5, (name, values)
        assert values["gradient"] <= 1e-5, (name, values)
        assert values["vision"] > 20
        assert values["parameters"] > values["vision"] + 20
