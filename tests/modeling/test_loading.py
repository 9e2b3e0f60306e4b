"""What can be loaded is loaded to the last tensor; what cannot gets one line that names the file at fault."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gmr.core.errors import GmrError, ModelError
from gmr.modeling import folders
from gmr.modeling.adapters import add_lora
from gmr.modeling.folders import is_hub_id, resolve_folder
from gmr.modeling.heads import HeadConfig
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_backbone, tiny_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny Qwen2.5-VL checkpoint that the test may spoil."""
    return Path(shutil.copytree(tiny_checkpoint("qwen2_5_vl"), tmp_path / "model"))


def load(folder: Path | str, **options: Any) -> RerankModel:
    return load_model(folder, device="cpu", **options)


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_weight_arrives(architecture: str, tie: bool) -> None:
    model = load(tiny_checkpoint(architecture, tie=tie))
    expected = tiny_backbone(architecture, tie=tie).state_dict()
    actual = model.causal_model.state_dict()
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert not model.training


@pytest.mark.parametrize(
    ("architecture", "template"),
    [
        ("qwen2_vl", "gmr"),
        ("qwen2_5_vl", "gmr"),
        ("qwen3_vl", "qwen3-vl-reranker"),
        ("qwen3", "qwen3-reranker"),
    ],
)
def test_a_plain_checkpoint_gets_the_template_of_its_family(architecture: str, template: str) -> None:
    assert load(tiny_checkpoint(architecture), self_check=False).processor.template.name == template


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_weights_take_the_type_asked_for(name: str) -> None:
    assert load(tiny_checkpoint("qwen3"), dtype=name).dtype == getattr(torch, name)


def test_auto_is_the_type_of_the_checkpoint(folder: Path) -> None:
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    change_json(folder / "config.json", dtype="bfloat16")
    assert load(folder, dtype="auto").dtype == torch.bfloat16
    assert load(folder).dtype == torch.float32


def test_template_length_and_readout_can_be_chosen() -> None:
    model = load(tiny_checkpoint("qwen2_5_vl"), template="monoqwen2-vl", max_tokens=321, readout="yes")
    assert (model.processor.template.name, model.processor.max_tokens, model.readout) == (
        "monoqwen2-vl",
        321,
        "yes",
    )


def test_shards_are_read(tmp_path: Path) -> None:
    tiny_backbone("qwen3").save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    for file in tiny_checkpoint("qwen3").glob("tokenizer*"):
        shutil.copy(file, tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    load(tmp_path / "shards")


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ModelError, match=f"device '{device}' cannot be used") as caught:
        load_model(tiny_checkpoint("qwen3"), device=device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [5, {"kind": "rows"}, {"size": 3}])
def test_a_head_that_is_unknown_is_an_error(head: Any, tmp_path: Path) -> None:
    folder = save_model(load(tiny_checkpoint("qwen3"), self_check=False), tmp_path / "saved")
    change_json(folder / "gmr.json", head=head)
    with pytest.raises(ModelError, match="head"):
        load(folder)


# What is not there, or not whole.


@pytest.mark.parametrize("name", ["no/such/folder", "missing", "./missing", "gmr_nano"])
def test_a_name_that_is_nothing_says_what_a_model_is(name: str) -> None:
    with pytest.raises(ModelError, match=r"no such folder; a model is a folder with config.json"):
        load(name)


def test_a_file_is_not_a_model(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"a folder .* is needed, this is a file"):
        load(folder / "config.json")


def test_a_hub_id_that_cannot_be_had_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = {}

    def offline(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        raise OSError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match="owner/name: neither a folder here nor a download"):
        load("owner/name")
    assert asked["name"] == "owner/name"
    # No pickle and no code is even downloaded.
    assert not [each for each in asked["allow_patterns"] if each.endswith((".py", ".bin", ".pt", "*"))]


def test_a_downloaded_model_keeps_its_name_for_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tiny_checkpoint("qwen3")))
    assert load("owner/name").config.name_or_path == "owner/name"


def test_hub_ids_are_told_from_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("owner/name")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert not is_hub_id("owner/name")
    assert resolve_folder("owner/name") == Path("owner/name")


def test_a_packaged_name_that_is_not_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(folders, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="gmr-nano is not in this installation"):
        load("gmr-nano")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", r"model: no config.json"),
        ("model.safetensors", r"model: no weights; model.safetensors"),
        ("tokenizer_config.json", r"tokenizer|answer"),
        ("preprocessor_config.json", r"preprocessor_config.json"),
    ],
)
def test_a_missing_file_is_named(folder: Path, file: str, message: str) -> None:
    (folder / file).unlink()
    if file.startswith("tokenizer"):
        (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 64, b"[1, 2]"])
