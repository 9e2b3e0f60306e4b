"""Answer logits against plain transformers, and against themselves under padding and batching."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import ModelError
from gmr.core.nouns import Document, Query
from gmr.modeling.heads import HeadConfig
from gmr.modeling.model import RerankModel, pool_last
from gmr.modeling.processor import PromptProcessor
from tests.helpers.pairs import mixed_items, pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, VISION_ARCHITECTURES, tiny_backbone, tiny_checkpoint


def tiny_model(architecture: str, *, head: HeadConfig | None = None, tie: bool = False) -> RerankModel:
    processor = PromptProcessor.from_pretrained(tiny_checkpoint(architecture, tie=tie))
    return RerankModel(tiny_backbone(architecture, tie=tie), processor, head=head).eval()


def logits_of(model: RerankModel, pairs: list[tuple[Query, Document]], **options: str) -> torch.Tensor:
    batch = model.processor.collate([model.processor.encode(*pair) for pair in pairs], **options)
    with torch.no_grad():
        return model(**batch)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_those_of_plain_transformers_one_pair_at_a_time(architecture: str) -> None:
    """Own positions, no padding, each occurrence of a picture encoded, the whole vocabulary."""
    model, plain = tiny_model(architecture), tiny_backbone(architecture)
    pairs = pairs_for(architecture)
    expected = []
    for pair in pairs:
        prompt = model.processor.encode(*pair)
        ids = torch.tensor([prompt.input_ids])
        options = {}
        if prompt.images:
            pixels, grids = model.processor.preprocess(prompt.images)
            options = {
                "pixel_values": pixels,
                "image_grid_thw": grids,
                "mm_token_type_ids": (ids == plain.config.image_token_id).int(),
            }
        with torch.no_grad():
            expected.append(plain(input_ids=ids, **options).logits[0, -1, list(model.answer_ids)])
    actual = logits_of(model, pairs)
    assert actual.dtype == torch.float32
    assert torch.allclose(actual, torch.stack(expected), atol=1e-5)
    assert actual.std(0).min() > 0.05  # a constant would pass everything


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_left_and_right_padding_and_no_padding_agree(architecture: str) -> None:
    model, pairs = tiny_model(architecture), pairs_for(architecture)
    alone = torch.cat([logits_of(model, [pair]) for pair in pairs])
    for side in ("left", "right"):
        assert torch.allclose(logits_of(model, pairs, padding_side=side), alone, atol=1e-5)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_each_distinct_picture_goes_through_the_tower_once(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(architecture)
    pairs = pairs_for(architecture)
    patches = []
    original = model.base_model.get_image_features

    def counted(pixel_values: torch.Tensor, grids: torch.Tensor, **options: bool) -> object:
        patches.append(len(pixel_values))
        return original(pixel_values, grids, **options)

    monkeypatch.setattr(model.base_model, "get_image_features", counted)
    logits_of(model, pairs)
    distinct = {image.key: image for _, document in pairs for image in document.item if hasattr(image, "key")}
    _, grids = model.processor.preprocess(list(distinct.values()))
    assert patches == [int(grids.prod(-1).sum())]


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_features_given_are_the_features_made(architecture: str) -> None:
    model = tiny_model(architecture)
    batch = model.processor.collate([model.processor.encode(*pair) for pair in pairs_for(architecture)])
    with torch.no_grad():
        expected = model(**batch)
        features = model.encode_pictures(batch.pop("pixel_values"), batch["image_grid_thw"])
        assert torch.equal(model(**batch, picture_features=features), expected)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_older_transformers_find_the_features_where_they_would_make_them(architecture: str) -> None:
    """Before 5.23 `forward` takes no precomputed features; that path is forced here."""
    model = tiny_model(architecture)
    pairs = pairs_for(architecture)
    expected = logits_of(model, pairs)
    model._takes_features = False
    assert torch.allclose(logits_of(model, pairs), expected, atol=1e-6)
    assert "get_image_features" not in vars(model.base_model)


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", "qwen3_vl"])
def test_gradients_of_shared_pictures_are_those_of_pictures_encoded_apart(architecture: str) -> None:
    model = tiny_model(architecture)
    picture_first, both = mixed_items()[1:3]
    pairs = [
        (Query("q", picture_first), Document("d", both)),
        (Query("q", both), Document("d", picture_first)),
    ]
    parameter = model.base_model.visual.patch_embed.proj.weight

    def gradient(batches: list[list[tuple[Query, Document]]]) -> torch.Tensor:
        model.zero_grad()
        for batch in batches:
            model(
                **model.processor.collate([model.processor.encode(*pair) for pair in batch])
            ).sum().backward()
        return parameter.grad.clone()

    together, apart = gradient([pairs]), gradient([[pair] for pair in pairs])
    assert together.abs().max() > 0
    assert torch.allclose(together, apart, rtol=1e-4, atol=1e-5 * float(together.abs().max()))


def test_logits_are_float32_under_autocast() -> None:
    model = tiny_model("qwen2_5_vl")
    pairs = pairs_for("qwen2_5_vl")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = logits_of(model, pairs)
    assert logits.dtype == torch.float32
    assert len(logits[:, 0].unique()) == len(pairs)


def test_frozen_rows_follow_the_embeddings_they_are_tied_to() -> None:
    model = tiny_model("qwen2_5_vl", tie=True)
    pair = pairs_for("qwen2_5_vl")[0]
    ids = torch.tensor([model.processor.encode(*pair).input_ids])
    before = logits_of(model, [pair])
    with torch.no_grad():
        model.causal_model.get_input_embeddings().weight[list(model.answer_ids)] *= 2
        expected = model.causal_model(input_ids=ids).logits[:, -1, list(model.answer_ids)]
    after = logits_of(model, [pair])
    assert torch.allclose(after, expected, atol=1e-5)
    assert not torch.allclose(after, before, atol=1e-2)
    assert not list(model.head.parameters())


def test_the_score_is_yes_minus_no() -> None:
    model = tiny_model("qwen3")
    logits = logits_of(model, pairs_for("qwen3"))
    assert torch.equal(model.score_logits(logits), logits[:, 0] - logits[:, 1])


def test_a_text_model_refuses_pictures_by_name() -> None:
    model = tiny_model("qwen3")
    batch = model.processor.collate([model.processor.encode(*pairs_for("qwen3")[0])])
    with pytest.raises(ModelError, match="qwen3 model reads text only"):
        model(**batch, pixel_values=torch.zeros(4, 4))


def test_grids_without_an_index_are_an_error() -> None:
    model = tiny_model("qwen2_5_vl")
    batch = model.processor.collate([model.processor.encode(*pairs_for("qwen2_5_vl")[1])])
    del batch["image_index"]
    with pytest.raises(ValueError, match="image_index"):
        model(**batch)


def test_an_unknown_readout_is_an_error() -> None:
    with pytest.raises(ModelError, match="readout 'maybe' is unknown; known are"):
        RerankModel(
            tiny_backbone("qwen3"), PromptProcessor.from_pretrained(tiny_checkpoint("qwen3")), readout="maybe"
        )


def test_layers_of_a_kind_that_no_cache_holds_are_refused() -> None:
    backbone = tiny_backbone("qwen3")
    backbone.config.layer_types = ["chunked_attention"] * 3
    with pytest.raises(
        ModelError, match=r"layer types \['chunked_attention'\] found, only full_attention, linear"
    ):
        RerankModel(backbone, PromptProcessor.from_pretrained(tiny_checkpoint("qwen3")))


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), left=st.booleans(), extra=st.integers(0, 2)
)
def test_pooling_takes_the_last_real_token(lengths: list[int], left: bool, extra: int) -> None:
    width = max(lengths) + extra
    hidden = torch.arange(len(lengths) * width, dtype=torch.float64).reshape(len(lengths), width, 1)
    mask = torch.zeros(len(lengths), width, dtype=torch.int64)
    expected = []
    for row, length in enumerate(lengths):
        start = width - length if left else 0
        mask[row, start : start + length] = 1
        expected.append(row * width + start + length - 1)
    pooled = pool_last(hidden, mask)
    assert pooled.dtype == torch.float32
    assert np.array_equal(pooled[:, 0].numpy(), expected)
