"""Each fault that has silently spoiled published scores is planted, and each is caught at load."""

import dataclasses
from typing import Any

import pytest
import torch

from gmr.core.errors import ModelError
from gmr.modeling import model as model_module
from gmr.modeling import self_check
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.self_check import check_model
from gmr.modeling.vision_features import PictureFeatures
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint

Patch = pytest.MonkeyPatch


@pytest.fixture
def model() -> RerankModel:
    return load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sound_models_pass(architecture: str, dtype: str) -> None:
    check_model(load_model(tiny_checkpoint(architecture), device="cpu", dtype=dtype, self_check=False))


def test_reading_the_last_position_is_caught_on_right_padding(model: RerankModel, monkeypatch: Patch) -> None:
    monkeypatch.setattr(model_module, "pool_last", lambda hidden, mask: hidden[:, -1].float())
    with pytest.raises(ModelError, match="padded on the right differ by"):
        check_model(model)


def test_reading_the_number_of_tokens_is_caught_on_left_padding(
    model: RerankModel, monkeypatch: Patch
) -> None:
    """The usual code for right padding: the last token is at position "length minus one"."""
    monkeypatch.setattr(
        model_module,
        "pool_last",
        lambda hidden, mask: hidden[torch.arange(len(hidden)), mask.sum(-1) - 1].float(),
    )
    with pytest.raises(ModelError, match="padded on the left differ by"):
        check_model(model)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_missing_mask_is_caught(architecture: str, monkeypatch: Patch) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    original = model.base_model.forward

    def unmasked(*args: Any, **options: Any) -> Any:
        return original(*args, **options | {"attention_mask": torch.ones_like(options["attention_mask"])})

    monkeypatch.setattr(model.base_model, "forward", unmasked)
    with pytest.raises(ModelError, match="padded on the left differ by"):
        check_model(model)


@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_positions_that_ignore_pictures_are_caught(architecture: str, monkeypatch: Patch) -> None:
    def counted(input_ids: Any, attention_mask: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return (attention_mask.cumsum(-1) - 1).clamp(min=0).expand(3, -1, -1)

    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    monkeypatch.setattr(model_module, "picture_positions", counted)
    monkeypatch.setattr(self_check, "picture_positions", counted)
    with pytest.raises(ModelError, match="positions of pictures differ from those of Qwen"):
        check_model(model)


def test_positions_that_count_padding_are_caught(model: RerankModel, monkeypatch: Patch) -> None:
    """Rotary embeddings are relative, so a shift of a whole row hides in the rounding: positions are compared."""
    original = model_module.picture_positions

    def shifted(*args: Any, **options: Any) -> torch.Tensor:
        return original(*args, **options) + 40

    monkeypatch.setattr(self_check, "picture_positions", shifted)
    with pytest.raises(ModelError, match="positions"):
        check_model(model)


def test_a_cut_tail_is_caught(model: RerankModel, monkeypatch: Patch) -> None:
    original = model.processor.encode
    limit = model.processor.max_tokens

    def cut(query: Any, document: Any) -> Any:
        monkeypatch.setattr(model.processor, "max_tokens", 10**6)
        prompt = original(query, document)
        monkeypatch.setattr(model.processor, "max_tokens", limit)
        return dataclasses.replace(prompt, input_ids=prompt.input_ids[:limit])

    monkeypatch.setattr(model.processor, "encode", cut)
    with pytest.raises(ModelError, match="costs the prompt its tail"):
        check_model(model)


def test_swapped_answers_are_caught(model: RerankModel) -> None:
    model.answer_ids = model.answer_ids[::-1]
    with pytest.raises(ModelError, match=r"answer tokens spell \('no', 'yes'\), .* are \('yes', 'no'\)"):
        check_model(model)


def test_a_padding_token_without_embedding_is_caught(model: RerankModel, monkeypatch: Patch) -> None:
    monkeypatch.setattr(type(model.processor), "pad_token_id", 10**6)
    with pytest.raises(ModelError, match="padding token 1000000 has no embedding"):
        check_model(model)


def test_a_head_in_half_precision_is_caught(model: RerankModel, monkeypatch: Patch) -> None:
    original = model.head.forward
    monkeypatch.setattr(model.head, "forward", lambda *args: original(*args).bfloat16())
    with pytest.raises(ModelError, match=r"torch.bfloat16, float32 is needed"):
        check_model(model)


def test_a_head_with_rows_of_other_tokens_is_caught(model: RerankModel, monkeypatch: Patch) -> None:
    original = model.answer_rows
    monkeypatch.setattr(model, "answer_rows", lambda: original().flip(0))
    with pytest.raises(ModelError, match="from the head and from the vocabulary differ"):
        check_model(model)


def test_weights_that_are_not_finite_are_caught(model: RerankModel) -> None:
    with torch.no_grad():
        model.base_model.language_model.norm.weight[0] = torch.nan
    with pytest.raises(ModelError, match="differ by nan"):
        check_model(model)


def test_pictures_of_a_batch_in_the_wrong_order_are_caught(model: RerankModel, monkeypatch: Patch) -> None:
    original = PictureFeatures.gather
    monkeypatch.setattr(PictureFeatures, "gather", lambda features, index: original(features, index[::-1]))
    with pytest.raises(ModelError, match="in a batch padded on the left differ"):
        check_model(model)


def test_loading_runs_the_check_unless_told_not_to(monkeypatch: Patch) -> None:
    monkeypatch.setattr(model_module, "pool_last", lambda hidden, mask: hidden[:, -1].float())
    folder = tiny_checkpoint("qwen3")
    with pytest.raises(ModelError, match="self-check"):
        load_model(folder, device="cpu")
    load_model(folder, device="cpu", self_check=False)