def test_a_damaged_file_is_an_error_that_names_the_folder(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=str(folder)) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_truncated_weight_file_is_an_error(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"model.safetensors: not a readable safetensors file"):
        load(folder)


def test_a_missing_tensor_is_an_error_that_names_it(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"1 tensors .* are not in the checkpoint \(.*layers.1.mlp.up_proj.weight"
    ):
        load(folder)


def test_a_tensor_of_another_size_is_an_error(folder: Path) -> None:
    change_json(
        folder / "config.json",
        vision_config=tiny_backbone("qwen2_5_vl", seed=0).config.vision_config.to_dict()
        | {"intermediate_size": 48},
    )
    with pytest.raises(ModelError, match=r"weights cannot be loaded|not in the checkpoint"):
        load(folder)


def test_an_embedding_model_without_a_head_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lm_head.weight"):
        load(folder)


def test_an_unsupported_family_is_named(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(
        ModelError, match=r"config.json: model_type 'gpt2' is not supported; supported are qwen2_vl"
    ):
        load(folder)


def test_an_unknown_type_of_weights_is_an_error() -> None:
    with pytest.raises(ModelError, match="dtype 'int8' is unknown; known are auto, float32"):
        load(tiny_checkpoint("qwen3"), dtype="int8")


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(GmrError, match="'mine'"):
        load(tiny_checkpoint("qwen3"), template="mine")


# Folders that want to run code or take memory.


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "consolidated.00.pth"])
def test_pickled_weights_are_refused_by_name_and_never_opened(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    # Unpickling this would create the marker.
    marker = folder / "marker"
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    with pytest.raises(ModelError, match=rf"{name}: weights in pickle files can run code .* convert them"):
        load(folder)
    assert not marker.exists()


def test_code_in_a_model_folder_does_not_run(folder: Path) -> None:
    marker = folder / "marker"
    code = f"open({str(marker)!r}, 'w').close()\nclass Model: pass\n"
    for name in ("modeling_mine.py", "configuration_mine.py", "tokenization_mine.py", "processing_mine.py"):
        (folder / name).write_text(code)
    auto_map = {
        "AutoConfig": "configuration_mine.Model",
        "AutoModel": "modeling_mine.Model",
        "AutoModelForCausalLM": "modeling_mine.Model",
        "AutoTokenizer": ["tokenization_mine.Model", "tokenization_mine.Model"],
        "AutoImageProcessor": "processing_mine.Model",
        "AutoProcessor": "processing_mine.Model",
    }
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["auto_map"] = config["vision_config"]["auto_map"] = auto_map
    (folder / "config.json").write_text(
        json.dumps(config | {"auto_map": auto_map, "trust_remote_code": True})
    )
    change_json(folder / "tokenizer_config.json", auto_map=auto_map, trust_remote_code=True)
    change_json(folder / "preprocessor_config.json", auto_map=auto_map)
    load(folder)
    assert not marker.exists()


def test_code_of_an_unknown_family_does_not_run(folder: Path) -> None:
    marker = folder / "marker"
    (folder / "configuration_mine.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    change_json(
        folder / "config.json", model_type="mine", auto_map={"AutoConfig": "configuration_mine.Model"}
    )
    with pytest.raises(ModelError, match="mine"):
        load(folder)
    assert not marker.exists()


def test_a_config_that_asks_for_a_giant_is_refused_before_memory_is_taken(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 200_000_000  # 51 GB in float32
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"config.json describes 12,[\d,]+ parameters, the safetensors files hold"
    ):
        load(folder)


# CrossEncoder folders.


def cross_encoder(folder: Path, true_id: Any, false_id: Any) -> Path:
    module = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.Transformer"},
                {"idx": 1, "name": "1", "path": "1_LogitScore", "type": module},
            ]
        )
    )
    (folder / "1_LogitScore").mkdir()
    (folder / "1_LogitScore" / "config.json").write_text(
        json.dumps({"true_token_id": true_id, "false_token_id": false_id})
    )
    return folder


def test_a_cross_encoder_folder_is_read_with_its_answers(folder: Path) -> None:
    plain = load(folder)
    yes, no = plain.answer_ids
    assert load(cross_encoder(folder, yes, no)).answer_ids == (yes, no)


