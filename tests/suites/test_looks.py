"""Facts about what pictures look like: whole numbers, the same in any order, the same picture most alike."""

import io

import numpy as np
import PIL.Image
import pytest

from gmr.core.items import Image
from gmr.suites.looks import BLOCKS, LIKENESS, Looks, features, likeness, stack
from tests.suites.tiny import COLOURS, SHAPES, picture

PICTURES = [Image(picture(colour, shape)) for colour in COLOURS for shape in SHAPES]


def test_features_are_whole_numbers_of_a_fixed_length():
    found = features(PICTURES[0])
    assert found.dtype == np.int64
    assert found.shape == (sum(BLOCKS),)
    assert found.min() >= 0


def test_white_paper_has_no_features():
    assert not features(Image(PIL.Image.new("RGB", (40, 90), "white"))).any()


def test_a_picture_is_most_like_itself():
    vectors = Looks(stack(PICTURES)).vectors(stack(PICTURES))
    table = likeness(vectors, vectors)
    assert (table.argmax(axis=1) == np.arange(len(PICTURES))).all()
    assert np.abs(np.diag(table) - LIKENESS).max() < LIKENESS // 50


def test_likeness_is_exact_in_integers():
    vectors = Looks(stack(PICTURES)).vectors(stack(PICTURES))
    exact = vectors.astype(np.int64)
    assert np.array_equal(vectors, exact)
    table = likeness(vectors, vectors)
    for row in range(0, len(exact), 5):
        for column in range(0, len(exact), 7):
            product = sum(int(a) * int(b) for a, b in zip(exact[row], exact[column], strict=True))
            assert table[row, column] == product * LIKENESS // (len(BLOCKS) * 1_000_000)


def test_the_colours_of_a_block_are_its_mean_ink():
    canvas = PIL.Image.new("RGB", (72, 72), "white")
    canvas.paste((0, 100, 255), (6, 0, 12, 6))
    cells = features(Image(canvas))[: BLOCKS[0]].reshape(12, 12, 3)
    assert cells[0, 1].tolist() == [255, 155, 0]
    assert cells.sum() == 255 + 155


@pytest.mark.parametrize("size", [(30, 72), (128, 64), (72, 72), (300, 299)])
def test_pictures_of_any_shape_are_looked_at(size):
    assert features(Image(PIL.Image.new("RGB", size, "red"))).any()


def test_transparency_is_looked_at_on_white():
    clear = PIL.Image.new("RGBA", (72, 72), (0, 0, 0, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    assert not features(Image(buffer.getvalue())).any()
