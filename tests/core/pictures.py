"""Image files for tests, made by Pillow, by numpy, or byte by byte where no encoder writes what is wanted."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image

ORIENTATION = 0x0112


def encode(image: PIL.Image.Image, image_format: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(width: int, height: int, *, mode: str = "RGB", seed: int = 0) -> PIL.Image.Image:
    """A picture that does not compress, so that a cut at any place loses pixels."""
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return PIL.Image.fromarray(values)


def corners(width: int = 6, height: int = 4) -> PIL.Image.Image:
    """White, with the upper left pixel red and the upper right one blue: every turn and mirror shows."""
    image = PIL.Image.new("RGB", (width, height), "white")
    image.putpixel((0, 0), (255, 0, 0))
    image.putpixel((width - 1, 0), (0, 0, 255))
    return image


def exif(orientation: int) -> bytes:
    """An Exif block that holds an orientation."""
    block = PIL.Image.Exif()
    block[ORIENTATION] = orientation
    return block.tobytes()


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


def png(
    width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, interlace: int = 0
) -> bytes:
    """A PNG whose header promises ``width x height`` and whose data is ``rows``, whatever that is."""
    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and bodies of the chunks of a whole PNG."""
    chunks, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">L", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def with_pixels_cut(data: bytes, share: float) -> bytes:
    """A PNG, whole in structure and checksums, whose compressed pixels are those of its first rows only."""
    pixels = zlib.decompress(b"".join(body for name, body in png_chunks(data) if name == b"IDAT"))
    kept = zlib.compress(pixels[: int(len(pixels) * share)])
    before = [(n, b) for n, b in png_chunks(data) if n not in (b"IDAT", b"IEND")]
    return data[:8] + b"".join(chunk(n, b) for n, b in [*before, (b"IDAT", kept), (b"IEND", b"")])
