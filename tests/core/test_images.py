"""What a picture looks like once it is open: pixels worked out by hand, whatever the file's mode."""

import io
import logging
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.image_files import exif_orientation
from gmr.core.images import image_key, image_size, open_image
from tests.core.pictures import chunk, corners, encode, exif, noise, png

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def one_pixel(mode: str, value: object) -> PIL.Image.Image:
    return PIL.Image.new(mode, (1, 1), value)


def close(pixel: object, expected: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(pixel, expected)).max() <= 1)


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 0, (0, 0, 0)),
        ("1", 1, WHITE),
        ("L", 77, (77, 77, 77)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), WHITE),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204)),  # 51/255 = 0.2: 0.2 * colour + 0.8 * 255
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("LA", (0, 255), (0, 0, 0)),
        ("LA", (0, 0), WHITE),
        ("LA", (100, 51), (224, 224, 224)),  # 0.2 * 100 + 0.8 * 255
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_pixel_is_its_colour_on_white(mode, value, expected, as_file):
    image = one_pixel(mode, value)
    opened = open_image(encode(image, "PNG") if as_file else image)
    assert opened.mode == "RGB"
    assert close(opened.getpixel((0, 0)), expected)


def test_alpha_is_the_mean_of_colour_and_white_for_every_alpha():
    alphas = np.arange(256, dtype=np.uint8)
    pixels = np.stack([np.full(256, 200), np.full(256, 0), np.full(256, 90), alphas], axis=-1)
    image = PIL.Image.fromarray(pixels.reshape(16, 16, 4).astype(np.uint8), "RGBA")
    opened = np.asarray(open_image(image), dtype=float).reshape(256, 3)
    share = alphas[:, None] / 255
    expected = share * np.array([200, 0, 90]) + (1 - share) * 255
    assert np.abs(opened - expected).max() <= 1


def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour():
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putdata([0, 1])
    for data in (encode(image, "PNG", transparency=0), encode(image, "GIF", transparency=0)):
        opened = open_image(data)
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (200, 100, 50)]


def test_palette_entries_have_their_own_alpha_in_a_png():
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putdata([0, 1])
    opened = open_image(encode(image, "PNG", transparency=bytes([51, 255])))
    assert close(opened.getpixel((0, 0)), (204, 204, 204))
    assert opened.getpixel((1, 0)) == (200, 100, 50)


def test_a_colour_that_is_declared_transparent_is_white():
    image = PIL.Image.new("RGB", (2, 1), (9, 8, 7))
    image.putpixel((1, 0), (1, 2, 3))
    opened = open_image(encode(image, "PNG", transparency=(9, 8, 7)))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (1, 2, 3)]


def with_clear(data: bytes, *levels: int) -> bytes:
    """A PNG that declares a grey level or colour transparent."""
    position = data.index(b"IDAT") - 4
    return data[:position] + chunk(b"tRNS", b"".join(v.to_bytes(2, "big") for v in levels)) + data[position:]


@pytest.mark.parametrize(
    ("depth", "row", "clear", "shown"),
    [
        (8, [0, 5, 200], 5, [0, 255, 200]),
        (4, [0x05, 0xF0], 5, [0, 255, 255]),  # samples 0, 5, 15
        (2, [0b00011000], 1, [0, 255, 170]),  # samples 0, 1, 2
        (1, [0b01000000], 0, [255, 255, 255]),  # samples 0, 1, 0
        (16, [0, 0, 1, 44, 156, 64], 300, [0, 255, 156]),  # samples 0, 300, 40000
    ],
)
def test_a_grey_level_that_is_declared_transparent_is_white_at_every_depth(depth, row, clear, shown):
    data = with_clear(png(3, 1, bytes([0, *row]), depth=depth, colour=0), clear)
    assert [open_image(data).getpixel((x, 0))[0] for x in range(3)] == shown


def test_a_16_bit_colour_that_is_declared_transparent_is_white():
    rows = b"\0" + b"".join(v.to_bytes(2, "big") for v in (300, 40000, 50000, 40000, 300, 0))
    opened = open_image(with_clear(png(2, 1, rows, depth=16), 300, 40000, 50000))
    assert opened.getpixel((0, 0)) == WHITE
    assert close(opened.getpixel((1, 0)), (156, 1, 0))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (128, 0), (129, 1), (257, 1), (32768, 128), (40000, 156), (65407, 255), (65535, 255)],
)
def test_16_bit_grey_is_divided_by_257(value, expected):
    image = PIL.Image.fromarray(np.full((2, 3), value, np.uint16))
    assert round(value / 257) == expected
    for source in (image, encode(image, "PNG")):
        assert open_image(source).getpixel((2, 1)) == (expected,) * 3


