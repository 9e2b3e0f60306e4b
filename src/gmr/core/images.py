"""Pictures, opened safely: RGB, upright, on white, or an error that names the file.

The order is the point: format by magic bytes, size by header, completeness by structure, only then Pillow.
Messages are our own: Pillow's hold memory addresses.
"""

import io
import logging
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image

from gmr.core.errors import DataError
from gmr.core.files import digest, unreadable
from gmr.core.image_files import Header, check_complete, read_header

logger = logging.getLogger(__name__)

Source = Path | bytes | PIL.Image.Image

MAX_PIXELS = 16_777_216
MAX_RATIO = 200  # beyond it the image processors of the Qwen family refuse the whole batch
MAX_BYTES = 20_000_000

_TRANSPOSE = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS, where: str = "image") -> PIL.Image.Image:
    """A picture as RGB: turned by its Exif orientation, transparency on white, 16-bit grey scaled by 1/257.

    Args:
        source: a file, its bytes (PNG, JPEG, WEBP or GIF), or a picture that Pillow holds already.
        max_pixels: largest width x height, checked before anything is decoded.
        where: what the picture is called in an error.

    Raises:
        DataError: if it is missing, of another format, too large, longer than 200:1, cut short, damaged,
            or in a pixel mode without an agreed meaning (F, I, LAB, HSV).
    """
    if isinstance(source, PIL.Image.Image):
        orientation = _pil_orientation(source, where=where)
        _check_size(source.size, max_pixels=max_pixels, where=where)
        return _finish(source, orientation, where=where)
    data = read_bytes(source, where=where)
    header = read_header(io.BytesIO(data), where=where)
    _check_size((header.width, header.height), max_pixels=max_pixels, where=where)
    num_frames = check_complete(data, header, where=where)
    if num_frames > 1:
        logger.warning("%s: animated (%d frames); the first frame is used", where, num_frames)
    return _finish(_decoder(data, header, where=where), header.orientation, where=where)


def image_size(source: Source, *, max_pixels: int = MAX_PIXELS, where: str = "image") -> tuple[int, int]:
    """``(width, height)`` in pixels after orientation, from the header alone.

    Raises:
        DataError: as `open_image`, as far as the header tells.
    """
    if isinstance(source, PIL.Image.Image):
        width, height = source.size
        size = (height, width) if _pil_orientation(source, where=where) >= 5 else (width, height)
    elif isinstance(source, Path):
        try:
            with _open_regular(source, where=where) as file:
                size = read_header(file, where=where).shown_size
        except OSError as error:
            raise unreadable(source, error) from error
    else:
        size = read_header(io.BytesIO(read_bytes(source, where=where)), where=where).shown_size
    _check_size(size, max_pixels=max_pixels, where=where)
    return size


def check_image(source: Source, *, max_pixels: int = MAX_PIXELS, where: str = "image") -> None:
    """Refuse what `open_image` would refuse, as far as the file's structure tells: nothing is decoded.

    Raises:
        DataError: as `open_image`.
    """
    image_size(source, max_pixels=max_pixels, where=where)
    if not isinstance(source, PIL.Image.Image):
        data = read_bytes(source, where=where)
        check_complete(data, read_header(io.BytesIO(data), where=where), where=where)


def image_key(source: Source, *, where: str = "image") -> str:
    """SHA-256 (64 hex digits) of a picture's content: file bytes as they are, or mode, size and pixels.

    Everything is framed: a 30x100 picture and a 100x30 one with the same bytes differ.
    """
    if not isinstance(source, PIL.Image.Image):
        return digest(b"file", read_bytes(source, where=where))
    orientation = _pil_orientation(source, where=where)
    try:
        pixels, palette = source.tobytes(), source.palette
        colours = palette.mode.encode() + bytes(palette.palette) if palette is not None else b""
    except Exception:
        raise _undecodable(where) from None
    facts = (source.mode, source.size, orientation, source.info.get("transparency"))
    return digest(b"pixels", repr(facts).encode(), colours, pixels)


def read_bytes(source: Path | bytes, *, where: str) -> bytes:
    """The bytes of an image file of at most 20 MB."""
    if isinstance(source, bytes):
        _check_num_bytes(len(source), where=where)
        return source
    try:
        with _open_regular(source, where=where) as file:
            return file.read()
    except OSError as error:
        raise unreadable(source, error) from error


def _open_regular(path: Path, *, where: str) -> BinaryIO:
    # A pipe or a device would block or never end.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{where}: {path} is not a file")
    _check_num_bytes(status.st_size, where=where)
    return path.open("rb")


def _check_num_bytes(num_bytes: int, *, where: str) -> None:
    if num_bytes == 0:
        raise DataError(f"{where}: image is empty (0 bytes)")
    if num_bytes > MAX_BYTES:
        raise DataError(f"{where}: image of {num_bytes} bytes exceeds {MAX_BYTES}")


def _check_size(size: tuple[int, int], *, max_pixels: int, where: str) -> None:
    width, height = size
    if min(size) < 1:
        raise DataError(f"{where}: image of {width}x{height} has no pixels")
    if width * height > max_pixels:
        raise DataError(f"{where}: image of {width}x{height} exceeds {max_pixels} pixels")
    if max(size) > MAX_RATIO * min(size):
        raise DataError(f"{where}: image of {width}x{height} is longer than {MAX_RATIO}:1")


def _decoder(data: bytes, header: Header, *, where: str) -> PIL.Image.Image:
    try:
        image = PIL.Image.open(io.BytesIO(data), formats=(header.format,))
    except Exception:
        raise _undecodable(where) from None
    # Two headers in one file would let a small one pass the limit and a large one be decoded.
    if image.size != (header.width, header.height):
        raise _undecodable(where)
    if header.format == "PNG":
        _scale_transparency(image, depth=data[24], colour=data[25])
    return image


def _scale_transparency(image: PIL.Image.Image, *, depth: int, colour: int) -> None:
    """Put the transparent level of a PNG, stated at the file's depth, on the scale of Pillow's pixels."""
    clear = image.info.get("transparency")
    if isinstance(clear, int) and colour == 0 and depth < 8:
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _pil_orientation(image: PIL.Image.Image, *, where: str) -> int:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:
        raise _undecodable(where) from None
    return orientation if orientation in _TRANSPOSE else 1


def _finish(image: PIL.Image.Image, orientation: int, *, where: str) -> PIL.Image.Image:
    if image.mode not in (*_GREY_16, *_ALPHA, *_OPAQUE):
        raise DataError(f"{where}: pixel mode {image.mode} has no agreed meaning; convert it to RGB or L")
    try:
        image.load()
        canvas = _on_white(_grey_8(image) if image.mode in _GREY_16 else image)
    except Exception:
        raise _undecodable(where) from None
    return canvas.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else canvas


def _grey_8(image: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit grey as 8 bits: v / 257, rounded, so that 65535 is 255; Pillow's own conversion clips at 255."""
    values = np.asarray(image).astype(np.uint32)
    grey = PIL.Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if (clear := image.info.get("transparency")) is not None:
        grey.putalpha(PIL.Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    # A fresh canvas carries no Exif block, so nothing downstream can turn the picture a second time.
    canvas = PIL.Image.new("RGB", image.size, "white")
    if image.mode in _ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        canvas.paste(layer, mask=layer)
    else:
        canvas.paste(image.convert("RGB"))
    return canvas


def _undecodable(where: str) -> DataError:
    return DataError(f"{where}: image cannot be decoded (damaged, or not png, jpeg, webp or gif)")
