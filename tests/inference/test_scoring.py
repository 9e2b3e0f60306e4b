"""Scores of pairs do not depend on their batch, their order or how often a picture occurs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import DataError, ModelError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.inference.engines import ENGINES
from gmr.inference.pictures import FeatureStore, PictureCache
from gmr.inference.scoring import score_pairs
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.vision_features import PictureFeatures
from tests.helpers.counting import count_patches
from tests.helpers.pairs import all_pairs, noise_picture, pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint


@pytest.fixture(scope="module")
def model() -> RerankModel:
    return load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)


@pytest.fixture
def encoded(model: RerankModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Patches of each pass through the vision tower."""
    return count_patches(model, monkeypatch)


def distinct_patches(model: RerankModel, pairs: list[tuple[Query, Document]]) -> int:
    images = {
        part.key: part for pair in pairs for side in pair for part in side.item if isinstance(part, Image)
    }
    return int(model.processor.preprocess(list(images.values()))[1].prod(-1).sum())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_batched_is_single(architecture: str, engine: str) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    pairs = pairs_for(architecture)
    single = np.concatenate([score_pairs(model, [pair], engine="padded") for pair in pairs])
    batched = score_pairs(model, pairs, batch_tokens=1000, engine=engine)
    assert batched.dtype == np.float32
    assert batched.shape == (len(pairs),)
    np.testing.assert_allclose(batched, single, atol=1e-5, rtol=5e-6)


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations(range(16)),
    batch_tokens=st.integers(1, 2000),
    max_rows=st.integers(1, 20),
    picture_bytes=st.sampled_from([0, 2000, 2**30]),
    engine=st.sampled_from(sorted(ENGINES)),
)
def test_order_batch_size_and_cache_size_change_nothing(
    model: RerankModel, order: list[int], batch_tokens: int, max_rows: int, picture_bytes: int, engine: str
) -> None:
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(model, pairs, engine="padded")
    actual = score_pairs(
        model,
        [pairs[index] for index in order],
        engine=engine,
        batch_tokens=batch_tokens,
        max_rows=max_rows,
        picture_bytes=picture_bytes,
    )
    np.testing.assert_allclose(actual, expected[order], atol=2e-5)


def test_the_order_of_the_pairs_changes_no_bit(model: RerankModel) -> None:
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(model, pairs, batch_tokens=500)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(pairs))
        shuffled = score_pairs(model, [pairs[index] for index in order], batch_tokens=500)
        assert np.array_equal(shuffled, expected[order])


