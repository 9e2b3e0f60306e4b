"""The last layer computes one token a prompt in inference, and keys and values of all; in training, all of them."""

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch

from gmr.core.items import as_item
from gmr.core.nouns import Document, Query
from gmr.inference.scoring import score_pairs
from gmr.modeling.last_rows import follow_last_rows, ignore_last_rows, only_rows, rows_read
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, pack
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint


def count_rows(model: RerankModel, *, layer: int = -1, part: str = "mlp.gate_proj") -> list[int]:
    """Tokens of each call of a linear layer from now on."""
    rows: list[int] = []
    module: Any = model.layers[layer].get_submodule(part)
    module.register_forward_hook(lambda _, inputs, __: rows.append(inputs[0].shape[-2]))
    return rows


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_token_a_prompt_is_computed_and_scores_are_those_of_padded_pairs(
    architecture: str, quantize: str | None
) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False, quantize=quantize)
    pairs = pairs_for(architecture)
    expected = score_pairs(model, pairs, engine="padded")
    at_reads = [
        count_rows(model, part=part) for part in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj")
    ]
    everywhere = [
        count_rows(model, part="self_attn.k_proj"),
        count_rows(model, part="self_attn.v_proj"),
        count_rows(model, layer=0, part="self_attn.q_proj"),
    ]
    found = score_pairs(model, pairs, engine="packed")
    assert [sum(rows) for rows in at_reads] == [len(pairs)] * 3
    assert everywhere[0] == everywhere[1] == everywhere[2]
    assert sum(everywhere[0]) > 5 * len(pairs)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)


def test_with_gradients_and_in_padded_batches_every_token_is_computed() -> None:
    model = load_model(tiny_checkpoint("qwen3"), device="cpu", self_check=False)
    prompts = model.processor.encode_many(pairs_for("qwen3"))
    rows = count_rows(model)
    batch = model.processor.collate(prompts)
    with torch.no_grad():
        model(**batch)
    assert rows == [batch["input_ids"].shape[1]]
    rows.clear()
    packed = pack([Part([prompt], 0) for prompt in prompts], placeholder=None)
    model(**collate_packed(model.processor, packed)).sum().backward()
    assert rows == [packed.num_tokens]
    rows.clear()
    with torch.no_grad():  # the first pass of two draws the random numbers of dropout as the second will
        model.train()(**collate_packed(model.processor, packed))
    assert rows == [packed.num_tokens]


def test_a_part_is_computed_where_it_is_read_and_is_nought_elsewhere() -> None:
    layer = torch.nn.Module()
    layer.mlp = torch.nn.Linear(3, 3)
    layer.self_attn = attention = torch.nn.Module()
    follow_last_rows(layer)
    follow_last_rows(layer)  # as a second reranker on the same backbone does
    states = torch.randn(1, 5, 3)
    plain = layer.mlp(states)
    for each in (layer, copy.deepcopy(layer)):
        with only_rows(each, torch.tensor([1, 4]), num_tokens=5):
            found = each.mlp(states)
            read = rows_read(each.self_attn)
            assert read is not None
            assert read.tolist() == [1, 4]
            assert rows_read(torch.nn.Module()) is None, "the attention of another layer"
        assert rows_read(each.self_attn) is None
        torch.testing.assert_close(found[:, [1, 4]], plain[:, [1, 4]])
        assert not found[:, [0, 2, 3]].any()
        assert torch.equal(each.mlp(states), plain)
    follow_last_rows(torch.nn.Module())  # no such part: nothing to do
    ignore_last_rows(layer)
    with only_rows(layer, torch.tensor([1, 4]), num_tokens=5):
        assert torch.equal(layer.mlp(states), plain)
        assert rows_read(attention) is None


def test_another_thread_is_not_concerned() -> None:
    layer = torch.nn.Module()
    layer.mlp = torch.nn.Identity()
    follow_last_rows(layer)
    found: list[torch.Tensor] = []
    with only_rows(layer, torch.tensor([0]), num_tokens=2):
        thread = threading.Thread(target=lambda: found.append(layer.mlp(torch.ones(1, 2, 1))))
        thread.start()
        thread.join()
    assert found[0].tolist() == [[[1.0], [1.0]]]


@pytest.mark.parametrize("change", ["appended copy", "swapped"])
def test_marks_of_another_layer_change_nothing(change: str) -> None:
    model = load_model(tiny_checkpoint("qwen3"), device="cpu", self_check=False)
    layers = model.layers
    if change == "swapped":
        layers[0], layers[-1] = layers[-1], layers[0]
        layers[0].self_attn.layer_idx, layers[-1].self_attn.layer_idx = 0, len(layers) - 1
    else:
        layers.append(copy.deepcopy(layers[-1]))
        layers[-1].self_attn.layer_idx = len(layers) - 1
        model.config.num_hidden_layers = len(layers)
        model.config.layer_types = ["full_attention"] * len(layers)
    asked = [(Query("q", as_item("red")), Document(word, as_item(word))) for word in ("a", "blue b", "c")]
    expected = score_pairs(model, asked, engine="padded")
    for engine in ("packed", "invariant"):
        found = score_pairs(model, asked, engine=engine)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=engine)


@pytest.mark.parametrize("watched", ["layer", "norm"])
def test_who_watches_the_end_of_the_model_sees_all_tokens(watched: str) -> None:
    model = load_model(tiny_checkpoint("qwen3"), device="cpu", self_check=False)
    prompts = [model.processor.encode(Query("q", as_item("red")), Document("d", as_item("a red apple")))]
    inputs = collate_packed(model.processor, pack([Part(prompts, 0)], placeholder=None))
    module = model.layers[-1] if watched == "layer" else model.text_model.norm
    seen: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        model(**inputs)
        padded = model.processor.collate(prompts)
        model(**padded)
    handle.remove()
    packed_states, padded_states = (each[0] if isinstance(each, tuple) else each for each in seen)
    torch.testing.assert_close(
        packed_states.flatten(0, -2), padded_states.flatten(0, -2), atol=1e-4, rtol=1e-4
    )
