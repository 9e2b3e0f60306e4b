"""The small model is made from made-up data and learns to rank."""

import json
from dataclasses import replace

import pytest
import torch

from gmr.modeling.loading import load_model
from gmr.train.make_small import LAYOUT, NAMING, SMALL, make_small_base
from gmr.train.nano import build_nano
from gmr.train.pretrain import BATCHES_PER_WINDOW, NamingBatches, PretrainConfig, Windows
from gmr.train.run import train
from tests.suites import tiny

TINY = replace(SMALL, vocab_size=700, width=32, num_layers=1, num_vision_layers=1, num_heads=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.write_stamps(root)
    return tiny.write_emoji(root)


def test_a_base_is_made_and_a_recipe_teaches_it_on_all_three_suites(data, tmp_path):
    few = {"num_steps": 3, "batch_size": 4, "num_workers": 0}
    base = make_small_base(
        tmp_path,
        data_root=data,
        device=torch.device("cpu"),
        small=TINY,
        naming=replace(NAMING, **few),
        layout=replace(LAYOUT, **few),
    )
    facts = json.loads((tmp_path / "gmr-small-base.json").read_text())
    model = load_model(base)
    assert facts["num_parameters"] == sum(each.numel() for each in model.parameters())
    assert (facts["device"], facts["layout"]["num_steps"]) == ("cpu", 3)
    result = train(
        "gmr-small-sft",
        output_dir=tmp_path / "run",
        overrides=[
            f'model.base="{base}"',
            f'data.root="{data}"',
            'data.dev_names=["emoji-t2t-dev", "stamps-t2i-dev", "glyphs-t2t-dev"]',
            "evaluation.max_queries=2",
            "training.bf16=false",
            "training.max_steps=2",
            "training.warmup_steps=1",
            "training.per_device_train_batch_size=2",
            "training.dataloader_num_workers=0",
        ],
        progress=False,
    )
    assert [each.task_name for each in result.dev] == ["glyphs-t2t-dev", "emoji-t2t-dev", "stamps-t2i-dev"]


def test_the_full_size_has_50_million_parameters():
    model = build_nano(SMALL, ["a b c"])
    layers = sum(each.numel() for name, each in model.named_parameters() if "embed_tokens" not in name)
    assert 46_000_000 < layers < 47_000_000


@pytest.mark.parametrize("num_steps", [1, BATCHES_PER_WINDOW, 2 * BATCHES_PER_WINDOW + 3])
def test_windows_hold_every_batch_once_in_order(num_steps):
    class Numbered(NamingBatches):
        def __init__(self) -> None:
            self.config = PretrainConfig(num_steps=num_steps)

        def __getitem__(self, step):
            return step

    windows = Windows(Numbered())
    assert [step for number in range(len(windows)) for step in windows[number]] == list(range(num_steps))