def test_a_cross_encoder_of_one_token_reads_out_yes(folder: Path) -> None:
    yes, _ = load(folder, self_check=False).answer_ids
    assert load(cross_encoder(folder, yes, None)).readout == "yes"


def test_answers_other_than_the_templates_are_an_error(folder: Path) -> None:
    yes, no = load(folder, self_check=False).answer_ids
    with pytest.raises(
        ModelError, match=rf"LogitScore reads the tokens {no} and {yes}, .* template 'gmr' .*give"
    ):
        load(cross_encoder(folder, no, yes))


def test_a_cross_encoder_without_logit_score_is_an_error(folder: Path) -> None:
    (folder / "modules.json").write_text("[]")
    with pytest.raises(ModelError, match="0 LogitScore modules"):
        load(folder)


def test_a_cross_encoder_whose_ids_are_lost_is_an_error(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"1_LogitScore/config.json: true_token_id is None"):
        load(cross_encoder(folder, None, 3))


# Adapters.


def adapter(tmp_path: Path) -> tuple[Path, RerankModel]:
    model = load(tiny_checkpoint("qwen2_5_vl"), self_check=False)
    add_lora(model, rank=2, alpha=4)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # they start at zero, and the adapter would change nothing
            parameter.data.normal_(std=0.3)
    return save_model(model, tmp_path / "adapter"), model


def scores(model: RerankModel) -> torch.Tensor:
    batch = model.processor.collate([model.processor.encode(*pair) for pair in pairs_for("qwen2_5_vl")])
    with torch.no_grad():
        return model.eval().score_logits(model(**batch))


def test_an_adapter_folder_loads_on_its_base(tmp_path: Path) -> None:
    folder, trained = adapter(tmp_path)
    expected = scores(trained)
    assert torch.equal(scores(load(folder)), expected)
    assert not torch.allclose(scores(load(tiny_checkpoint("qwen2_5_vl"))), expected, atol=0.1)


@pytest.mark.filterwarnings("always")
def test_nobody_is_warned_of_what_libraries_ask_each_other(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    load(adapter(tmp_path)[0])
    assert not [warning for warning in recwarn if "checkpointing" in str(warning.message)]


def test_an_adapter_can_be_put_on_a_base_by_name(tmp_path: Path) -> None:
    folder, trained = adapter(tmp_path)
    assert torch.equal(scores(load(tiny_checkpoint("qwen2_5_vl"), adapter=folder)), scores(trained))


def test_an_adapter_for_another_backbone_is_an_error(tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path)
    with pytest.raises(ModelError, match=r"the adapter cannot be loaded|made for another backbone"):
        load(tiny_checkpoint("qwen3"), adapter=folder)


def test_an_adapter_without_some_tensors_is_an_error(tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    del tensors[sorted(tensors)[0]]
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors are missing"):
        load(folder)


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="from safetensors only, never from pickles"):
        load(folder)


def test_an_adapter_with_a_second_adapter_is_an_error(tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path)
    with pytest.raises(ModelError, match="is an adapter itself; load it on its base"):
        load(folder, adapter=folder)


def test_an_adapter_whose_base_is_gone_names_it(tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path)
    change_json(folder / "adapter_config.json", base_model_name_or_path=str(tmp_path / "gone"))
    with pytest.raises(ModelError, match="gone: no such folder"):
        load(folder)


def test_a_relative_base_is_meant_from_the_adapters_folder(tmp_path: Path) -> None:
    folder, trained = adapter(tmp_path)
    shutil.copytree(tiny_checkpoint("qwen2_5_vl"), tmp_path / "base")
    change_json(folder / "adapter_config.json", base_model_name_or_path="../base")
    assert torch.equal(scores(load(folder)), scores(trained))


def test_fresh_adapters_sit_in_the_language_model_alone_and_change_nothing() -> None:
    model = load(tiny_checkpoint("qwen2_5_vl"), self_check=False)
    before = scores(model)
    add_lora(model, rank=2, alpha=4)
    assert torch.equal(scores(model), before)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len(trained) == 3 * 7 * 2  # layers, projections, A and B
    assert all("language_model.layers" in name and "lora_" in name for name in trained)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_family_knows_its_adapted_layers(architecture: str) -> None:
    model = load(tiny_checkpoint(architecture), self_check=False)
    add_lora(model, rank=2, alpha=4)
    assert len([name for name, each in model.named_parameters() if each.requires_grad]) == 3 * 7 * 2


def test_an_adapter_that_peft_wrote_has_the_prompt_and_head_of_its_base(tmp_path: Path) -> None:
    base = load(tiny_checkpoint("qwen2_5_vl"), self_check=False, max_tokens=321, template="qwen3-vl-reranker")
    base.head_config = HeadConfig(kind="mlp", bias=2.65)
    base.head = base.head_config.build(base.answer_rows())
    trained = load(save_model(base, tmp_path / "base"))
    add_lora(trained, rank=2, alpha=4)
    trained.backbone.save_pretrained(tmp_path / "adapter")
    again = load(tmp_path / "adapter")
    assert again.processor.template.name == "qwen3-vl-reranker"
    assert again.processor.max_tokens == 321
    assert again.head_config == base.head_config
    assert torch.equal(scores(again), scores(trained))


def test_adapters_upon_adapters_are_an_error() -> None:
    model = load(tiny_checkpoint("qwen3"), self_check=False)
    add_lora(model)
    with pytest.raises(ModelError, match="adapters already"):
        add_lora(model)


def test_targets_that_match_no_layer_are_an_error() -> None:
    with pytest.raises(ModelError, match="no layer of the qwen3 backbone matches 'nothing'"):
        add_lora(load(tiny_checkpoint("qwen3"), self_check=False), targets="nothing")


# The head of jina-reranker-m0, under its published tensor names.


def jina(tmp_path: Path, *, drop: str = "") -> tuple[Path, dict[str, torch.Tensor]]:
    folder = Path(shutil.copytree(tiny_checkpoint("qwen2_vl", tie=True), tmp_path / "jina"))
    change_json(folder / "config.json", architectures=["JinaVLForRanking"])
    width = tiny_backbone("qwen2_vl").config.text_config.hidden_size
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "score.0.weight": (width, width),
        "score.0.bias": (width,),
        "score.2.weight": (1, width),
        "score.2.bias": (1,),
    }
    head = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items() if name != drop}
    tensors = load_file(folder / "model.safetensors") | head
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, head


