"""The tensor names of published checkpoints are those that loading expects.

A tiny checkpoint is written under the names in the published index files. The expected place of each name in
today's model is spelled out here, not taken from transformers.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText

from gmr.core.errors import ModelError
from gmr.modeling.backbones import BACKBONES
from gmr.modeling.loading import load_model
from tests.conftest import shared_fixture
from tests.helpers.tiny_checkpoints import tiny_backbone, tiny_checkpoint

FIXTURES = {"qwen2_5_vl": "qwen2.5-vl-7b-instruct", "qwen3_vl": "qwen3-vl-embedding-8b"}


def published_names(architecture: str) -> list[str]:
    """Names in the published index whose layers a tiny model of three layers has too."""
    path = shared_fixture(f"{FIXTURES[architecture]}/model.safetensors.index.json")
    names = json.loads(path.read_text())["weight_map"]
    sizes = {"layers": 3, "blocks": 3, "deepstack_merger_list": 2}

    def in_tiny(name: str) -> bool:
        found = re.search(r"\b(layers|blocks|deepstack_merger_list)\.(\d+)\.", name)
        return found is None or int(found[2]) < sizes[found[1]]

    return sorted(filter(in_tiny, names))


def place_of(name: str) -> str:
    """Name inside the model of a published name: the older files have no ``language_model``."""
    if name.startswith("visual."):
        return f"model.{name}"
    if re.match(r"model\.(layers|embed_tokens|norm)\b", name):
        return name.replace("model.", "model.language_model.", 1)
    return name


def write_published(architecture: str, folder: Path) -> Path:
    shutil.copytree(tiny_checkpoint(architecture), folder)
    state = tiny_backbone(architecture).state_dict()
    tensors = {name: state[place_of(name)].contiguous() for name in published_names(architecture)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("architecture", sorted(FIXTURES))
def test_published_names_are_all_the_names_of_the_model(architecture: str) -> None:
    expected = set(tiny_backbone(architecture).state_dict())
    if architecture == "qwen3_vl":
        expected.remove("lm_head.weight")  # the published files are those of an embedding model
    assert {place_of(name) for name in published_names(architecture)} == expected


@pytest.mark.parametrize("architecture", sorted(FIXTURES))
def test_the_published_config_describes_the_published_names(architecture: str) -> None:
    """The whole model of 7 or 8 billion parameters, without memory."""
    folder = shared_fixture(FIXTURES[architecture])
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        names = set(getattr(transformers, BACKBONES[architecture].architecture)(config).state_dict())
    published = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert names - {place_of(name) for name in published} <= {"lm_head.weight"}
    assert {place_of(name) for name in published} <= names


def test_a_checkpoint_with_the_real_vocabulary_loads_with_the_real_answers(tmp_path: Path) -> None:
    """Tiny layers under the published tokenizer, preprocessor and token ids of Qwen2.5-VL-7B-Instruct."""
    fixture = shared_fixture(FIXTURES["qwen2_5_vl"])
    published = json.loads((fixture / "config.json").read_text())
    config = tiny_backbone("qwen2_5_vl").config.to_dict()
    config["text_config"] |= {key: published[key] for key in ("vocab_size", "bos_token_id", "eos_token_id")}
    config["text_config"]["pad_token_id"] = None
    config |= {key: value for key, value in published.items() if key.endswith("_token_id")}
    config["vision_config"] |= {"patch_size": 14, "window_size": 112}
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(AutoConfig.for_model(**config)).save_pretrained(tmp_path)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(fixture / name, tmp_path)
    model = load_model(tmp_path, device="cpu")
    assert model.answer_ids == (9693, 2152)


def test_a_checkpoint_under_published_names_arrives_whole(tmp_path: Path) -> None:
    model = load_model(write_published("qwen2_5_vl", tmp_path / "model"), device="cpu")
    actual = model.causal_model.state_dict()
    for name, tensor in tiny_backbone("qwen2_5_vl").state_dict().items():
        assert torch.equal(actual[name], tensor), name


def test_an_embedding_model_lacks_the_head_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"1 tensors that Qwen3VL\w+ needs .* \(lm_head.weight\)"):
        load_model(write_published("qwen3_vl", tmp_path / "model"), device="cpu")


@pytest.mark.parametrize("name", sorted(FIXTURES.values()))
def test_published_configs_are_read(name: str, tmp_path: Path) -> None:
    """As far as the weights, which are not there."""
    source = shared_fixture(f"{name}/config.json")
    shutil.copy(source, tmp_path)
    save_file({"nothing": torch.zeros(1)}, tmp_path / "model.safetensors")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_checkpoint("qwen3") / file, tmp_path)
    shutil.copy(source.parent / "preprocessor_config.json", tmp_path)
    with pytest.raises(ModelError, match=r"image_token_id is \d+ in the processor but 151655 in the model"):
        load_model(tmp_path, device="cpu")
