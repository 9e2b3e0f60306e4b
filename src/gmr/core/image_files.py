"""What an image file says of itself and whether it is whole, read from its bytes before any decoder sees it.

Decoders trust files: Pillow opens a 119-byte PNG as a 531 MB picture and takes a PNG that ends after one row
as a picture with black below. Here the format is told by magic bytes, the size by the header, and
completeness by walking the file to its end.

Source: PNG (W3C Recommendation, third edition), JPEG (ITU-T T.81 annex B), GIF89a, WebP container (RFC 9649),
Exif 2.32 (CIPA DC-008) for the orientation tag.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gmr.core.errors import DataError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples per pixel
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers
JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
JPEG_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
MAX_JPEG_GARBAGE = 4096  # bytes between segments that some cameras leave, and every decoder skips


@dataclass(frozen=True)
class Header:
    """Facts of an image file: its pixels as stored, and the Exif orientation (1 to 8) to show them in."""

    format: str
    width: int
    height: int
    orientation: int = 1

    @property
    def shown_size(self) -> tuple[int, int]:
        """``(width, height)`` in pixels after orientation."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(file: BinaryIO, *, where: str) -> Header:
    """The header of a PNG, JPEG, WEBP or GIF file, told by its magic bytes; no more is read than needed.

    Raises:
        DataError: for any other format, and for a header cut short or out of order.
    """
    file.seek(0)
    magic = file.read(12)
    try:
        if magic.startswith(PNG_MAGIC):
            return _png_header(file)
        if magic.startswith(b"\xff\xd8\xff"):
            return _jpeg_header(file)
        if magic[:4] == b"RIFF" and magic[8:] == b"WEBP":
            return _webp_header(file)
        if magic[:6] in (b"GIF87a", b"GIF89a"):
            return _gif_header(file)
    except (struct.error, IndexError, EOFError):
        raise truncated(where) from None
    except ValueError as error:
        raise DataError(f"{where}: image cannot be decoded ({error})") from None
    raise DataError(f"{where}: not an image that is read here (allowed: png, jpeg, webp, gif)")


def check_complete(data: bytes, header: Header, *, where: str) -> int:
    """The number of frames of an image file, when the file is whole.

    Raises:
        DataError: if the file ends before its own structure says, or its data does not fill its pixels.
    """
    checks = {"PNG": _check_png, "JPEG": _check_jpeg, "WEBP": _check_webp, "GIF": _check_gif}
    try:
        return checks[header.format](data)
    except (struct.error, IndexError, EOFError):
        raise truncated(where) from None
    except ValueError as error:
        raise DataError(f"{where}: image cannot be decoded ({error})") from None


def truncated(where: str) -> DataError:
    """The error for a file that ends early."""
    return DataError(f"{where}: image is cut short")


def exif_orientation(exif: bytes) -> int:
    """The orientation tag (1 to 8) of a TIFF-framed Exif block; 1 when there is none that can be read."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHLH", exif, entry)
            if tag == 0x0112:
                return int(value) if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _png_header(file: BinaryIO) -> Header:
    file.seek(8)
    length, name, width, height = struct.unpack(">L4sLL", file.read(16))
    if name != b"IHDR" or length != 13:
        raise ValueError("a PNG starts with its header")
    position, orientation = 8 + 12 + 13, 1
    while True:  # the Exif chunk may stand before or after the pixels
        file.seek(position)
        start = file.read(8)
        if len(start) < 8:
            break
        length, name = struct.unpack(">L4s", start)
        if name == b"eXIf":
            orientation = exif_orientation(file.read(length))
            break
        position += 12 + length
    return Header("PNG", width, height, orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view = memoryview(data)
    position = len(PNG_MAGIC)
    while True:
        length, name = struct.unpack_from(">L4s", data, position)
        body = view[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">L", data, position + 8 + length)
        # A capital first letter marks a chunk that no reader may ignore.
        if name[:1].isupper() and zlib.crc32(body, zlib.crc32(name)) != checksum:
            raise ValueError("a PNG checksum is wrong")
        yield name, body
        if name == b"IEND":
            return
        position += 12 + length


def png_data_size(width: int, height: int, *, bits_per_pixel: int, interlaced: bool) -> int:
    """Bytes that the image data of a PNG inflates to: each row of each pass, with its filter byte."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits_per_pixel // 8))
    return total


def _check_png(data: bytes) -> int:
    needed, found, num_frames = -1, 0, 1
    inflate = zlib.decompressobj()
    for name, body in _png_chunks(data):
        if name == b"IHDR":
            if needed >= 0:
                raise ValueError("a PNG has one header")
            width, height, depth, colour, _, _, interlace = struct.unpack(">LLBBBBB", body)
            if colour not in PNG_CHANNELS or depth not in (1, 2, 4, 8, 16) or interlace > 1:
                raise ValueError("unknown PNG colour type, depth or interlacing")
            bits = depth * PNG_CHANNELS[colour]
            needed = png_data_size(width, height, bits_per_pixel=bits, interlaced=interlace == 1)
        elif name == b"acTL":
            num_frames = struct.unpack(">LL", body)[0]
        elif name == b"IDAT":
            pending = bytes(body)
            while pending and found <= needed and not inflate.eof:  # at most 1 MiB of pixels at a time
                try:
                    found += len(inflate.decompress(pending, 1 << 20))
                except zlib.error:
                    raise ValueError("the compressed data of a PNG is damaged") from None
                pending = inflate.unconsumed_tail
    if found < needed:
        raise EOFError
    return num_frames


