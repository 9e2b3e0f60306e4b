"""Pixels and colours: cosines of whole numbers, the same as the baseline's, and as integers give them."""

from fractions import Fraction
from math import sqrt

import numpy as np
import PIL.Image
import pytest

from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.first_stage import pixels
from gmr.first_stage.pixels import PictureCosine, colours, ink
from gmr.suites.baselines import PixelCosine
from tests.first_stage.items import noise, texts


def plain(colour, size=(20, 20)):
    return Image(PIL.Image.new("RGB", size, colour))


def pictures(count, first=0):
    return {f"d{i}": Document(f"d{i}", (noise(first + i, (40, 30)),)) for i in range(count)}


@pytest.mark.parametrize(("name", "feature"), [("pixels", ink), ("colours", colours)])
def test_scores_are_cosines_as_python_integers_give_them(name, feature):
    corpus, asked = pictures(8), {"q": Query("q", (noise(100),))}
    found = PictureCosine(name).search(asked, corpus, depth=8)["q"]
    left = [int(value) for value in feature(noise(100))]
    assert len(found) == 8
    for doc_id, score in found.items():
        right = [int(value) for value in feature(corpus[doc_id].item[0])]
        dot = sum(a * b for a, b in zip(left, right, strict=True))
        norms = sum(a * a for a in left) * sum(b * b for b in right)
        # The square of the cosine is a fraction; its root is what is rounded.
        assert score == round(sqrt(Fraction(dot * dot, norms)), 6)


def test_pixels_are_the_pixel_cosine_that_stands_beside_every_result():
    corpus, query = pictures(6), Query("q", (noise(50), Text("and"), noise(51)))
    corpus["two"] = Document("two", (noise(60), noise(51)))
    found = PictureCosine("pixels").search({"q": query}, corpus, depth=10)["q"]
    documents = list(corpus.values())
    expected = PixelCosine().score([(query, document) for document in documents])
    for document, score in zip(documents, expected.tolist(), strict=True):
        assert found[document.doc_id] == pytest.approx(score, abs=1e-6)
    assert next(iter(found)) == "two"


def test_the_same_picture_scores_one_and_blocks_change_nothing(monkeypatch):
    corpus, asked = pictures(9), {f"q{i}": Query(f"q{i}", (noise(i, (40, 30)),)) for i in range(5)}
    found = PictureCosine("pixels").search(asked, corpus, depth=3)
    assert all(next(iter(found[f"q{i}"].items())) == (f"d{i}", 1.0) for i in range(5))
    monkeypatch.setattr(pixels, "BLOCK_DOCUMENTS", 2)
    monkeypatch.setattr(pixels, "BLOCK_QUERIES", 2)
    assert PictureCosine("pixels").search(asked, corpus, depth=3) == found


def test_colours_do_not_see_shape():
    left = PIL.Image.new("RGB", (64, 64), "red")
    left.paste("blue", (0, 0, 32, 64))
    corpus = {
        "turned": Document("turned", (Image(left.transpose(PIL.Image.Transpose.ROTATE_180)),)),
        "red": Document("red", (plain("red"),)),
        "green": Document("green", (plain("green"),)),
    }
    found = PictureCosine("colours").search({"q": Query("q", (Image(left),))}, corpus, depth=3)["q"]
    assert found == {"turned": 1.0, "red": round(1 / sqrt(2), 6), "green": 0.0}


def test_a_white_picture_is_like_nothing_and_no_number_is_undefined():
    corpus = {"white": Document("white", (plain("white"),)), "black": Document("black", (plain("black"),))}
    found = PictureCosine("pixels").search({"q": Query("q", (plain("white"),))}, corpus, depth=3)["q"]
    assert found == {"white": 0.0, "black": 0.0}


def test_items_without_pictures_are_no_candidates_and_have_none():
    corpus = {**pictures(2), **texts("words", prefix="t")}
    asked = {"q": Query("q", (Text("words"),)), "p": Query("p", (noise(0),))}
    found = PictureCosine("colours").search(asked, corpus, depth=5)
    assert found["q"] == {}
    assert sorted(found["p"]) == ["d0", "d1"]
    assert list(found) == ["q", "p"]


def test_a_side_without_any_picture_is_an_error():
    with pytest.raises(DataError, match="pixels compares pictures, and none of the 1 documents has one"):
        PictureCosine("pixels").search({"p": Query("p", (noise(0),))}, texts("words"), depth=5)


def test_a_broken_picture_is_an_error_with_its_id(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    corpus = {"x": Document("x", (Image(tmp_path / "bad.png"),))}
    with pytest.raises(DataError, match=r"document 'x'.*bad\.png"):
        PictureCosine("pixels").search({"p": Query("p", (noise(0),))}, corpus, depth=5)


def test_features_are_whole_numbers_that_float64_multiplies_exactly():
    assert ink(plain("black")).tolist() == [255] * 1024
    assert int(colours(plain("white")).sum()) == 64 * 64
    most_ink, most_colours = 1024 * 255**2, (64 * 64) ** 2
    assert max(most_ink, most_colours) ** 2 < 2**53
    assert ink(noise(0)).dtype == np.uint8
