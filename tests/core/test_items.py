"""Every friendly spelling becomes the same parts; everything else is refused by name."""

import base64
import io
import json
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core import images
from gmr.core.errors import DataError
from gmr.core.items import (
    Image,
    Text,
    as_item,
    images_of,
    item_key,
    modality,
    replace_surrogates,
    text_of,
)
from tests.core.pictures import encode, noise

PICTURE = noise(7, 5)
PNG = encode(PICTURE, "PNG")
URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize(
    "spelled",
    [
        "a chess queen",
        Text("a chess queen"),
        ["a chess queen"],
        {"text": "a chess queen"},
        {"text": ["a chess queen"], "image": None},
        {"text": "a chess queen", "image": []},
        {"content": "a chess queen"},
        {"content": [{"type": "text", "text": "a chess queen"}]},
        {"type": "text", "text": "a chess queen"},
        [None, "", {"text": ""}, "a chess queen", Text("")],
    ],
)
def test_every_spelling_of_a_text_is_that_text(spelled):
    assert as_item(spelled) == (Text("a chess queen"),)


@pytest.mark.parametrize(
    "spelled",
    [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        [PNG],
        Image(PNG),
        {"image": PNG},
        {"image": {"bytes": PNG, "path": None}},
        {"image": {"bytes": None, "path": "a.png"}},
        {"image": URI},
        {"image": "a.png"},
        {"image": Path("a.png"), "text": ""},
        Path("a.png"),
        {"content": [{"type": "image_url", "image_url": {"url": URI}}]},
        {"content": [{"type": "image_url", "image_url": "a.png"}]},
        {"content": [{"type": "image", "image": PNG}]},
        {"type": "image", "image": "sub/b.png"},
    ],
)
def test_every_spelling_of_a_file_is_that_picture(spelled, folder):
    item = as_item(spelled, root=folder)
    assert item == (Image(PNG),)
    assert item[0].size == (7, 5)
    assert np.array_equal(np.asarray(item[0].open()), np.asarray(PICTURE))


def test_a_held_picture_is_a_picture():
    assert as_item(PICTURE) == as_item({"image": PICTURE}) == (Image(PICTURE),)
    assert as_item(PICTURE) != as_item(noise(7, 5, seed=1))


def test_a_mapping_keeps_the_order_of_its_keys():
    assert as_item({"text": "a", "image": PNG}) == (Text("a"), Image(PNG))
    assert as_item({"image": [PNG, PICTURE], "text": "a"}) == (Image(PNG), Image(PICTURE), Text("a"))


def test_lists_and_content_parts_interleave_in_order():
    expected = (Text("first"), Image(PNG), Text("then"), Image(PICTURE), Text("last"))
    assert as_item(["first", PNG, "then", PICTURE, "last"]) == expected
    assert as_item(("first", {"image": PNG, "text": "then"}, [PICTURE, "last"])) == expected
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": part}
        for part in ("first", PNG, "then", PICTURE, "last")
    ]
    assert as_item({"content": parts}) == as_item(parts) == expected


@given(st.recursive(st.text(max_size=5), lambda nested: st.lists(nested, max_size=4), max_leaves=12))
def test_lists_flatten_to_their_non_empty_texts(nested):
    def leaves(value):
        return [value] if isinstance(value, str) else [leaf for each in value for leaf in leaves(each)]

    expected = [leaf for leaf in leaves(nested) if leaf]
    if expected:
        assert [part.text for part in as_item(nested)] == expected
    else:
        with pytest.raises(DataError, match="is empty"):
            as_item(nested)


def test_an_item_is_its_own_spelling():
    for item in [(Text("a"), Image(PNG)), (Text(""),)]:
        assert as_item(item) is item