@pytest.mark.parametrize("colour", [2, 6])
def test_16_bit_colours_are_within_one_level_of_their_257th(colour):
    values = [65535, 32768, 300] + ([65535] if colour == 6 else [])
    data = png(1, 1, b"\0" + b"".join(v.to_bytes(2, "big") for v in values), depth=16, colour=colour)
    assert close(open_image(data).getpixel((0, 0)), (255, 128, 1))


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_cmyk_inks_are_taken_from_white(ink, expected):
    image = PIL.Image.new("CMYK", (16, 16), ink)
    assert open_image(image).getpixel((5, 5)) == expected
    assert close(open_image(encode(image, "JPEG", quality=100)).getpixel((5, 5)), expected)


@pytest.mark.parametrize("mode", ["F", "I", "LAB", "HSV"])
def test_modes_without_an_agreed_meaning_are_refused(mode):
    with pytest.raises(DataError, match=f"^img: pixel mode {mode} has no agreed meaning; convert it"):
        open_image(PIL.Image.new(mode, (2, 2)), where="img")


# Where the red (upper left) and blue (upper right) corners of a 6x4 file are shown, by the Exif standard.
SHOWN = {
    1: ((6, 4), (0, 0), (5, 0)),
    2: ((6, 4), (5, 0), (0, 0)),
    3: ((6, 4), (5, 3), (0, 3)),
    4: ((6, 4), (0, 3), (5, 3)),
    5: ((4, 6), (0, 0), (0, 5)),
    6: ((4, 6), (3, 0), (3, 5)),
    7: ((4, 6), (3, 5), (3, 0)),
    8: ((4, 6), (0, 5), (0, 0)),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "JPEG", "PIL"])
def test_pictures_are_shown_upright(orientation, image_format):
    size, red, blue = SHOWN[orientation]
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(image_format, {})
    if image_format == "JPEG":  # lossy: corners of a block each, read in the middle of the block
        file = encode(corners().resize((48, 32), 0), "JPEG", exif=exif(orientation), **options)
        size, red, blue = ((8 * x, 8 * y) for x, y in (size, red, blue))
        red, blue = ((x + 4, y + 4) for x, y in (red, blue))
    elif image_format == "PIL":
        file = corners()
        file.getexif()[0x0112] = orientation
    else:
        file = encode(corners(), image_format, exif=exif(orientation), **options)
    opened = open_image(file)
    assert image_size(file) == opened.size == tuple(size)
    assert np.abs(np.subtract(opened.getpixel(tuple(red)), RED)).max() < 20
    assert np.abs(np.subtract(opened.getpixel(tuple(blue)), BLUE)).max() < 20


def test_an_orientation_after_the_pixels_of_a_png_counts():
    data = encode(corners(), "PNG")
    late = data[:-12] + chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + data[-12:]
    assert image_size(late) == open_image(late).size == (4, 6)


def test_an_opened_picture_cannot_be_turned_a_second_time():
    opened = open_image(encode(corners(), "PNG", exif=exif(6)))
    assert not opened.getexif()
    assert not opened.info


@given(st.binary(max_size=64))
def test_any_exif_block_gives_an_orientation(block):
    assert 1 <= exif_orientation(block) <= 8


@given(st.integers(0, 65535), st.sampled_from(["<", ">"]))
def test_an_unknown_orientation_is_upright(value, order):
    code = "little" if order == "<" else "big"
    block = (b"II" if order == "<" else b"MM") + (42).to_bytes(2, code) + (8).to_bytes(4, code)
    block += (
        (1).to_bytes(2, code) + (0x0112).to_bytes(2, code) + (3).to_bytes(2, code) + (1).to_bytes(4, code)
    )
    block += value.to_bytes(2, code) + b"\0\0"
    assert exif_orientation(block) == (value if 1 <= value <= 8 else 1)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_shown_with_a_warning(image_format, caplog):
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encode(frames[0], image_format, save_all=True, append_images=frames[1:], duration=50, **options)
    with caplog.at_level(logging.WARNING, "gmr"):
        assert open_image(data, where="anim").getpixel((3, 3)) == RED
    assert caplog.messages == ["anim: animated (3 frames); the first frame is used"]