def _jpeg_header(file: BinaryIO) -> Header:
    file.seek(2)
    size, orientation = (0, 0), 1
    while True:
        marker = _next_jpeg_marker(file)
        if marker in JPEG_STANDALONE:
            continue
        if marker in (0xD9, 0xDA):  # end of image, start of scan: nothing of the header follows
            break
        (length,) = struct.unpack(">H", file.read(2))
        body_end = file.tell() + length - 2
        if marker in JPEG_FRAMES:
            if size != (0, 0):
                raise ValueError("a JPEG has one frame")
            _, height, width = struct.unpack(">BHH", file.read(5))
            size = (width, height)
        elif marker == 0xE1:
            body = file.read(max(0, length - 2))
            if body[:6] == b"Exif\0\0":
                orientation = exif_orientation(body[6:])
        file.seek(body_end)
    if size == (0, 0):
        raise ValueError("a JPEG without a frame")
    return Header("JPEG", *size, orientation)


def _next_jpeg_marker(file: BinaryIO) -> int:
    for _ in range(MAX_JPEG_GARBAGE):
        byte = file.read(1)[0]
        if byte == 0xFF:
            while byte == 0xFF:  # any number of fill bytes may precede a marker
                byte = file.read(1)[0]
            if byte:
                return byte
    raise ValueError("no JPEG marker where one is due")


def _check_jpeg(data: bytes) -> int:
    position, num_scans = 2, 0
    while True:
        start = data.find(b"\xff", position)
        if start < 0:
            raise EOFError
        marker = data[start + 1]
        position = start + 2
        if marker == 0xFF:
            position = start + 1
        elif marker == 0xD9:
            if not num_scans:
                raise ValueError("a JPEG without pixels")
            return 1
        elif marker and marker not in JPEG_STANDALONE:
            position += struct.unpack_from(">H", data, position)[0]
            if marker == 0xDA:
                num_scans += 1
                end = JPEG_END_OF_SCAN.search(data, position)
                if end is None:
                    raise EOFError
                position = end.start()


def _webp_header(file: BinaryIO) -> Header:
    size, orientation, position = (0, 0), 1, 12
    while True:
        file.seek(position)
        start = file.read(8)
        if len(start) < 8:
            break
        name, length = struct.unpack("<4sL", start)
        if name == b"EXIF":
            exif = file.read(length)
            orientation = exif_orientation(exif.removeprefix(b"Exif\0\0"))
        elif size == (0, 0):
            size = _webp_size(name, file.read(10))
        position += 8 + length + length % 2
    if size == (0, 0):
        raise EOFError
    return Header("WEBP", *size, orientation)


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        width, width_high, height, height_high = struct.unpack_from("<4xHBHB", body)
        return (width_high << 16 | width) + 1, (height_high << 16 | height) + 1
    if name == b"VP8L":
        _, bits = struct.unpack_from("<BL", body)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("a WEBP starts with its picture or its header")


def _check_webp(data: bytes) -> int:
    (length,) = struct.unpack_from("<L", data, 4)
    if len(data) < 8 + length:
        raise EOFError
    position, num_frames, num_pictures = 12, 0, 0
    while position + 8 <= 8 + length:
        name, size = struct.unpack_from("<4sL", data, position)
        if position + 8 + size > len(data):
            raise EOFError
        num_frames += name == b"ANMF"
        num_pictures += name in (b"VP8 ", b"VP8L")
        position += 8 + size + size % 2
    if not num_frames and not num_pictures:
        raise EOFError
    return max(1, num_frames)


def _gif_header(file: BinaryIO) -> Header:
    file.seek(6)
    width, height, flags = struct.unpack("<HHB2x", file.read(7))
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)
    while (kind := file.read(1)[0]) != 0x2C:
        if kind != 0x21:
            raise ValueError("a GIF without pixels")
        file.seek(1, 1)
        while length := file.read(1)[0]:
            file.seek(length, 1)
    left, top, columns, rows = struct.unpack("<HHHH", file.read(8))
    # Pillow grows the screen where the first frame overhangs it.
    return Header("GIF", max(width, left + columns), max(height, top + rows))


def _check_gif(data: bytes) -> int:
    flags, position, num_frames = data[10], 13, 0
    if flags & 0x80:
        position += 3 << ((flags & 7) + 1)
    while (kind := data[position]) != 0x3B:
        if kind == 0x2C:
            num_frames += 1
            local = data[position + 9]
            position += 10 + (3 << ((local & 7) + 1) if local & 0x80 else 0) + 1
        elif kind == 0x21:
            position += 2
        else:
            raise ValueError("an unknown GIF block")
        while length := data[position]:
            position += 1 + length
        position += 1
    if not num_frames:
        raise ValueError("a GIF without pixels")
    return num_frames
