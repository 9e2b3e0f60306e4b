"""The same picture at another size or quality, without colour, without content, or with words on it."""

import io

import PIL.Image
from PIL import ImageDraw, ImageFont

from gmr.core.fonts import SANS, load_font
from gmr.core.images import MAX_PIXELS, MAX_RATIO
from gmr.core.items import Image

# Words on a picture must be readable: smaller pictures are enlarged first, with and without an attack.
MIN_WIDTH_PX = 224


def resized(image: Image, *, factor: float) -> Image:
    """The picture with ``factor`` times as many pixels, of the same shape, within what a picture may have.

    A picture that would become larger than allowed gets the most that is allowed.
    """
    opened = image.open()
    pixels = opened.width * opened.height
    scale = min(factor, 0.98 * MAX_PIXELS / pixels) ** 0.5
    width, height = (max(1, round(side * scale)) for side in opened.size)
    # A thin picture made small would become one pixel thin, and longer than allowed.
    width, height = max(width, -(-height // MAX_RATIO)), max(height, -(-width // MAX_RATIO))
    return png(opened.resize((width, height), PIL.Image.Resampling.BICUBIC))


def as_jpeg(image: Image, *, quality: int) -> Image:
    """The picture after JPEG at a quality from 1 to 95."""
    buffer = io.BytesIO()
    image.open().save(buffer, format="JPEG", quality=quality)
    return Image(buffer.getvalue())


def grey(image: Image) -> Image:
    """The picture without colour."""
    return png(image.open().convert("L").convert("RGB"))


def blank(image: Image) -> Image:
    """A white picture of the same size."""
    return png(PIL.Image.new("RGB", image.open().size, "white"))


def with_words(image: Image, words: str) -> Image:
    """The picture with a white band under it that says ``words``, as large as the width allows."""
    opened = image.open()
    scale = max(1.0, MIN_WIDTH_PX / opened.width)
    if opened.width * opened.height * scale**2 <= MAX_PIXELS / 2:
        opened = opened.resize(
            (round(opened.width * scale), round(opened.height * scale)), PIL.Image.Resampling.BICUBIC
        )
    width, height = opened.size
    font = _fitting_font(words, width=width, height=max(12, height // 4))
    left, top, right, bottom = font.getbbox(words)
    band = int(bottom - top) + 8
    canvas = PIL.Image.new("RGB", (width, height + band), "white")
    canvas.paste(opened)
    ImageDraw.Draw(canvas).text(
        ((width - (right - left)) / 2 - left, height + 4 - top), words, fill="black", font=font
    )
    return png(canvas)


def png(opened: PIL.Image.Image) -> Image:
    """The pixels as bytes, which take less memory than a picture that is open."""
    buffer = io.BytesIO()
    opened.save(buffer, format="PNG", compress_level=1)
    return Image(buffer.getvalue())


def _fitting_font(words: str, *, width: int, height: int) -> ImageFont.FreeTypeFont:
    """The largest font in which the words are as wide and high as allowed; the smallest where none is."""
    for size in range(min(height, 96), 8, -1):
        font = load_font(SANS, size)
        left, _, right, _ = font.getbbox(words)
        if right - left <= 0.94 * width:
            return font
    return load_font(SANS, 8)