def test_white_space_is_a_text():
    assert as_item(" \n") == (Text(" \n"),)


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("", "q: '' is empty; give text, a picture or both"),
        ([], "q: [] is empty; give text, a picture or both"),
        ({}, "q: {} is empty; give text, a picture or both"),
        (None, "q: None is empty; give text, a picture or both"),
        (
            {"text": "", "image": None},
            "q: {'text': '', 'image': None} is empty; give text, a picture or both",
        ),
        ({"txt": "a"}, "q: unknown key 'txt' (known: text, image, content); did you mean 'text'?"),
        ({"text": "a", "zzz": 1}, "q: unknown key 'zzz' (known: text, image, content)"),
        ({"content": "a", "text": "b"}, "q: give either 'content' or 'text' and 'image', not both"),
        (3, "q: int is neither text nor a picture: 3"),
        (["a", 2.5], "q[1]: float is neither text nor a picture: 2.5"),
        (np.zeros((2, 2)), "q: numpy.ndarray is neither text nor a picture; use PIL.Image.fromarray: "),
        ({"text": 3}, "q.text: a string is needed, this is int: 3"),
        ({"image": 3}, "q.image: a picture is needed, this is int: 3"),
        ({"image": {"bites": b""}}, "q.image: a picture is needed, this is dict: {'bites': b''}"),
        (
            {"content": [{"type": "video", "video": "x"}]},
            "q.content[0]: unknown part type 'video'; known are",
        ),
        ({"content": [{"type": "text"}]}, "q.content[0]: a part of type 'text' needs the key 'text'"),
        (
            {"content": [{"type": "text", "text": "a", "x": 1}]},
            "q.content[0]: unknown key 'x' (known: type, text)",
        ),
        (
            {"content": [{"type": "image_url", "image_url": {"uri": "x"}}]},
            "q.content[0].image_url: unknown key 'uri'",
        ),
        (
            {"content": [{"type": "image_url", "image_url": {}}]},
            "q.content[0].image_url: a picture is needed, this",
        ),
        ({"content": [{"type": ["text"]}]}, "q.content[0]: unknown part type ['text']"),
        (json.loads("[" * 600 + "]" * 600), "q: lists are nested too deeply"),
        ({"image": "cat.png"}, "q.image: no such image file: cat.png"),
        (Path("cat.png"), "q: no such image file: cat.png"),
        ({"image": "a\0b"}, "q.image: 'a\\x00b' is not a file name"),
        (b"not an image", "q: not an image that is read here (allowed: png, jpeg, webp, gif)"),
        (PIL.Image.new("RGB", (300, 1)), "q: image of 300x1 is longer than 200:1"),
    ],
)
def test_what_is_no_item_is_refused_by_place_and_value(spelled, message):
    with pytest.raises(DataError) as refusal:
        as_item(spelled, where="q")
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["http://a.b/c.png", "https://a.b/c.png", "HTTPS://A.B", "file:///etc/passwd", "s3://a/b"]
)
@pytest.mark.parametrize(
    "spelling", [lambda u: {"image": u}, lambda u: [{"type": "image_url", "image_url": {"url": u}}]]
)
def test_nothing_is_fetched(url, spelling):
    with pytest.raises(DataError, match="is a web address; nothing is fetched, give a file or its bytes"):
        as_item(spelling(url))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("data:image/png;base64" + URI[22:], "is not a data URI of the form"),
        ("data:image/png," + URI[22:], "is not a data URI of the form"),
        ("data:text/html;base64," + URI[22:], "is not a data URI of the form"),
        ("data:data:image/png;base64," + URI[22:], "is not a data URI of the form"),
        (URI[:-8] + " " + URI[-8:], "image data is not valid base64"),
        (URI[:-1], "image data is not valid base64"),
        (URI[:40] + "-_" + URI[42:], "image data is not valid base64"),
        ("data:image/png;base64,é", "image data is not valid base64"),
        ("data:image/png;base64,", "image is empty"),
        (
            "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
            "not an image that is read here",
        ),
    ],
)
def test_a_bad_data_uri_is_refused_with_its_reason(uri, message):
    with pytest.raises(DataError, match=message):
        as_item({"image": uri})