def test_the_mlp_of_jina_is_read_and_its_constant_taken_off(tmp_path: Path) -> None:
    folder, head = jina(tmp_path)
    model = load(folder)
    assert model.processor.template.name == "jina-reranker-m0"
    pair = next(pair for pair in pairs_for("qwen3"))
    prompt = model.processor.encode(*pair)
    with torch.no_grad():
        hidden = model.base_model(input_ids=torch.tensor([prompt.input_ids])).last_hidden_state[0, -1]
        score = model.score_logits(model(**model.processor.collate([prompt])))
    inner = torch.relu(head["score.0.weight"] @ hidden + head["score.0.bias"])
    expected = head["score.2.weight"] @ inner + head["score.2.bias"] - 2.65
    assert torch.allclose(score, expected, atol=1e-4)


def test_a_head_without_some_tensors_is_an_error(tmp_path: Path) -> None:
    folder, _ = jina(tmp_path, drop="score.2.bias")
    with pytest.raises(ModelError, match=r"the head mlp needs the tensors .*score.2.bias.*, found"):
        load(folder)


def saved(folder: Path, **changes: Any) -> Path:
    """A folder of ours with changes in ``gmr.json``."""
    target = save_model(load(folder, self_check=False), folder.parent / "saved")
    change_json(target / "gmr.json", **changes)
    return target


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_token": 3}, r"gmr\.json: unknown key 'max_token' \(known: .*max_tokens"),
        ({"answers": ["yes"]}, r"gmr\.json: answers must be of type dict, not \['yes'\]"),
        (
            {"answers": {"positive": "yes"}},
            r"gmr\.json: answers\.positive must be a list of strings, not 'yes'",
        ),
        ({"template": 3}, r"gmr\.json: template must be of type str, not 3"),
        ({"default_instruction": None}, r"gmr\.json: default_instruction must be of type str, not None"),
    ],
)
def test_settings_that_cannot_be_used_are_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(saved(folder, **changes))


def test_an_answer_of_several_tokens_names_the_folder(folder: Path) -> None:
    target = saved(folder, answers={"positive": ["zebra"], "negative": ["no"]})
    with pytest.raises(ModelError, match=rf"^{target}: template .* the answer 'zebra' must be one token"):
        load(target)


def test_a_run_directory_points_at_the_model_in_it(folder: Path) -> None:
    with pytest.raises(ModelError, match=rf"no config\.json; .*; did you mean {folder}\?"):
        load(folder.parent)
