"""Exact search equals one large product; embeddings on disk change nothing and are never another model's."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gmr.core.errors import DataError, ModelError
from gmr.core.items import item_key
from gmr.first_stage import exact
from gmr.first_stage.exact import search_exactly
from gmr.first_stage.vectors import VectorFolder
from tests.first_stage.items import queries, texts


class Table:
    """Random embeddings by text; counts what was asked."""

    def __init__(self, width=7, seed=0):
        self.width, self.seed = width, seed
        self.embedded = []

    def __call__(self, owners):
        self.embedded += [owner.item[0].text for owner in owners]
        rows = [self.vector(owner.item[0].text) for owner in owners]
        return np.stack(rows) if rows else np.zeros((0, self.width), np.float32)

    def vector(self, text):
        generator = np.random.default_rng([self.seed, *text.encode()])
        return generator.normal(size=self.width).astype(np.float32)


def search(table, num_queries=5, num_documents=23, depth=6, **options):
    asked = queries(*(f"query {i}" for i in range(num_queries)))
    corpus = texts(*(f"document {i}" for i in range(num_documents)))
    return search_exactly(asked, corpus, embed_queries=table, embed_documents=table, depth=depth, **options)


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_blocks_find_what_one_product_finds(monkeypatch, block):
    monkeypatch.setattr(exact, "BLOCK_DOCUMENTS", block)
    monkeypatch.setattr(exact, "BLOCK_QUERIES", 2)
    table = Table()
    found = search(table)
    left = np.stack([table.vector(f"query {i}") for i in range(5)])
    right = np.stack([table.vector(f"document {i}") for i in range(23)])
    products = np.round((left @ right.T).astype(np.float64), 6)
    for row, query_id in zip(products, found, strict=True):
        expected = sorted(((score, f"d{i}") for i, score in enumerate(row.tolist())), reverse=True)[:6]
        assert list(found[query_id]) == [doc_id for _, doc_id in expected]
        np.testing.assert_allclose(
            list(found[query_id].values()), [score for score, _ in expected], atol=2e-6
        )


def test_equal_documents_are_embedded_once_and_tie():
    table = Table()
    corpus = texts("same", "other", "same")
    found = search_exactly(queries("q"), corpus, embed_queries=table, embed_documents=table, depth=3)["q0"]
    assert found["d0"] == found["d2"]
    assert list(found).index("d2") + 1 == list(found).index("d0")
    assert table.embedded == ["q", "same", "other"]


def test_kept_embeddings_are_read_instead_of_computed_and_give_the_same_run(tmp_path):
    first, again = Table(), Table()
    found = search(first, cache=VectorFolder(tmp_path, identity="a" * 64))
    assert sum(text.startswith("document") for text in first.embedded) == 23
    kept = VectorFolder(tmp_path, identity="a" * 64)
    assert len(kept) == 23
    assert search(again, cache=kept) == found
    assert not any(text.startswith("document") for text in again.embedded)


def test_embeddings_of_another_embedder_are_never_read(tmp_path):
    search(Table(), cache=VectorFolder(tmp_path, identity="a" * 64))
    other = Table(seed=1)
    found = search(other, cache=VectorFolder(tmp_path, identity="b" * 64))
    assert found == search(Table(seed=1))
    assert len(other.embedded) == 28


def test_a_changed_document_is_computed_anew(tmp_path):
    search(Table(), cache=VectorFolder(tmp_path, identity="a" * 64))
    table = Table()
    search(table, num_documents=25, cache=VectorFolder(tmp_path, identity="a" * 64))
    assert table.embedded[5:] == ["document 23", "document 24"]


def test_a_flipped_byte_is_noticed(tmp_path):
    search(Table(), cache=VectorFolder(tmp_path, identity="a" * 64))
    path = next((tmp_path / ("a" * 32)).iterdir())
    tensors = load_file(path)
    tensors["vectors"].view(np.uint8)[3, 2] ^= 1
    save_file(tensors, path, metadata={"sha256": _checksum_of(path)})
    with pytest.raises(DataError, match=r"safetensors: the embeddings are damaged.*delete the file"):
        VectorFolder(tmp_path, identity="a" * 64)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="no file of embeddings"):
        VectorFolder(tmp_path, identity="a" * 64)


def _checksum_of(path):
    from safetensors import safe_open

    with safe_open(str(path), framework="numpy") as file:
        return file.metadata()["sha256"]


def test_two_writers_share_a_folder(tmp_path):
    left, right = (VectorFolder(tmp_path, identity="a" * 64) for _ in range(2))
    keys = [item_key(document.item) for document in texts("a", "b", "c").values()]
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    left.put(keys[:2], rows[:2])
    right.put(keys[1:], rows[1:])
    both = VectorFolder(tmp_path, identity="a" * 64).get([*keys, "0" * 64])
    assert {key: vector.tolist() for key, vector in both.items()} == dict(
        zip(keys, rows.tolist(), strict=True)
    )


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: no folder for embeddings"):
        VectorFolder(tmp_path / "file", identity="a" * 64)


def test_an_embedding_that_is_not_finite_is_an_error_with_the_id():
    def broken(owners):
        return np.array(
            [[np.nan if owner.item[0].text == "b" else 1.0] for owner in owners], dtype=np.float32
        )

    with pytest.raises(ModelError, match=r"document 'd1': its embedding is not finite \(1 of 3"):
        search_exactly(
            queries("a"), texts("a", "b", "c"), embed_queries=broken, embed_documents=broken, depth=1
        )


def test_a_row_too_few_is_an_error():
    def short(owners):
        return np.ones((len(owners) - 1, 2), dtype=np.float32)

    with pytest.raises(ModelError, match="2 items were embedded as 1 vectors"):
        search_exactly(queries("a", "b"), texts("c"), embed_queries=short, embed_documents=short, depth=1)
