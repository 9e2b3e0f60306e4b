"""Saved is loaded: in this package, in transformers and in PEFT; and nothing half written is left behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from gmr.core.errors import ModelError
from gmr.inference.scoring import score_pairs
from gmr.modeling import saving
from gmr.modeling.adapters import add_lora
from gmr.modeling.heads import HEADS, HeadConfig
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_backbone, tiny_checkpoint


def load(folder: Path, **options: Any) -> RerankModel:
    return load_model(folder, device="cpu", self_check=False, **options)


def with_head(model: RerankModel, head: HeadConfig) -> RerankModel:
    """``model`` with another head whose parameters are not those it starts with."""
    model.head_config, model.head = head, head.build(model.answer_rows())
    generator = torch.Generator().manual_seed(5)
    for parameter in model.head.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator)
    return model


def with_adapter(model: RerankModel) -> RerankModel:
    """``model`` with adapters that change its scores."""
    add_lora(model, rank=2, alpha=4)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_is_loaded(architecture: str, tie: bool, tmp_path: Path) -> None:
    model = load(tiny_checkpoint(architecture, tie=tie), max_tokens=700, readout="yes")
    again = load_model(save_model(model, tmp_path / "saved"), device="cpu")
    pairs = pairs_for(architecture)
    assert np.array_equal(score_pairs(again, pairs), score_pairs(model, pairs))
    assert again.processor.template == model.processor.template
    assert (again.processor.max_tokens, again.readout) == (700, "yes")


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transformers_loads_the_folder_as_a_plain_model(architecture: str, tie: bool, tmp_path: Path) -> None:
    save_model(load(tiny_checkpoint(architecture, tie=tie)), tmp_path / "saved")
    auto = "AutoModelForCausalLM" if architecture == "qwen3" else "AutoModelForImageTextToText"
    plain, report = getattr(transformers, auto).from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    expected = tiny_backbone(architecture, tie=tie).state_dict()
    actual = plain.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("kind", sorted(HEADS))
@pytest.mark.parametrize("tie", [False, True])
def test_trained_heads_are_saved(kind: str, tie: bool, tmp_path: Path) -> None:
    head = HeadConfig(kind=kind, trainable=kind == "answer_rows", bias=0.5, seed=3)
    model = with_head(load(tiny_checkpoint("qwen2_5_vl", tie=tie)), head)
    again = load_model(save_model(model, tmp_path / "saved"), device="cpu")
    pairs = pairs_for("qwen2_5_vl")
    assert again.head_config == head
    assert np.array_equal(score_pairs(again, pairs), score_pairs(model, pairs))


@pytest.mark.parametrize("tie", [False, True])
def test_trained_rows_are_in_the_head_of_the_plain_model_and_not_in_its_embeddings(
    tie: bool, tmp_path: Path
) -> None:
    model = with_head(load(tiny_checkpoint("qwen2_5_vl", tie=tie)), HeadConfig(trainable=True))
    save_model(model, tmp_path / "saved")
    plain = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "saved")
    ids = list(model.answer_ids)
    assert torch.equal(plain.lm_head.weight[ids], model.head.rows)
    before = tiny_backbone("qwen2_5_vl", tie=tie)
    assert torch.equal(plain.get_input_embeddings().weight, before.get_input_embeddings().weight)
    others = [index for index in range(len(plain.lm_head.weight)) if index not in ids]
    assert torch.equal(plain.lm_head.weight[others], before.lm_head.weight[others])


@pytest.mark.parametrize("tie", [False, True])
def test_saving_changes_nothing_in_the_model(tie: bool, tmp_path: Path) -> None:
    model = with_head(load(tiny_checkpoint("qwen2_5_vl", tie=tie)), HeadConfig(trainable=True))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = model.config.to_json_string()
    save_model(model, tmp_path / "saved", dtype="float16")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(before[name].dtype == tensor.dtype for name, tensor in model.state_dict().items())
    assert model.config.to_json_string() == config


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_weights_are_written_in_the_type_asked_for(name: str, tmp_path: Path) -> None:
    model = load(tiny_checkpoint("qwen2_5_vl"))
    folder = save_model(model, tmp_path / "saved", dtype=name)
    dtype = getattr(torch, name)
    written = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {dtype}
    assert json.loads((folder / "config.json").read_text())["dtype"] == name
    again = load(folder)
    assert again.dtype == torch.float32
    name = "backbone.model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(again.get_parameter(name), model.get_parameter(name).to(dtype).float())


def test_a_weight_too_large_for_the_type_is_an_error_that_names_it(tmp_path: Path) -> None:
    model = load(tiny_checkpoint("qwen3"))
    model.base_model.layers[1].mlp.up_proj.weight.data[0, 0] = 1e5
    with pytest.raises(ModelError, match=r"layers.1.mlp.up_proj.weight: not finite in float16"):
        save_model(model, tmp_path / "saved", dtype="float16")
    assert list(tmp_path.iterdir()) == []
    save_model(model, tmp_path / "saved")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_weight_that_is_not_finite_is_not_saved(value: float, tmp_path: Path) -> None:
    model = load(tiny_checkpoint("qwen3"))
    model.base_model.norm.weight.data[0] = value
    with pytest.raises(ModelError, match=r"norm.weight: not finite"):
        save_model(model, tmp_path / "saved")


def test_an_adapter_is_saved_alone_and_loads_in_peft(tmp_path: Path) -> None:
    model = with_adapter(load(tiny_checkpoint("qwen2_5_vl")))
    folder = save_model(model, tmp_path / "saved")
    assert not (folder / "model.safetensors").exists()
    pairs = pairs_for("qwen2_5_vl")
    assert np.array_equal(score_pairs(load(folder), pairs), score_pairs(model, pairs))
    plain = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    name = "model.language_model.layers.0.mlp.up_proj.lora_B.default.weight"
    assert torch.equal(plain.get_parameter(name), model.backbone.get_parameter(f"base_model.model.{name}"))


def test_a_merged_adapter_is_a_plain_model_of_the_same_scores(tmp_path: Path) -> None:
    model = with_adapter(load(tiny_checkpoint("qwen2_5_vl")))
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(model, pairs)
    folder = save_model(model, tmp_path / "saved", merge_adapter=True)
    assert not (folder / "adapter_config.json").exists()
    np.testing.assert_allclose(score_pairs(load(folder), pairs), expected, atol=1e-5, rtol=5e-6)
    assert np.array_equal(score_pairs(model, pairs), expected)


def test_an_adapter_names_its_base_by_hub_id_or_by_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_adapter(load(tiny_checkpoint("qwen3")))

    def base_of(folder: Path) -> str:
        return json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]

    assert base_of(save_model(model, tmp_path / "a")) == str(tiny_checkpoint("qwen3").resolve())
    assert base_of(save_model(model, tmp_path / "b", base_model="owner/name")) == "owner/name"
    monkeypatch.chdir(tiny_checkpoint("qwen3").parent)
    relative = tiny_checkpoint("qwen3").name
    assert base_of(save_model(model, tmp_path / "c", base_model=relative)) == str(
        tiny_checkpoint("qwen3").resolve()
    )


def test_saving_again_replaces_the_folder_whole(tmp_path: Path) -> None:
    folder = save_model(with_head(load(tiny_checkpoint("qwen3")), HeadConfig(kind="mlp")), tmp_path / "saved")
    assert (folder / "gmr_head.safetensors").exists()
    save_model(load(tiny_checkpoint("qwen2_5_vl")), folder)
    assert not (folder / "gmr_head.safetensors").exists()
    assert load(folder).facts.model_type == "qwen2_5_vl"
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_model(load(tiny_checkpoint("qwen3")), tmp_path / "saved")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise RuntimeError("stopped here")

    monkeypatch.setattr(saving, "_save_cross_encoder", full)
    with pytest.raises(RuntimeError, match="stopped here"):
        save_model(load(tiny_checkpoint("qwen2_5_vl")), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="exists and is no model saved by gmr"):
        save_model(load(tiny_checkpoint("qwen3")), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert (save_model(load(tiny_checkpoint("qwen3")), tmp_path) / "gmr.json").exists()


def test_settings_say_how_to_read_the_model(tmp_path: Path) -> None:
    model = with_head(load(tiny_checkpoint("qwen2_5_vl"), max_tokens=123), HeadConfig(kind="mlp", bias=2.65))
    settings = json.loads((save_model(model, tmp_path / "saved") / "gmr.json").read_text())
    assert settings == {
        "format": 1,
        "template": "gmr",
        "max_tokens": 123,
        "answers": {"positive": ["yes"], "negative": ["no"]},
        "default_instruction": model.processor.template.default_instruction,
        "readout": "yes_minus_no",
        "head": {"kind": "mlp", "bias": 2.65},
    }


def test_the_model_card_says_what_it_is_and_three_ways_to_load_it(tmp_path: Path) -> None:
    model = load(tiny_checkpoint("qwen2_5_vl"))
    save_model(model, tmp_path / "my-model", base_model="owner/base", objective="sft")
    card = (tmp_path / "my-model" / "README.md").read_text()
    for words in (
        "# my-model",
        "owner/base",
        "sft",
        "Reranker(",
        "CrossEncoder(",
        "AutoModelForImageTextToText",
    ):
        assert words in card
    assert str(tmp_path) not in card


def test_a_card_promises_no_cross_encoder_where_there_is_none(tmp_path: Path) -> None:
    folder = save_model(with_head(load(tiny_checkpoint("qwen3")), HeadConfig(kind="mlp")), tmp_path / "saved")
    assert not (folder / "modules.json").exists()
    assert "is not a sentence-transformers CrossEncoder" in (folder / "README.md").read_text()


def test_trained_rows_on_an_adapter_are_no_cross_encoder_until_merged(tmp_path: Path) -> None:
    model = with_head(with_adapter(load(tiny_checkpoint("qwen3"))), HeadConfig(trainable=True))
    pairs = pairs_for("qwen3")
    folder = save_model(model, tmp_path / "adapter")
    assert not (folder / "modules.json").exists()
    assert np.array_equal(score_pairs(load(folder), pairs), score_pairs(model, pairs))
    merged = save_model(model, tmp_path / "merged", merge_adapter=True)
    assert (merged / "modules.json").exists()
    # Merging rounds the weights once more, and these scores are about ten.
    np.testing.assert_allclose(score_pairs(load(merged), pairs), score_pairs(model, pairs), atol=1e-4)


def test_an_unknown_type_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dtype 'int8' is unknown"):
        save_model(load(tiny_checkpoint("qwen3")), tmp_path / "saved", dtype="int8")


def test_files_have_the_rights_of_any_new_file(tmp_path: Path) -> None:
    folder = save_model(load(tiny_checkpoint("qwen2_5_vl")), tmp_path / "model")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    rights = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode == rights["folder" if path.is_dir() else "file"], path
