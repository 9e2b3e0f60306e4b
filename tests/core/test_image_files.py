"""Damaged, cut, oversized and foreign files: refused before a decoder sees them, in words of our own."""

import io
import re
import resource
import struct
import subprocess
import sys
import zlib

import PIL.Image
import PIL.ImageFile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core import images
from gmr.core.errors import DataError
from gmr.core.image_files import MAX_JPEG_GARBAGE, Header, png_data_size
from gmr.core.images import MAX_BYTES, image_size, open_image
from tests.core.pictures import chunk, encode, exif, noise, png, with_pixels_cut


def animation(image_format: str) -> bytes:
    frames = [noise(24, 20, seed=seed) for seed in range(3)]
    return encode(frames[0], image_format, save_all=True, append_images=frames[1:])


FILES = {
    "png": encode(noise(60, 50), "PNG"),
    "png-palette": encode(noise(60, 50).quantize(), "PNG"),
    "png-animated": animation("PNG"),
    "jpeg": encode(noise(60, 50), "JPEG"),
    "jpeg-progressive": encode(noise(60, 50), "JPEG", progressive=True),
    "jpeg-grey-exif": encode(noise(60, 50, mode="L"), "JPEG", exif=exif(6)),
    "jpeg-restarts": encode(noise(60, 50), "JPEG", restart_marker_blocks=3),
    "webp": encode(noise(60, 50), "WEBP"),
    "webp-lossless-exif": encode(noise(60, 50), "WEBP", lossless=True, exif=exif(3)),
    "webp-animated": animation("WEBP"),
    "gif": encode(noise(60, 50), "GIF"),
    "gif-animated": animation("GIF"),
}
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")  # not the 0x of "60x131122"
REASON = re.compile(r"^cut: (image is (cut short|empty \(0 bytes\))|image cannot be decoded|not an image)")


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_opens(name):
    assert open_image(FILES[name]).size in ((60, 50), (50, 60), (24, 20))


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_refused(name):
    data = FILES[name]
    every_percent = {len(data) * percent // 100 for percent in range(100)}
    ends = {*range(64), *range(len(data) - 32, len(data)), *every_percent}
    for end in sorted(ends):
        with pytest.raises(DataError, match=REASON) as refusal:
            open_image(data[:end], where="cut")
        assert not ADDRESS.search(str(refusal.value)), end


def test_a_cut_file_on_disk_is_named(tmp_path):
    path = tmp_path / "half.jpg"
    path.write_bytes(FILES["jpeg"][:1000])
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: image is cut short$"):
        open_image(path, where=str(path))


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_png_whose_pixels_end_early_is_refused_although_every_chunk_is_whole(percent):
    data = with_pixels_cut(FILES["png"], percent / 100)
    PIL.Image.open(io.BytesIO(data)).verify()  # the trap: Pillow finds nothing wrong
    with pytest.raises(DataError, match=r"^cut: image is cut short$"):
        open_image(data, where="cut")


def test_a_png_with_one_byte_too_few_is_refused_and_one_too_many_opens():
    rows = (b"\0" + bytes(9)) * 3  # 3 rows of 3 RGB pixels
    assert open_image(png(3, 3, rows)).size == (3, 3)
    assert open_image(png(3, 3, rows + b"\0")).size == (3, 3)
    with pytest.raises(DataError, match="cut short"):
        open_image(png(3, 3, rows[:-1]))


def adam7(width: int, height: int) -> list[tuple[int, int]]:
    """Columns and rows of each pass, by asking of every pixel which pass it belongs to (PNG, 8.2)."""
    table = ("16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777")
    passes = []
    for number in "1234567":
        places = [(x, y) for y in range(height) for x in range(width) if table[y % 8][x % 8] == number]
        passes.append((len({x for x, _ in places}), len({y for _, y in places})))
    return passes


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 4, 8, 16, 24, 32, 48, 64]))
@settings(max_examples=60)
def test_an_interlaced_png_holds_the_rows_of_seven_passes(width, height, bits):
    expected = sum(
        rows * (1 + (columns * bits + 7) // 8) for columns, rows in adam7(width, height) if columns
    )
    assert png_data_size(width, height, bits_per_pixel=bits, interlaced=True) == expected


def test_an_interlaced_png_opens_when_whole_and_not_with_a_byte_less():
    size = png_data_size(13, 11, bits_per_pixel=24, interlaced=True)
    assert open_image(png(13, 11, bytes(size), interlace=1)).getpixel((12, 10)) == (0, 0, 0)
    with pytest.raises(DataError, match="cut short"):
        open_image(png(13, 11, bytes(size - 1), interlace=1))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_rows_of_every_depth_are_whole_bytes(depth):
    size = 5 * (1 + -(-7 * depth // 8))
    assert open_image(png(7, 5, bytes(size), depth=depth, colour=0)).size == (7, 5)
    with pytest.raises(DataError, match="cut short"):
        open_image(png(7, 5, bytes(size - 1), depth=depth, colour=0))


def test_a_flipped_byte_in_a_png_is_noticed():
    data = bytearray(FILES["png"])
    data[data.index(b"IDAT") + 500] ^= 1
    with pytest.raises(DataError, match=r"^x: image cannot be decoded \(a PNG checksum is wrong\)$"):
        open_image(bytes(data), where="x")


def test_png_data_that_does_not_inflate_is_refused():
    header = struct.pack(">LLBBBBB", 3, 3, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b"")
    with pytest.raises(DataError, match="the compressed data of a PNG is damaged"):
        open_image(data)


def test_a_second_header_cannot_enlarge_a_png_behind_the_check():
    small = png(2, 2, bytes(14))
    large = chunk(b"IHDR", struct.pack(">LLBBBBB", 20000, 20000, 8, 2, 0, 0, 0))
    with pytest.raises(DataError, match="a PNG has one header"):
        open_image(small[:33] + large + small[33:])


def test_a_second_frame_cannot_enlarge_a_jpeg_behind_the_check():
    data = FILES["jpeg"]
    position = data.index(b"\xff\xc0")
    (length,) = struct.unpack_from(">H", data, position + 2)
    frame = bytearray(data[position : position + 2 + length])
    frame[5:9] = struct.pack(">HH", 3000, 3000)
    with pytest.raises(DataError, match="a JPEG has one frame"):
        open_image(data[:position] + bytes(frame) + data[position:])


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif"])
def test_a_picture_that_pillow_sees_in_another_size_than_was_checked_is_not_decoded(name, monkeypatch):
    decoded = []
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda image: decoded.append(image.size))
    monkeypatch.setattr(images, "read_header", lambda file, where: Header(name.upper(), 6, 5))
    with pytest.raises(DataError, match="cannot be decoded"):
        open_image(FILES[name])
    assert not decoded


def test_bytes_after_the_end_of_a_file_are_no_damage():
    for name in ("png", "jpeg", "webp", "gif"):
        assert open_image(FILES[name] + b"<html>trailing</html>").size == (60, 50)


def test_a_little_garbage_between_jpeg_segments_is_skipped_and_much_is_not():
    data = FILES["jpeg"]
    assert data[2:4] == b"\xff\xe0"  # JFIF's segment: 18 bytes
    assert image_size(data[:20] + bytes(100) + data[20:]) == (60, 50)
    with pytest.raises(DataError, match="no JPEG marker where one is due"):
        image_size(data[:20] + bytes(MAX_JPEG_GARBAGE) + data[20:])


def bomb(width: int, height: int) -> bytes:
    """A small file that promises a large picture: one row of 1-bit pixels."""
    return png(width, height, b"\0" + bytes(-(-width // 8)), depth=1, colour=0)


def test_a_bomb_is_a_hundred_bytes():
    assert len(bomb(13300, 13300)) < 120


@pytest.mark.parametrize("size", [(13300, 13300), (60000, 60000), (4097, 4096), (16_777_217, 1)])
def test_a_bomb_is_refused_by_its_header(size):
    for read in (open_image, image_size):
        with pytest.raises(DataError, match=rf"^b: image of {size[0]}x{size[1]} exceeds 16777216 pixels$"):
            read(bomb(*size), where="b")


def webp_header(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<L", 10) + bytes(4)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<L", 4 + len(body)) + b"WEBP" + body


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + b"\xff\xda"


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b"," + struct.pack("<HHHH", 0, 0, width, height)


@pytest.mark.parametrize("header", [webp_header, jpeg_header, gif_header])
def test_a_large_header_of_any_format_is_refused_before_the_missing_pixels_are_noticed(header):
    for read in (open_image, image_size):
        with pytest.raises(DataError, match=r"^b: image of 16000x12000 exceeds 16777216 pixels$"):
            read(header(16000, 12000), where="b")


def test_bombs_cost_no_memory(tmp_path):
    """In a process of its own that may not hold the pictures: 531 MB each, were they decoded."""
    for number, size in enumerate([(13300, 13300), (60000, 60000)]):
        (tmp_path / f"{number}.png").write_bytes(bomb(*size))
    (tmp_path / "2.webp").write_bytes(webp_header(16000, 16000))
    # A whole file of allowed size whose pixels inflate without end.
    endless = zlib.compress(bytes(200_000_000), 9)
    start = png(100, 100, b"")[:33]
    (tmp_path / "3.png").write_bytes(start + chunk(b"IDAT", endless) + chunk(b"IEND", b""))
    program = f"""
import resource, pathlib
from gmr.core.images import open_image
from gmr.core.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = 0
for path in sorted(pathlib.Path({str(tmp_path)!r}).iterdir()):
    try:
        open_image(path)
    except DataError:
        refused += 1
print(refused, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    refused, grown_mib = map(int, done.stdout.split())
    assert refused == 3  # the endless one is a whole 100x100 picture with data to spare: it opens
    assert grown_mib < 30
    assert not done.stderr


def test_an_oversized_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: no bytes on disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (open_image, image_size):
        with pytest.raises(DataError, match=rf"^h: image of {MAX_BYTES + 1} bytes exceeds {MAX_BYTES}$"):
            read(path, where="h")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10 * 1024


@pytest.mark.parametrize(
    "image_format", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "DDS", "SGI"]
)
def test_other_formats_are_refused_whatever_their_name(image_format, tmp_path):
    path = tmp_path / "innocent.png"
    path.write_bytes(encode(noise(32, 32), image_format))
    for read in (open_image, image_size):
        with pytest.raises(
            DataError, match=r"^p: not an image that is read here \(allowed: png, jpeg, webp, gif\)$"
        ):
            read(path, where="p")


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x89PNG", b"GIF90a" + bytes(20)]
)
def test_what_only_looks_like_an_image_is_refused(data):
    with pytest.raises(DataError, match=r"^image: not an image that is read here"):
        open_image(data)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "e.png").touch()
    for source in (b"", tmp_path / "e.png"):
        with pytest.raises(DataError, match=r"^e: image is empty \(0 bytes\)$"):
            open_image(source, where="e")


def refusal_of(read, data):
    """The message of the refusal, None when the file is taken; any other error is the test's failure."""
    try:
        read(data, where="damaged")
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif", "png-animated", "webp-animated"])
@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.floats(0.2, 1))
@settings(max_examples=80, deadline=None)
def test_a_damaged_file_opens_or_is_refused_in_our_own_words(name, position, byte, cut):
    data = bytearray(FILES[name])
    data[int(position * len(data))] = byte
    data = bytes(data[: int(cut * len(data))])
    for read in (open_image, image_size):
        message = refusal_of(read, data)
        assert message is None or re.fullmatch("damaged: [^\n]+", message)
        assert message is None or not ADDRESS.search(message)
