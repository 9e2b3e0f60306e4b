"""The installed sentence-transformers loads what we save and gives our scores."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gmr.core.items import as_item
from gmr.core.nouns import Document, Query
from gmr.inference.scoring import score_pairs
from gmr.modeling.adapters import add_lora
from gmr.modeling.folders import PACKAGED, resolve_folder
from gmr.modeling.heads import HeadConfig
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model
from tests.helpers.pairs import noise_picture
from tests.helpers.processors import without_videos
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint

sentence_transformers = pytest.importorskip("sentence_transformers")

TEXTS = ["black chess queen", "a red apple on the table " * 4, "no"]
PICTURES = [
    noise_picture(40, 60),
    {"image": noise_picture(32, 32), "text": "a red apple"},
    {"text": "this", "image": noise_picture(80, 48)},
    {"image": [noise_picture(40, 60), noise_picture(32, 32)], "text": "both"},
]
INSTRUCTION = "Find the picture that the sentence is about."


@pytest.fixture(autouse=True)
def _no_videos() -> Iterator[None]:
    with without_videos():
        yield


def spellings(architecture: str) -> list[tuple[Any, Any]]:
    items = TEXTS if architecture == "qwen3" else [TEXTS[0], *PICTURES]
    return [(query, document) for query in items for document in items]


def our_scores(
    model: RerankModel, pairs: list[tuple[Any, Any]], instruction: str | None = None
) -> np.ndarray[Any, Any]:
    typed = [
        (Query("q", as_item(query), instruction), Document("d", as_item(document)))
        for query, document in pairs
    ]
    return score_pairs(model, typed)


def their_scores(folder: Path, pairs: list[tuple[Any, Any]], **options: Any) -> np.ndarray[Any, Any]:
    cross_encoder = sentence_transformers.CrossEncoder(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    scores = cross_encoder.predict(
        pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False, batch_size=7, **options
    )
    return np.asarray(scores)


def assert_same_scores(theirs: np.ndarray[Any, Any], ours: np.ndarray[Any, Any]) -> None:
    """Log-odds to 1e-5 of their size, which rounding reaches where they are 8; probabilities to 1e-5 as they are."""
    np.testing.assert_allclose(theirs, ours, atol=1e-5 * max(1.0, np.abs(ours).max()))
    np.testing.assert_allclose(1 / (1 + np.exp(-theirs)), 1 / (1 + np.exp(-ours)), atol=1e-5)


def load(architecture: str, **options: Any) -> RerankModel:
    return load_model(tiny_checkpoint(architecture), device="cpu", self_check=False, **options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_cross_encoder_gives_our_scores(architecture: str, tmp_path: Path) -> None:
    model, pairs = load(architecture), spellings(architecture)
    ours = our_scores(model, pairs)
    assert ours.std() > 0.1
    assert_same_scores(their_scores(save_model(model, tmp_path / "m"), pairs), ours)


@pytest.mark.parametrize(
    ("architecture", "template"),
    [("qwen2_5_vl", "qwen3-vl-reranker"), ("qwen3_vl", "gmr"), ("qwen2_5_vl", "qwen3-reranker")],
)
def test_every_template_renders_the_same_there(architecture: str, template: str, tmp_path: Path) -> None:
    model = load(architecture, template=template)
    pairs = spellings("qwen3" if template == "qwen3-reranker" else architecture)
    ours = our_scores(model, pairs)
    assert_same_scores(their_scores(save_model(model, tmp_path / "m"), pairs), ours)


def test_page_pictures_under_the_template_of_monoqwen(tmp_path: Path) -> None:
    model = load("qwen2_vl", template="monoqwen2-vl")
    pairs = [(text, picture) for text in TEXTS for picture in (PICTURES[0], noise_picture(80, 48))]
    ours = our_scores(model, pairs)
    assert_same_scores(their_scores(save_model(model, tmp_path / "m"), pairs), ours)


def test_an_instruction_is_the_prompt_there(tmp_path: Path) -> None:
    model, pairs = load("qwen2_5_vl"), spellings("qwen2_5_vl")
    ours = our_scores(model, pairs, INSTRUCTION)
    assert np.abs(ours - our_scores(model, pairs)).max() > 0.01
    theirs = their_scores(save_model(model, tmp_path / "m"), pairs, prompt=INSTRUCTION)
    assert_same_scores(theirs, ours)


def test_the_readout_of_one_answer_is_the_logit_there(tmp_path: Path) -> None:
    model, pairs = load("qwen2_5_vl", readout="yes"), spellings("qwen2_5_vl")
    theirs = their_scores(save_model(model, tmp_path / "m"), pairs)
    assert_same_scores(theirs, our_scores(model, pairs))


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", "qwen3_vl", "qwen3"])
def test_an_adapter_gives_our_scores(architecture: str, tmp_path: Path) -> None:
    model, pairs = load(architecture), spellings(architecture)
    base = our_scores(model, pairs)
    add_lora(model, rank=2, alpha=4)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    ours = our_scores(model, pairs)
    assert np.abs(ours - base).max() > 0.1
    assert_same_scores(their_scores(save_model(model, tmp_path / "m"), pairs), ours)


def test_trained_answer_rows_give_our_scores(tmp_path: Path) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl", tie=True), device="cpu", self_check=False)
    model.head_config = HeadConfig(trainable=True)
    model.head = model.head_config.build(model.answer_rows())
    model.head.rows.data += 0.3 * torch.randn(
        model.head.rows.shape, generator=torch.Generator().manual_seed(0)
    )
    pairs = spellings("qwen2_5_vl")
    ours = our_scores(model, pairs)
    assert_same_scores(their_scores(save_model(model, tmp_path / "m"), pairs), ours)


def test_a_folder_saved_by_sentence_transformers_is_read_back(tmp_path: Path) -> None:
    """Their own files, without our settings: answers from LogitScore, template by the family."""
    model, pairs = load("qwen2_5_vl"), spellings("qwen2_5_vl")
    folder = save_model(model, tmp_path / "ours")
    sentence_transformers.CrossEncoder(str(folder), device="cpu").save_pretrained(str(tmp_path / "theirs"))
    assert not (tmp_path / "theirs" / "gmr.json").exists()
    again = load_model(tmp_path / "theirs", device="cpu")
    assert_same_scores(our_scores(again, pairs), our_scores(model, pairs))


def test_probabilities_are_the_default_there(tmp_path: Path) -> None:
    folder = save_model(load("qwen3"), tmp_path / "m")
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert settings["activation_fn"].endswith("Sigmoid")
    probabilities = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(
        spellings("qwen3"), show_progress_bar=False
    )
    expected = 1 / (1 + np.exp(-our_scores(load("qwen3"), spellings("qwen3")).astype(np.float64)))
    assert_same_scores(probabilities, expected)


@pytest.mark.parametrize("name", PACKAGED)
def test_the_packaged_models_give_our_scores(name: str) -> None:
    """Their own tokenizer, prompt and picture sizes, and weights in float16."""
    model, pairs = load_model(name, device="cpu"), spellings("qwen2_5_vl")
    assert_same_scores(their_scores(resolve_folder(name), pairs), our_scores(model, pairs))
