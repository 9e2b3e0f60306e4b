"""Copies of a cache give what whole prompts give, also where layers are no plain attention."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from gmr.core.errors import ModelError
from gmr.inference.scoring import score_pairs
from gmr.modeling import forked_cache, self_check
from gmr.modeling.adapters import add_lora
from gmr.modeling.loading import load_model
from gmr.modeling.self_check import check_forked, check_packed
from tests.helpers.counting import count_tokens
from tests.helpers.pairs import Pair, pairs_for
from tests.helpers.tiny_checkpoints import (
    ARCHITECTURES,
    OTHER_ARCHITECTURES,
    SLIDING_WINDOW,
    tiny_checkpoint,
)

Patch = pytest.MonkeyPatch
# No published reranker says which prompt the hybrid family reads.
TEMPLATES = {"qwen3_5": "qwen3-vl-reranker"}


def load(architecture: str, **options: Any) -> Any:
    template = TEMPLATES.get(architecture)
    return load_model(tiny_checkpoint(architecture), template=template, device="cpu", **options)


def pairs_of(architecture: str) -> list[Pair]:
    return pairs_for(architecture.removesuffix("_sliding"))


@pytest.mark.parametrize("architecture", OTHER_ARCHITECTURES)
def test_the_ladder_goes_by_the_kinds_of_layers(architecture: str, caplog: pytest.LogCaptureFixture) -> None:
    model = load(architecture)
    assert (model.engine, model.packs) == ("forked", False)
    ours = [record for record in caplog.records if record.name.startswith("gmr")]
    assert not ours, "that packed sequences are not tried is no fault to warn of"
    with pytest.raises(ModelError, match="engine 'packed' cannot be used with this model: its layers are"):
        load(architecture, engine="packed")
    with pytest.raises(ModelError, match="engine 'packed' cannot be used with this model; engine='auto'"):
        score_pairs(model, pairs_of(architecture)[:1], engine="packed")


@pytest.mark.parametrize("max_rows", [2, 100])
@pytest.mark.parametrize("engine", ["forked", "padded", "invariant"])
@pytest.mark.parametrize("architecture", OTHER_ARCHITECTURES)
def test_every_engine_scores_sliding_windows_and_linear_attention_as_single_pairs(
    architecture: str, engine: str, max_rows: int
) -> None:
    model = load(architecture, self_check=False)
    pairs = pairs_of(architecture)
    assert len(model.processor.encode(*pairs[0]).input_ids) > 2 * SLIDING_WINDOW
    with torch.inference_mode():
        single = torch.cat(
            [
                model.score_logits(model(**model.processor.collate([model.processor.encode(*pair)])))
                for pair in pairs
            ]
        )
    found = torch.from_numpy(score_pairs(model, pairs, engine=engine, max_rows=max_rows))
    torch.testing.assert_close(found, single, atol=1e-5, rtol=5e-6)


def test_without_the_look_at_the_layers_packed_sequences_would_be_wrong() -> None:
    model = load("qwen3_5", self_check=False)
    model.packs = True
    with pytest.raises(ModelError, match="alone and in a packed sequence differ by"):
        check_packed(model)


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", "qwen3"])
def test_adapters_are_in_the_cache(architecture: str) -> None:
    model = load(architecture, self_check=False)
    add_lora(model, rank=4, alpha=8.0, dropout=0.0)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    pairs = pairs_of(architecture)
    found, expected = (score_pairs(model, pairs, engine=engine) for engine in ("forked", "padded"))
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(expected), atol=1e-5, rtol=5e-6)


def test_tokens_of_a_prefix_are_computed_once(monkeypatch: Patch) -> None:
    model = load("qwen2_5_vl", self_check=False)
    computed = count_tokens(model, monkeypatch, method="last_hidden_states")
    pairs = pairs_for("qwen2_5_vl")[4:8]  # one query with a picture
    score_pairs(model, pairs, engine="forked")
    prompts = model.processor.encode_many(pairs)
    shared = computed[0]
    rests = [len(prompt.input_ids) - shared for prompt in prompts]
    assert computed == [shared, len(rests) * max(rests)]
    assert sum(computed) < sum(len(prompt.input_ids) for prompt in prompts)


def test_a_cache_can_be_forked_again_after_its_copies_were_used() -> None:
    model = load("qwen3_5", self_check=False)
    prompts = model.processor.encode_many(pairs_for("qwen2_5_vl")[:2])
    with torch.inference_mode():
        cache = forked_cache.prefill(model, prompts[0], 10)
        before = copy.deepcopy(cache)
        forked_cache.fork(cache, 2)
        batch = forked_cache.collate_rests(model.processor, prompts[:1], 10)
        first, second = (
            model(**batch, past_key_values=forked_cache.fork(state, 1)) for state in (cache, before)
        )
    assert torch.equal(first, second)


def wrong_positions(monkeypatch: Patch) -> None:
    """Positions of rests start from nought."""
    original = self_check.collate_rests

    def moved(processor: Any, prompts: Any, start: int) -> Any:
        batch = original(processor, prompts, start)
        batch["position_ids"] = batch["position_ids"] - start
        return batch

    monkeypatch.setattr(self_check, "collate_rests", moved)


def wrong_mask(monkeypatch: Patch) -> None:
    """The first tokens of the prefix are hidden."""
    original = self_check.collate_rests

    def hiding(processor: Any, prompts: Any, start: int) -> Any:
        batch = original(processor, prompts, start)
        batch["attention_mask"][:, :4] = 0
        return batch

    monkeypatch.setattr(self_check, "collate_rests", hiding)


def wrong_cache(monkeypatch: Patch) -> None:
    """The original is used where a copy should be: the second use goes on from the first."""
    monkeypatch.setattr(self_check, "fork", forked_in_place)


def forked_in_place(cache: Any, rows: int) -> Any:
    cache.reorder_cache(torch.zeros(rows, dtype=torch.long))
    return cache


@pytest.mark.parametrize("fault", [wrong_positions, wrong_mask, wrong_cache])
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *OTHER_ARCHITECTURES])
def test_planted_faults_are_caught(architecture: str, fault: Any, monkeypatch: Patch) -> None:
    model = load(architecture, self_check=False)
    check_forked(model)
    fault(monkeypatch)
    with pytest.raises(
        (ModelError, RuntimeError, IndexError), match=r"forked cache differ by|must match|out of"
    ):
        check_forked(model)


def test_where_neither_is_right_pairs_are_padded(
    monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong_positions(monkeypatch)
    assert load("qwen3_sliding").engine == "padded"
    assert "engine 'padded' is used, which is slower: forked: self-check: " in caplog.text


def test_a_saved_model_of_linear_attention_is_loaded_again(tmp_path: Path) -> None:
    from gmr.modeling.saving import save_model

    model = load("qwen3_5", self_check=False)
    save_model(model, tmp_path / "saved")
    again = load_model(tmp_path / "saved", device="cpu")
    pairs = pairs_for("qwen2_5_vl")[:3]
    assert again.engine == "forked"
    assert score_pairs(again, pairs).tolist() == score_pairs(model, pairs).tolist()
