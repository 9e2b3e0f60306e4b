"""Embedders of sentence-transformers: their embeddings, prompts and similarity; made here, with random weights."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from gmr.core.errors import DataError, ModelError, UsageError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.first_stage.embedder import Embedder
from tests.first_stage.items import noise, queries, texts
from tests.first_stage.models import save_embedder
from tests.helpers.tiny_checkpoints import trained_tokenizer

SENTENCES = ["black chess queen", "a red apple on the table", "relevant document", "yes", "yes no " * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(
        tmp_path_factory.mktemp("model") / "e",
        prompts={"query": "Query: ", "document": "", "passage": "Passage: "},
    )


@pytest.fixture(scope="module")
def library(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def test_embeddings_are_those_of_the_library_one_by_one(folder, library):
    embedder = Embedder(folder, device="cpu")
    documents = list(texts(*SENTENCES).values())
    asked = list(queries(*SENTENCES).values())
    alone = np.concatenate([library.encode([sentence], normalize_embeddings=True) for sentence in SENTENCES])
    np.testing.assert_allclose(embedder.embed_documents(documents), alone, atol=1e-5)
    alone = np.concatenate(
        [library.encode([f"Query: {sentence}"], normalize_embeddings=True) for sentence in SENTENCES]
    )
    np.testing.assert_allclose(embedder.embed_queries(asked), alone, atol=1e-5)


def test_prompts_given_come_before_the_models_own_and_hold_the_instruction(folder, library):
    embedder = Embedder(
        folder, query_prompt="Instruct: {instruction}\nQuery:", document_prompt="D ", device="cpu"
    )
    asked = [
        Query("a", (Text("yes"),), "Find it"),
        Query("b", (Text("no"),)),
        Query("c", (Text("yes"),), "Find it"),
    ]
    expected = library.encode(
        ["Instruct: Find it\nQuery:yes", "Instruct: \nQuery:no", "Instruct: Find it\nQuery:yes"],
        prompt="",
        normalize_embeddings=True,
    )
    np.testing.assert_allclose(embedder.embed_queries(asked), expected, atol=1e-5)
    expected = library.encode(["D yes"], prompt="", normalize_embeddings=True)
    np.testing.assert_allclose(embedder.embed_documents(list(texts("yes").values())), expected, atol=1e-5)
    assert embedder.facts()["query_prompt"] == "Instruct: {instruction}\nQuery:"
    assert embedder.facts()["document_prompt"] == "D "


def test_scores_are_inner_products_where_the_model_says_dot(tmp_path, folder):
    dot = Embedder(save_embedder(tmp_path / "dot", similarity="dot"), device="cpu")
    found = dot.search(queries("yes"), texts(*SENTENCES), depth=3)["q0"]
    products = (
        dot.embed_queries(list(queries("yes").values()))
        @ dot.embed_documents(list(texts(*SENTENCES).values())).T
    )
    nearest = sorted(zip(products[0].tolist(), texts(*SENTENCES), strict=True), reverse=True)[:3]
    assert list(found) == [doc_id for _, doc_id in nearest]
    assert found[nearest[0][1]] > 1  # no cosine
    cosine = Embedder(folder, query_prompt="", device="cpu").search(
        queries("yes"), texts(*SENTENCES), depth=3
    )["q0"]
    assert next(iter(cosine.items())) == ("d3", 1.0)


def test_a_model_that_compares_by_distance_is_refused(tmp_path):
    with pytest.raises(ModelError, match="compares by euclidean"):
        Embedder(save_embedder(tmp_path / "far", similarity="euclidean"), device="cpu")


def test_a_picture_is_refused_by_id_where_the_model_reads_text_only(folder):
    with pytest.raises(DataError, match=r"document 'p' is a picture, which .* does not take"):
        Embedder(folder, device="cpu").embed_documents([Document("p", (noise(0),))])
    with pytest.raises(DataError, match="query 'p' is picture and text"):
        Embedder(folder, device="cpu").embed_queries([Query("p", (noise(0), Text("x")))])


def test_text_that_looks_like_the_path_of_a_picture_is_text(folder, library):
    documents = list(texts("photo.png", "https://example.org/a.jpg").values())
    expected = library.encode(
        [{"text": "photo.png"}, {"text": "https://example.org/a.jpg"}], normalize_embeddings=True
    )
    np.testing.assert_allclose(Embedder(folder, device="cpu").embed_documents(documents), expected, atol=1e-5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A model of the CLIP architecture: text and pictures in one space."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    folder = tmp_path_factory.mktemp("model") / "clip"
    tokenizer = trained_tokenizer()
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": 0, "pad_token_id": tokenizer.pad_token_id}
    config = CLIPConfig(
        text_config={**tower, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 40},
        vision_config={**tower, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size).save_pretrained(folder)
    return folder


def test_pictures_and_texts_of_one_block_are_embedded_by_their_towers(clip):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(clip), device="cpu")
    documents = [Document("a", (noise(0),)), Document("b", (Text("yes"),)), Document("c", (noise(1),))]
    expected = np.concatenate(
        [
            model.encode([each], normalize_embeddings=True)
            for each in (noise(0).open(), "yes", noise(1).open())
        ]
    )
    found = Embedder(clip, device="cpu").embed_documents(documents)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(DataError, match="document 'd' is picture and text"):
        Embedder(clip, device="cpu").embed_documents([Document("d", (noise(0), Text("x")))])


def test_no_text_becomes_a_picture_where_the_model_takes_pictures(clip, tmp_path, monkeypatch):
    noise(0).open().save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    embedder = Embedder(clip, device="cpu")
    text, picture = embedder.embed_documents(
        [Document("a", (Text("photo.png"),)), Document("b", (noise(0),))]
    )
    assert not np.allclose(text, picture, atol=1e-3)


def test_the_digest_is_of_content_and_not_of_place(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "copy")
    here = Embedder(folder, device="cpu").facts()
    there = Embedder(tmp_path / "copy", device="cpu").facts()
    assert here["model_digest"] == there["model_digest"]
    tensors = load_file(tmp_path / "copy" / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] += 1e-3
    save_file(tensors, tmp_path / "copy" / "model.safetensors", metadata={"format": "pt"})
    assert Embedder(tmp_path / "copy", device="cpu").facts()["model_digest"] != here["model_digest"]
    assert json.loads(json.dumps(here)) == here


def test_embeddings_kept_on_disk_give_the_same_run(folder, tmp_path):
    asked, corpus = queries("yes", "no"), texts(*SENTENCES)
    plain = Embedder(folder, device="cpu").search(asked, corpus, depth=4)
    for _ in range(2):
        assert Embedder(folder, device="cpu", cache=tmp_path).search(asked, corpus, depth=4) == plain
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    Embedder(folder, device="cpu", cache=tmp_path, document_prompt="D ").search(asked, corpus, depth=4)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_what_is_no_model_is_an_error_with_its_name(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty: no embedder that sentence-transformers can load"):
        Embedder(tmp_path / "empty", device="cpu")


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="gmr-rerank\\[bench\\]"):
        Embedder("any")