def test_the_length_of_base64_is_checked_before_it_is_decoded(monkeypatch):
    def decode(*_args, **_options):
        raise RuntimeError("decoded")

    monkeypatch.setattr(base64, "b64decode", decode)
    too_long = "data:image/png;base64," + "A" * (images.MAX_BYTES // 3 * 4 + 8)
    with pytest.raises(DataError, match=r"^item\.image: image of about \d+ bytes exceeds 20000000$"):
        as_item({"image": too_long})


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "sub/../../secret.png", "link.png", "", "a\nb"]
)
def test_a_path_of_a_data_set_stays_in_its_folder(name, folder):
    (folder.parent / "secret.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    with pytest.raises(DataError, match=r"^row\.image: "):
        as_item({"image": name or "/"}, where="row", root=folder)


def test_a_path_may_use_two_dots_inside_its_folder(folder):
    assert as_item({"image": "sub/../a.png"}, root=folder) == (Image(PNG),)


def test_modality_text_and_pictures_of_an_item():
    item = as_item(["a", PNG, "b", PICTURE])
    assert modality(item) == "it"
    assert modality(item[:1]) == "t"
    assert modality(item[1:2]) == "i"
    assert text_of(item) == "a b"
    assert images_of(item) == (Image(PNG), Image(PICTURE))
    assert text_of(item[1:2]) == ""


@given(st.text(st.characters(), max_size=8))
def test_lone_surrogates_become_replacement_characters_and_nothing_else_changes(text):
    expected = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    assert replace_surrogates(text) == expected
    assert Text(text).text == expected


@given(st.text(st.characters(categories=["Cs"]), max_size=6).map(lambda text: "é" + text))
def test_no_surrogate_survives_in_a_text(text):
    Text(text).text.encode("utf-8")


def test_equal_pictures_are_one_key_and_others_are_not(folder):
    same = {Image(PNG), Image(folder / "a.png"), Image(folder / "sub/b.png")}
    assert len(same) == 1
    assert Image(PNG) != Image(PICTURE)  # a file and its pixels are two things
    assert Image(PNG) != "a.png"


def test_the_key_of_an_item_frames_its_parts():
    spellings = [
        ["ab"],
        ["a", "b"],
        ["b", "a"],
        ["ab", PNG],
        [PNG, "ab"],
        [PNG, PNG],
        [PNG],
        ["i" + Image(PNG).key],
    ]
    assert len({item_key(as_item(spelling)) for spelling in spellings}) == len(spellings)


def test_a_picture_names_its_file_when_it_cannot_be_opened(folder):
    path = folder / "a.png"
    picture = Image(path)
    path.write_bytes(PNG[:-20])
    with pytest.raises(DataError, match="image is cut short") as refusal:
        picture.open()
    assert str(refusal.value).startswith(str(path))
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        _ = Image(path).key


def test_a_picture_is_not_read_before_it_is_needed(folder):
    path = folder / "a.png"
    item = as_item({"image": "a.png"}, root=folder)
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="not an image"):
        _ = item[0].size


@pytest.mark.parametrize("source", [PNG, PICTURE])
def test_items_travel_to_worker_processes(source):
    item = as_item(["a", source])
    assert pickle.loads(pickle.dumps(item)) == item


def test_a_string_is_never_a_picture():
    assert as_item("a.png") == (Text("a.png"),)
    with pytest.raises(DataError, match=r"a path, bytes or PIL\.Image is needed, this is str"):
        Image("a.png")
    with pytest.raises(DataError, match="a string is needed, this is bytes"):
        Text(b"a")


def test_a_lazily_opened_picture_of_pillow_that_is_cut_short_is_refused():
    data = encode(noise(50, 50), "JPEG")
    lazy = PIL.Image.open(io.BytesIO(data[: len(data) // 2]))
    for use in (lambda image: image.open(), lambda image: image.key):
        with pytest.raises(DataError, match=r"^PIL image of 50x50: image cannot be decoded"):
            use(Image(lazy))
