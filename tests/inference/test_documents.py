"""A document that was met before costs the query's tokens only, and scores what it always did."""

import copy

import numpy as np
import pytest
import torch

from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.inference.documents import DocumentStore, prefix_key
from gmr.inference.pictures import FeatureStore
from gmr.inference.scoring import score_pairs
from gmr.modeling.device_layout import KeptLayers
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from tests.helpers.counting import count_tokens
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.helpers.varlen import cpu_kernel

PAGES = [Document(f"d{n}", (Image(noise_picture(40 + 8 * n, 60)),)) for n in range(3)]


def pairs(*questions: str) -> list[tuple[Query, Document]]:
    return [(Query(text, (Text(text),)), page) for text in questions for page in PAGES]


@pytest.fixture(scope="module", params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def model(request: pytest.FixtureRequest) -> RerankModel:
    folder = tiny_checkpoint(request.param)
    return load_model(folder, template="monoqwen2-vl", device="cpu", self_check=False)


@pytest.fixture
def tokens(model: RerankModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each pass through the language model."""
    return count_tokens(model, monkeypatch)


def test_known_documents_cost_the_querys_tokens_and_score_the_same(
    model: RerankModel, tokens: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DocumentStore(2**24)
    first, second = pairs("a red apple"), pairs("the queen", "two cats")
    expected = score_pairs(model, [*first, *second], engine="padded")
    tokens.clear()
    found = score_pairs(model, first, documents=store)
    whole = sum(tokens)
    assert len(store) == len(PAGES)
    tokens.clear()
    monkeypatch.setattr(model.processor, "preprocess", lambda images: pytest.fail("a picture was opened"))
    again = score_pairs(model, second, documents=store)
    prompts = [model.processor.encode(*pair) for pair in second]
    assert sum(tokens) == sum(len(prompt.input_ids) - prompt.num_document for prompt in prompts) < whole
    np.testing.assert_allclose(np.concatenate([found, again]), expected, atol=1e-5, rtol=5e-6)


def test_a_kernel_reads_and_writes_documents(model: RerankModel) -> None:
    store = DocumentStore(2**24)
    asked = pairs("a red apple", "the queen")
    expected = score_pairs(model, asked, engine="padded")
    for _ in range(2):
        with cpu_kernel():
            found = score_pairs(model, asked, engine="packed", documents=store)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert len(store) == len(PAGES)


@pytest.mark.parametrize("max_rows", [1, 2, 100])
def test_passes_of_any_size_keep_documents(model: RerankModel, max_rows: int) -> None:
    store = DocumentStore(2**24)
    asked = pairs("a red apple", "the queen", "two cats")
    expected = score_pairs(model, asked, engine="padded")
    for _ in range(2):
        np.testing.assert_allclose(
            score_pairs(model, asked, documents=store, max_rows=max_rows), expected, atol=1e-5, rtol=5e-6
        )
    assert len(store) == len(PAGES)


def test_a_full_store_drops_what_was_unused_longest_and_a_small_one_keeps_nothing(model: RerankModel) -> None:
    store = DocumentStore(2**24)
    score_pairs(model, pairs("x")[:1], documents=store)
    size = store.num_bytes
    tight = DocumentStore(2 * size)
    score_pairs(model, pairs("x"), documents=tight)
    assert tight.num_bytes <= 2 * size
    none = DocumentStore(0)
    score_pairs(model, pairs("x"), documents=none)
    assert (len(none), none.num_bytes) == (0, 0)
    store.clear()
    assert (len(store), store.num_bytes) == (0, 0)
    with pytest.raises(ValueError, match="max_bytes must be at least 0"):
        DocumentStore(-1)


def test_keys_tell_documents_apart_and_not_queries(model: RerankModel) -> None:
    token = model.processor.image_token_id
    prompts = [model.processor.encode(*pair) for pair in pairs("a red apple", "the queen")]
    keys = [prefix_key(prompt, prompt.num_document, placeholder=token) for prompt in prompts]
    assert len(set(keys[:3])) == 3
    assert keys[:3] == keys[3:]


def test_text_of_document_and_query_that_meet_in_one_token_is_not_the_documents() -> None:
    processor = PromptProcessor.from_pretrained(tiny_checkpoint("qwen2_vl"), template="jina-reranker-m0")
    for text in ("red", "a ", "the page\n\n"):
        document = Document("d", (Text(text),))
        prompts = [processor.encode(Query("q", (Text(query),)), document) for query in ("one", "\ntwo", " ")]
        shared = min(prompt.num_document for prompt in prompts)
        assert len({tuple(prompt.input_ids[:shared]) for prompt in prompts}) == 1
        assert shared > 3


def test_where_the_query_comes_first_nothing_is_kept() -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)
    store = DocumentStore(2**24)
    asked = pairs("a red apple", "the queen")
    np.testing.assert_allclose(
        score_pairs(model, asked, documents=store),
        score_pairs(model, asked, engine="padded"),
        atol=1e-5,
        rtol=5e-6,
    )
    assert len(store) == 0


@pytest.mark.parametrize("engine", ["packed", "invariant"])
def test_pictures_of_known_documents_are_not_even_opened(
    model: RerankModel, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [Document(f"d{n}", (Image(noise_picture(40 + 8 * n, 60)),)) for n in range(3)]
    store = DocumentStore(2**24)
    known, asked = Query("a", (Text("a"),)), Query("b", (Text("b"),))
    score_pairs(model, [(known, page) for page in pages], documents=store, engine=engine)
    opened: list[Image] = []
    plain = model.processor.preprocess
    monkeypatch.setattr(
        model.processor, "preprocess", lambda images: (opened.extend(images), plain(images))[1]
    )
    score_pairs(model, [(asked, page) for page in pages], documents=store, engine=engine)
    assert not opened


def test_known_documents_are_read_when_their_pass_comes(model: RerankModel) -> None:
    store = DocumentStore(2**24)
    expected = score_pairs(model, pairs("a", "b"), documents=store)

    class Watched(DocumentStore):
        num_read = 0

        def __contains__(self, key: str) -> bool:
            return key in store

        def get(self, key: str) -> KeptLayers | None:
            type(self).num_read += 1
            return store.get(key)

    read_before: list[int] = []
    watched = Watched(0)
    with pytest.MonkeyPatch.context() as patch:
        plain = type(model).forward
        patch.setattr(
            type(model), "forward", lambda *a, **k: (read_before.append(Watched.num_read), plain(*a, **k))[1]
        )
        found = score_pairs(model, pairs("a", "b"), documents=watched, max_rows=2)
    assert read_before == [1, 2, 3]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)


def test_a_document_that_is_gone_before_its_pass_is_computed(model: RerankModel) -> None:
    class Forgetful(DocumentStore):
        def __contains__(self, key: str) -> bool:
            return True

    expected = score_pairs(model, pairs("a", "b"), engine="padded")
    for engine in ("packed", "invariant"):
        for max_rows in (1, 512):
            found = score_pairs(
                model, pairs("a", "b"), documents=Forgetful(2**24), engine=engine, max_rows=max_rows
            )
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)


def test_what_autocast_computed_is_not_for_others(model: RerankModel) -> None:
    documents, features = DocumentStore(2**24), FeatureStore(2**24)
    expected = score_pairs(model, pairs("a"), engine="padded")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        score_pairs(model, pairs("a"), documents=documents, store=features)
    found = score_pairs(model, pairs("a"), documents=documents, store=features)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert (len(documents), len(features)) == (2 * len(PAGES), 2 * len(PAGES))


def test_pictures_read_by_other_settings_are_other_pictures(model: RerankModel) -> None:
    documents, features = DocumentStore(2**24), FeatureStore(2**24)
    kept = model.processor.image_processor
    other = copy.deepcopy(kept)
    assert other is not None
    other.image_mean = [0.1, 0.2, 0.3]
    other.size = {"shortest_edge": 28 * 28, "longest_edge": 2 * 28 * 28}
    score_pairs(model, pairs("a"), documents=documents, store=features)
    try:
        model.processor.image_processor = other
        expected = score_pairs(model, pairs("a"), engine="padded")
        found = score_pairs(model, pairs("a"), documents=documents, store=features)
    finally:
        model.processor.image_processor = kept
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert abs(expected - score_pairs(model, pairs("a"), documents=documents, store=features)).max() > 1e-4
