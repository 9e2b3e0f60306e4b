"""Scores that nothing else in a call changes in any bit, and that share what a query brings all the same."""

from typing import Any

import numpy as np
import pytest

from gmr.inference.documents import DocumentStore
from gmr.inference.pictures import FeatureStore
from gmr.inference.scoring import score_pairs
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from tests.helpers.counting import count_patches, count_tokens
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint


def plan(rng: np.random.Generator, num_pairs: int, most: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Some of the pairs in some order, some of them twice, and limits of every size."""
    rows = rng.integers(0, num_pairs, rng.integers(1, most))
    options = {
        "batch_tokens": int(rng.integers(1, 3000)),
        "max_rows": int(rng.integers(1, 30)),
        "picture_bytes": int(rng.choice([0, 2000, 2**30])),
        "store": FeatureStore(2**20) if rng.random() < 0.5 else None,
        "workers": int(rng.integers(0, 3)),
    }
    return rows, options


def check_plans(model: RerankModel, *, num_plans: int, architecture: str, most: int) -> None:
    pairs = pairs_for(architecture)
    alone = np.concatenate([score_pairs(model, [pair], engine="invariant") for pair in pairs])
    rng = np.random.default_rng(num_plans)
    for _ in range(num_plans):
        rows, options = plan(rng, len(pairs), most)
        found = score_pairs(model, [pairs[row] for row in rows], engine="invariant", **options)
        assert np.array_equal(found, alone[rows])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_batch_neighbours_slot_and_order_change_no_bit(architecture: str, dtype: str) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", dtype=dtype, self_check=False)
    check_plans(model, num_plans=6, architecture=architecture, most=16)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_hundreds_of_plans_change_no_bit(dtype: str) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", dtype=dtype, self_check=False)
    check_plans(model, num_plans=100, architecture="qwen2_5_vl", most=5)


def test_the_other_engines_do_change_bits() -> None:
    """Else the tests above would prove nothing."""
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)
    pairs = pairs_for("qwen2_5_vl")
    for engine in ("packed", "padded", "forked"):
        alone = np.concatenate([score_pairs(model, [pair], engine=engine) for pair in pairs])
        assert not np.array_equal(score_pairs(model, pairs, engine=engine), alone)


def test_a_query_is_computed_once_and_every_picture_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)
    tokens = count_tokens(model, monkeypatch, method="last_hidden_states")
    patches = count_patches(model, monkeypatch)
    pairs = pairs_for("qwen2_5_vl")
    score_pairs(model, pairs, engine="invariant")
    prompts = model.processor.encode_many(pairs)
    queries = {query.query_id: prompt.num_query for (query, _), prompt in zip(pairs, prompts, strict=True)}
    assert all(queries.values())
    rests = [len(prompt.input_ids) - prompt.num_query for prompt in prompts]
    assert sum(tokens) == sum(queries.values()) + sum(rests)
    assert len(patches) == 3, "each of the three distinct pictures goes through the tower by itself"


def test_what_other_engines_keep_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_checkpoint("qwen2_vl")
    model = load_model(folder, template="monoqwen2-vl", device="cpu", self_check=False)
    pairs = [(query, document) for query, document in pairs_for("qwen2_vl") if document.doc_id in "d1 d3"]
    pairs = [pair for pair in pairs if pair[0].query_id == "q0" and pair[1].doc_id == "d1"]
    expected = score_pairs(model, pairs, engine="invariant")
    store, documents = FeatureStore(2**24), DocumentStore(2**24)
    score_pairs(model, pairs, store=store, documents=documents)
    kept = len(store), len(documents)
    for _ in range(2):
        found = score_pairs(model, pairs, engine="invariant", store=store, documents=documents)
        assert np.array_equal(found, expected)
    assert (len(store), len(documents)) == (kept[0] + 1, kept[1] + 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_cut_is_a_matter_of_the_query(architecture: str) -> None:
    processor = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False).processor
    pairs = pairs_for(architecture)
    by_query: dict[str, set[tuple[int, ...]]] = {}
    for query, document in pairs:
        prompt = processor.encode(query, document)
        assert 0 < prompt.num_query < len(prompt.input_ids)
        by_query.setdefault(query.query_id, set()).add(tuple(prompt.input_ids[: prompt.num_query]))
    assert all(len(prefixes) == 1 for prefixes in by_query.values())
