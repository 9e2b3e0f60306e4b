"""Facts about pictures in archives, pages drawn of them, and draws by lot."""

import zipfile

import numpy as np
import pytest

from gmr.core.errors import DataError
from gmr.suites.albums import Album, Albums
from gmr.suites.draws import chance, lot, spread
from gmr.suites.pages import CELL_PX, GAP_PX, _lines, draw_page
from gmr.suites.pieces import Page, Picture, pictures_of
from tests.suites.tiny import picture

SHOWN = [Picture("a", name) for name in ("one", "two", "three", "four")]


@pytest.fixture
def albums(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for shown, colour in zip(SHOWN, ("red", "green", "blue", "black"), strict=True):
            archive.writestr(f"{shown.name}.png", picture(colour, "box"))
    (tmp_path / "broken.zip").write_bytes(b"PK no archive")
    return Albums({name: Album(tmp_path / f"{name}.zip", ".png") for name in ("a", "broken", "missing")})


def test_a_picture_is_the_bytes_of_its_file_and_read_once(albums):
    image = albums.image(SHOWN[0])
    assert image.source == picture("red", "box")
    assert albums.image(SHOWN[0]) is image


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (Picture("a", "five"), r"a\.zip: no picture 'five\.png'"),
        (Picture("broken", "one"), r"broken\.zip: not a zip archive, or damaged"),
        (Picture("missing", "one"), r"missing\.zip: no such file"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_the_archive(albums, shown, message):
    with pytest.raises(DataError, match=message):
        albums.image(shown)


def test_a_damaged_picture_is_an_error_that_names_it(albums, tmp_path):
    path = tmp_path / "a.zip"
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT") + 20
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.zip: picture 'one\.png' is damaged"):
        albums.image(SHOWN[0])


def test_a_page_shows_each_picture_in_its_cell(albums):
    page = np.asarray(draw_page(Page(tuple(SHOWN)), albums).open())
    assert page.shape == (2 * (CELL_PX + GAP_PX) + GAP_PX, 3 * (CELL_PX + GAP_PX) + GAP_PX, 3)
    for place, shown in enumerate(SHOWN):
        top, left = (GAP_PX + part * (CELL_PX + GAP_PX) for part in divmod(place, 3))
        cell = page[top : top + CELL_PX, left : left + CELL_PX]
        assert np.array_equal(cell, np.asarray(albums.image(shown).open()))


def test_captions_add_ink_under_the_pictures_alone(albums):
    plain = draw_page(Page(tuple(SHOWN), captions=("", "", "", "")), albums)
    named = draw_page(Page(tuple(SHOWN), captions=("red box", "green", "blue", "a black box")), albums)
    changed = np.argwhere((np.asarray(plain.open()) != np.asarray(named.open())).any(axis=2))[:, 0]
    assert len(changed) > 50
    assert all(row % (CELL_PX + 36 + GAP_PX) >= GAP_PX + CELL_PX for row in changed)


def test_a_long_caption_is_three_lines_that_end_in_an_ellipsis():
    lines = _lines(
        "couple with heart and a very long list of everything that is to be seen in this picture", 132
    )
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert _lines("red box", 132) == ["red box"]


def test_the_pictures_of_a_page_are_found():
    assert pictures_of((Page(tuple(SHOWN)), SHOWN[0])) == [*SHOWN, SHOWN[0]]


def test_draws_depend_on_the_key_alone():
    assert [chance("a", n, out_of=6) for n in range(8)] == [chance("a", n, out_of=6) for n in range(8)]
    assert {chance("a", n, out_of=6) for n in range(100)} == set(range(6))
    assert lot("a", 1) == lot("a", 1) != lot("a", 2)


def test_a_spread_takes_one_of_each_group_first():
    names = [f"{group}{number}" for group in "abc" for number in range(20)] + ["d0"]
    order = spread(names, lambda name: name[0], key="k")
    assert sorted(order) == sorted(names)
    assert {name[0] for name in order[:4]} == set("abcd")
    assert {name[0] for name in order[4:7]} == set("abc")
    assert spread(reversed(names), lambda name: name[0], key="k") == order