def test_a_still_picture_gives_no_warning(caplog):
    for image_format in ("GIF", "WEBP", "PNG", "JPEG"):
        open_image(encode(noise(9, 7), image_format))
    assert not caplog.messages


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (1, 200), (33, 17)])
def test_a_file_has_the_size_and_pixels_that_pillow_sees(image_format, size, tmp_path):
    path = tmp_path / "picture.anything"  # the suffix says nothing
    path.write_bytes(encode(noise(*size), image_format))
    opened = open_image(path)
    expected = PIL.Image.open(path).convert("RGB")
    assert image_size(path) == opened.size == size
    assert np.array_equal(np.asarray(opened), np.asarray(expected))


@pytest.mark.parametrize("mode", ["lossy", "lossless", "alpha"])
def test_every_kind_of_webp_tells_its_size(mode):
    image = noise(300, 123)
    if mode == "alpha":
        image.putalpha(128)
    assert image_size(encode(image, "WEBP", lossless=mode == "lossless")) == (300, 123)


def test_a_progressive_jpeg_and_an_interlaced_png_open():
    image = noise(40, 30)
    jpeg = encode(image, "JPEG", progressive=True)
    assert np.array_equal(np.asarray(open_image(jpeg)), np.asarray(PIL.Image.open(io.BytesIO(jpeg))))


def test_a_picture_that_the_caller_holds_is_left_as_it_was():
    image = PIL.Image.new("RGBA", (3, 2), (1, 2, 3, 4))
    before = image.tobytes()
    open_image(image).putpixel((0, 0), (9, 9, 9))
    assert image.mode == "RGBA"
    assert image.tobytes() == before


def test_two_pictures_of_the_same_bytes_and_other_shapes_have_other_keys():
    pixels = bytes(range(256)) * 36
    wide = PIL.Image.frombytes("RGB", (100, 30), pixels[:9000])
    tall = PIL.Image.frombytes("RGB", (30, 100), pixels[:9000])
    grey = PIL.Image.frombytes("L", (100, 90), pixels[:9000])
    assert len({image_key(image) for image in (wide, tall, grey)}) == 3


def test_the_key_of_a_held_picture_sees_palette_transparency_and_orientation():
    def picture(change):
        image = PIL.Image.new("P", (2, 2), 1)
        image.putpalette([0, 0, 0, 10, 20, 30])
        change(image)
        return image_key(image)

    def turn(image):
        image.getexif()[0x0112] = 6

    changes = [
        lambda image: None,
        lambda image: image.putpalette([0, 0, 0, 30, 20, 10]),
        lambda image: image.info.update(transparency=1),
        turn,
    ]
    assert len({picture(change) for change in changes}) == len(changes)
    assert picture(changes[0]) == picture(changes[0])


def test_the_key_of_a_file_is_that_of_its_bytes(tmp_path):
    data = encode(noise(5, 5), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert image_key(path) == image_key(data)
    assert image_key(data) != image_key(data + b"\0")


@given(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
def test_keys_of_bytes_differ_when_the_bytes_do(a, b):
    assert (image_key(a) == image_key(b)) == (a == b)


def test_a_picture_of_200_to_1_is_the_longest_that_opens():
    assert open_image(PIL.Image.new("RGB", (200, 1))).size == (200, 1)
    for size in ((201, 1), (1, 201)):
        with pytest.raises(DataError, match=r"^x: image of \d+x\d+ is longer than 200:1$"):
            open_image(PIL.Image.new("RGB", size), where="x")


def test_the_pixel_limit_is_the_last_size_that_opens():
    image = encode(PIL.Image.new("1", (40, 25)), "PNG")
    assert open_image(image, max_pixels=1000).size == (40, 25)
    with pytest.raises(DataError, match=r"^x: image of 40x25 exceeds 999 pixels$"):
        open_image(image, max_pixels=999, where="x")


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"^nowhere/cat\.png: no such file$"):
        open_image(Path("nowhere/cat.png"), where="nowhere/cat.png")


def test_a_folder_is_no_picture(tmp_path):
    for read in (open_image, image_size, image_key):
        with pytest.raises(DataError, match="is not a file"):
            read(tmp_path, where="x")