def test_equal_documents_tie_to_the_last_bit_and_are_scored_once(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = _Small(model, max_rows=100)
    monkeypatch.setattr(model, "forward", small)
    pairs = pairs_for("qwen2_5_vl")
    again = [
        (Query("again", query.item), Document(f"copy of {document.doc_id}", document.item))
        for query, document in pairs
    ]
    scores = score_pairs(model, pairs + again, max_rows=3)
    assert np.array_equal(scores[: len(pairs)], scores[len(pairs) :])
    assert sum(small.rows) == len(pairs)


@pytest.mark.parametrize("max_rows", [1, 3, 100])
def test_each_distinct_picture_is_encoded_once_per_call(
    model: RerankModel, encoded: list[int], max_rows: int
) -> None:
    pairs = pairs_for("qwen2_5_vl")
    score_pairs(model, pairs, max_rows=max_rows)
    assert sum(encoded) == distinct_patches(model, pairs)


def test_each_distinct_picture_is_preprocessed_once_per_call(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Counter[str] = Counter()
    original = model.processor.preprocess

    def counted(images: list[Image]) -> tuple[torch.Tensor, torch.Tensor]:
        opened.update(image.key for image in images)
        return original(images)

    monkeypatch.setattr(model.processor, "preprocess", counted)
    score_pairs(model, pairs_for("qwen2_5_vl"), max_rows=2)
    assert set(opened.values()) == {1}
    assert len(opened) == 3


def test_equal_pictures_given_as_different_objects_are_one_picture(
    model: RerankModel, encoded: list[int]
) -> None:
    copies = [Document(str(i), (Image(noise_picture(40, 60).copy()),)) for i in range(5)]
    score_pairs(model, [(Query("q", (Text("red"),)), copy) for copy in copies], max_rows=1)
    assert len(encoded) == 1


def test_a_small_cache_encodes_again_and_scores_the_same(model: RerankModel, encoded: list[int]) -> None:
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(model, pairs, max_rows=1)
    kept = sum(encoded)
    encoded.clear()
    np.testing.assert_allclose(score_pairs(model, pairs, max_rows=1, picture_bytes=0), expected, atol=1e-6)
    assert sum(encoded) > kept


def test_pictures_kept_from_an_earlier_call_are_neither_opened_nor_encoded(
    model: RerankModel, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = pairs_for("qwen2_5_vl")
    store = FeatureStore(2**20)
    expected = score_pairs(model, pairs, store=store)
    kept = (len(store), store.num_bytes)
    encoded.clear()
    monkeypatch.setattr(model.processor, "preprocess", lambda images: pytest.fail("a picture was opened"))
    np.testing.assert_array_equal(score_pairs(model, pairs, store=store), expected)
    assert not encoded
    assert kept == (3, store.num_bytes)
    store.clear()
    assert (len(store), store.num_bytes) == (0, 0)


def test_a_store_keeps_to_its_bytes_and_drops_what_was_unused_longest() -> None:
    features = [PictureFeatures(torch.full((2, 8), float(n)), (), (2,)) for n in range(3)]
    size = features[0].num_bytes
    store = FeatureStore(2 * size)
    store.put("a", features[0])
    store.put("b", features[1])
    assert store.get("a") is not None
    store.put("c", features[2])
    assert (store.get("b"), store.num_bytes, len(store)) == (None, 2 * size, 2)
    store.put("too large", PictureFeatures(torch.zeros(100, 8), (), (100,)))
    assert store.get("too large") is None
    with pytest.raises(ValueError, match="max_bytes must be at least 0, got -1"):
        FeatureStore(-1)


def test_pictures_larger_than_a_pass_go_one_by_one(model: RerankModel, encoded: list[int]) -> None:
    pairs = pairs_for("qwen2_5_vl")
    score_pairs(model, pairs, batch_tokens=1)
    assert len(encoded) == 3


def test_a_picture_is_forgotten_after_its_last_prompt(model: RerankModel) -> None:
    items = [(Image(noise_picture(40, 60)),), (Image(noise_picture(32, 32)),)]
    prompts = [model.processor.encode(*pair) for pair in all_pairs(items)]
    cache = PictureCache(model, prompts, max_patches=10_000, max_bytes=2**30)
    with torch.inference_mode():
        cache.batch_inputs(prompts[1:2])
    assert len(cache._features) == 2
    cache.release(prompts[:3])  # the last prompt shows the second picture twice
    assert list(cache._features) == [items[1][0].key]
    cache.release(prompts[3:])
    assert not cache._features
    assert cache._bytes == 0


def test_an_engine_that_there_is_not_is_named(model: RerankModel) -> None:
    with pytest.raises(
        ValueError, match="engine 'fast' is unknown; known are auto, packed, forked, padded, invariant"
    ):
        score_pairs(model, [], engine="fast")


def test_no_pairs_have_no_scores(model: RerankModel) -> None:
    assert score_pairs(model, []).shape == (0,)


def test_a_score_that_is_not_finite_names_query_and_document(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = model.score_logits

    def broken(logits: torch.Tensor) -> torch.Tensor:
        scores = original(logits)
        scores[-1] = torch.nan
        return scores

    monkeypatch.setattr(model, "score_logits", broken)
    pairs = [(Query("q7", (Text("a"),)), Document(f"d{i}", (Text("b " * (9 - i)),))) for i in range(3)]
    with pytest.raises(ModelError, match=r"query 'q7' with document 'd2': the score is nan \(1 of 3"):
        score_pairs(model, pairs, engine="padded")  # the longest first: the last row is the shortest


class _Small:
    """Makes a model run out of memory above a number of rows."""

    def __init__(self, model: RerankModel, max_rows: int) -> None:
        self.original, self.max_rows, self.rows = model.forward, max_rows, []

    def __call__(self, input_ids: torch.Tensor, *args: torch.Tensor, **kwargs: torch.Tensor) -> torch.Tensor:
        rows = len(kwargs["last"]) if "last" in kwargs else len(input_ids)
        if rows > self.max_rows:
            raise torch.OutOfMemoryError("out of memory")
        self.rows.append(rows)
        return self.original(input_ids, *args, **kwargs)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_out_of_memory_is_halved_and_nothing_is_lost_or_scored_twice(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(model, pairs)
    small = _Small(model, max_rows=3)
    monkeypatch.setattr(model, "forward", small)
    np.testing.assert_allclose(score_pairs(model, pairs, engine=engine), expected, atol=1e-5, rtol=5e-6)
    assert sum(small.rows) == len(pairs)
    assert max(small.rows) <= 3


def test_a_pair_that_does_not_fit_alone_is_named(model: RerankModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "forward", _Small(model, max_rows=0))
    with pytest.raises(
        ModelError, match=r"query 'q0' with document 'd0': out of memory with this pair alone"
    ):
        score_pairs(model, pairs_for("qwen2_5_vl")[:1])


def test_scoring_restores_the_mode_of_training(model: RerankModel) -> None:
    model.train()
    score_pairs(model, pairs_for("qwen2_5_vl")[:1])
    assert model.training
    model.eval()
    score_pairs(model, pairs_for("qwen2_5_vl")[:1])
    assert not model.training


def test_progress_goes_to_stderr(model: RerankModel, capsys: pytest.CaptureFixture[str]) -> None:
    score_pairs(model, pairs_for("qwen2_5_vl"), progress=True)
    captured = capsys.readouterr()
    assert "16/16" in captured.err
    assert captured.out == ""


def test_a_picture_found_broken_only_when_it_is_opened_is_named_with_its_document(
    model: RerankModel, tmp_path: Path
) -> None:
    path = tmp_path / "cut.png"
    noise_picture(40, 60).save(path)
    path.write_bytes(path.read_bytes()[:-400])  # the header is whole: the prompt can be written
    query = Query("q", (Text("a"),))
    documents = [Document("good", (Image(noise_picture(40, 60)),)), Document("d7", (Image(path),))]
    with pytest.raises(DataError, match=r"^document 'd7': .*cut\.png: image is cut short"):
        score_pairs(model, [(query, document) for document in documents])
