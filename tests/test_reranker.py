"""Queries and documents in any spelling in, a ranking in canonical order out; N in is N out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr import reranker as reranker_module
from gmr.core.errors import DataError, ModelError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.reranker import Reranker, Scorer
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint

FOLDER = tiny_checkpoint("qwen2_5_vl")
PICTURE = noise_picture(40, 60)


@pytest.fixture(scope="module")
def model() -> RerankModel:
    return load_model(FOLDER, device="cpu")


@pytest.fixture(scope="module")
def reranker(model: RerankModel) -> Reranker:
    return Reranker(model)


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    PICTURE.save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_documents_come_in_order_of_their_scores(reranker: Reranker) -> None:
    documents = ["a queen", PICTURE, {"text": "both", "image": PICTURE}, ["then", PICTURE, "now"]]
    ranking = reranker.rank("black queen", documents)
    scores = reranker.score([("black queen", document) for document in documents])
    order = np.argsort(-scores)
    assert [place.doc_id for place in ranking] == [str(index) for index in order]
    np.testing.assert_allclose([place.score for place in ranking], scores[order], atol=1e-5)
    assert [place.rank for place in ranking] == [1, 2, 3, 4]
    assert ranking[0].document.doc_id == ranking[0].doc_id


def test_every_spelling_of_a_picture_scores_the_same(reranker: Reranker, picture_file: Path) -> None:
    spelled: list[Any] = [
        PICTURE,
        picture_file,
        picture_file.read_bytes(),
        {"image": str(picture_file)},
        {"content": [{"type": "image", "image": PICTURE}]},
        Document("d", (Image(PICTURE),)),
    ]
    scores = reranker.score([("black queen", each) for each in spelled])
    np.testing.assert_allclose(scores, scores[0], atol=1e-5)


def test_ids_are_kept_and_ties_fall_to_the_greater_id(reranker: Reranker) -> None:
    documents = [Document(doc_id, (Text("the same"),)) for doc_id in ("a", "c", "b", "10", "9")]
    ranking = reranker.rank("queen", documents)
    assert [place.doc_id for place in ranking] == ["c", "b", "a", "9", "10"]


def test_top_k_cuts_the_ranking_and_nothing_else(reranker: Reranker) -> None:
    documents = ["one", "two", "three", "four"]
    whole = reranker.rank("queen", documents)
    top = reranker.rank("queen", documents, top_k=2)
    assert [place.doc_id for place in top] == [place.doc_id for place in whole][:2]
    assert len(reranker.rank("queen", documents, top_k=9)) == 4


def test_an_instruction_replaces_that_of_the_query(reranker: Reranker) -> None:
    query = Query("q", (Text("queen"),), "Find chess pieces.")
    documents = ["one", "two"]
    own = reranker.rank(query, documents)
    other = reranker.rank(query, documents, instruction="Find bees.")
    assert other.query.instruction == "Find bees."
    assert other.query.query_id == "q"
    by_id = {place.doc_id: place.score for place in own}
    assert any(abs(place.score - by_id[place.doc_id]) > 1e-4 for place in other)
    again = reranker.rank(Query("q", query.item, "Find bees."), documents)
    assert [place.score for place in again] == [place.score for place in other]


def test_no_documents_make_an_empty_ranking(reranker: Reranker) -> None:
    assert len(reranker.rank("queen", [])) == 0
    assert reranker.score([]).shape == (0,)


def test_documents_may_come_from_a_generator(reranker: Reranker) -> None:
    assert len(reranker.rank("queen", (word for word in ("one", "two")))) == 2


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_the_documents_does_not_matter(model: RerankModel, order: list[int]) -> None:
    documents = [Document(f"d{index}", (Text("word " * (index + 1)),)) for index in range(6)]
    whole = Reranker(model).rank("queen", documents)
    shuffled = Reranker(model).rank("queen", [documents[index] for index in order])
    assert sorted(place.doc_id for place in shuffled) == sorted(place.doc_id for place in whole)
    expected = {place.doc_id: place.score for place in whole}
    assert all(abs(place.score - expected[place.doc_id]) < 1e-5 for place in shuffled)


def test_a_reranker_is_a_scorer(reranker: Reranker) -> None:
    scorer: Scorer = reranker
    pairs = [(Query("q", (Text("a"),)), Document("d", (Text("b"),)))]
    assert scorer.score(pairs).dtype == np.float32


def test_a_picture_given_with_every_pair_is_hashed_once(
    reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = reranker_module.as_item

    def counted(value: Any, **options: Any) -> Any:
        read.append(value)
        return original(value, **options)

    monkeypatch.setattr(reranker_module, "as_item", counted)
    reranker.score([(PICTURE, word) for word in ("one", "two", "three")])
    assert len(read) == 4


def test_a_name_is_loaded_with_its_options() -> None:
    reranker = Reranker(FOLDER, device="cpu", dtype="bfloat16", max_tokens=200, template="qwen3-vl-reranker")
    assert str(reranker.model.dtype) == "torch.bfloat16"
    assert reranker.model.processor.max_tokens == 200
    assert reranker.model.processor.template.name == "qwen3-vl-reranker"


# What cannot be ranked is said by name.


@pytest.mark.parametrize("documents", ["one document", Path("folder"), b"bytes", (Text("an item"),)])
def test_one_document_in_place_of_a_list_is_an_error(reranker: Reranker, documents: Any) -> None:
    with pytest.raises(DataError, match="a list of documents is needed, this is one"):
        reranker.rank("queen", documents)


def test_an_id_that_occurs_twice_is_an_error(reranker: Reranker) -> None:
    same = Document("d1", (Text("a"),))
    with pytest.raises(DataError, match=r"documents\[1\]: the id 'd1' occurs twice"):
        reranker.rank("queen", [same, same])


def test_an_id_that_a_position_takes_is_an_error(reranker: Reranker) -> None:
    with pytest.raises(DataError, match=r"documents\[1\]: the id '1' occurs twice"):
        reranker.rank("queen", [Document("1", (Text("a"),)), "b"])


@pytest.mark.parametrize("value", ["", None, [], 7, {"txt": "a"}])
def test_a_document_that_is_none_is_named_by_its_place(reranker: Reranker, value: Any) -> None:
    with pytest.raises(DataError, match=r"documents\[1\]"):
        reranker.rank("queen", ["good", value])


def test_an_empty_query_is_an_error(reranker: Reranker) -> None:
    with pytest.raises(DataError, match="query"):
        reranker.rank("", ["a"])


@pytest.mark.parametrize("pair", ["ab", ("a",), ("a", "b", "c"), 5])
def test_what_is_no_pair_is_named_by_its_place(reranker: Reranker, pair: Any) -> None:
    with pytest.raises(DataError, match=r"pairs\[1\]: a \(query, document\) pair is needed"):
        reranker.score([("good", "pair"), pair])


def test_a_picture_that_is_broken_is_an_error_and_no_document_is_skipped(
    reranker: Reranker, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but not more")
    with pytest.raises(DataError, match=r"broken.png"):
        reranker.rank("queen", ["good", tmp_path / "broken.png"])


@pytest.mark.parametrize("top_k", [0, -1])
def test_a_top_k_below_one_is_an_error(reranker: Reranker, top_k: int) -> None:
    with pytest.raises(ValueError, match=f"top_k must be at least 1, got {top_k}"):
        reranker.rank("queen", ["a"], top_k=top_k)


def test_loading_options_for_a_loaded_model_are_an_error(model: RerankModel) -> None:
    with pytest.raises(ValueError, match="loaded already: max_tokens would have no effect"):
        Reranker(model, max_tokens=5)
    with pytest.raises(ValueError, match="loaded already: quantize would"):
        Reranker(model, quantize="int8")
    with pytest.raises(ValueError, match="loaded already: compile would"):
        Reranker(model, compile=True)
    with pytest.raises(ValueError, match="loaded already: dtype"):
        Reranker(model, dtype="bfloat16")


def test_a_model_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match="no such folder"):
        Reranker("nowhere")
