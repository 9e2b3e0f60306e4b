"""``gmr info``: what is here, and what a model folder is."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

import gmr as package
from gmr.modeling.loading import load_model
from gmr.modeling.saving import save_model
from gmr.suites import SUITES
from tests.cli.stubs import Outcome
from tests.helpers.tiny_checkpoints import tiny_checkpoint

Gmr = Callable[..., Outcome]


def test_the_installation_is_described(real_gmr: Gmr) -> None:
    facts = json.loads(real_gmr("info", "--json").out)
    assert facts["versions"]["gmr"] == package.__version__
    assert facts["versions"]["torch"] == torch.__version__
    assert set(facts["suites"]) == set(SUITES)
    assert "gmr-nano-sft" in facts["recipes"]
    assert "cpu" in facts["devices"]
    table = real_gmr("info").out
    for section in facts:
        assert not facts[section] or section in table


def test_a_saved_model_is_described_without_loading_it(real_gmr: Gmr, tmp_path: Path) -> None:
    save_model(load_model(tiny_checkpoint("qwen2_5_vl"), template="gmr"), tmp_path / "model")
    facts = json.loads(real_gmr("info", tmp_path / "model", "--json").out)
    ours = json.loads((tmp_path / "model" / "gmr.json").read_text())
    assert facts["architecture"] == "qwen2_5_vl"
    assert facts["adapter"] == "no"
    assert {key: facts[key] for key in ("template", "readout", "max_tokens")} == {
        key: ours[key] for key in ("template", "readout", "max_tokens")
    }
