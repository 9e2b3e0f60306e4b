"""Pictures of characters and of pages, drawn with the fonts that matplotlib ships."""

from functools import lru_cache

from PIL import Image as PilImage
from PIL import ImageDraw, ImageFilter

from gmr.core.fonts import load_font
from gmr.core.items import Image

SIZE_PX = 32
PAGE_PX = 64
# Training pictures also come moved, scaled and reshaped: one of 27 places and sizes, then one of six shapes.
NUM_PLACES = 27
SHAPES = ("plain", "narrow", "wide", "slanted", "heavy", "light")
NUM_VARIANTS = NUM_PLACES * len(SHAPES)
# Width of a narrow and of a wide shape, and how far a slanted one leans per pixel of height.
STRETCH: dict[str, float] = {"narrow": 0.78, "wide": 1.18}
LEAN = 0.22

# Training draws with DejaVu Sans and DejaVu Sans Mono only; every test picture is in a design never trained on.
TRAIN_FACES: dict[str, str] = {
    "sans": "DejaVuSans.ttf",
    "sans-bold": "DejaVuSans-Bold.ttf",
    "sans-italic": "DejaVuSans-Oblique.ttf",
    "mono": "DejaVuSansMono.ttf",
    "mono-bold": "DejaVuSansMono-Bold.ttf",
    "mono-italic": "DejaVuSansMono-Oblique.ttf",
}
TEST_FACES: dict[str, str] = {
    "serif": "DejaVuSerif.ttf",
    "serif-bold": "DejaVuSerif-Bold.ttf",
    "serif-italic": "DejaVuSerif-Italic.ttf",
    "stix": "STIXGeneral.ttf",
}
FACES: dict[str, str] = TRAIN_FACES | TEST_FACES
# The regular, bold and italic cut of each design: the operations "in bold" and "in italics" move along a row.
DESIGNS: dict[str, tuple[str, str, str]] = {
    "sans": ("sans", "sans-bold", "sans-italic"),
    "mono": ("mono", "mono-bold", "mono-italic"),
    "serif": ("serif", "serif-bold", "serif-italic"),
}


def split_variant(face: str) -> tuple[str, int]:
    """Face and variant of ``sans~3``: variant 0 is the plain picture, others are moved, scaled or reshaped."""
    name, _, variant = face.partition("~")
    return name, int(variant or 0)


def _draw(canvas: PilImage.Image, code_point: int, face: str, *, left: int, top: int, cell_px: int) -> None:
    """The character in the middle of a square cell of the canvas, shrunk when it would not fit."""
    draw = ImageDraw.Draw(canvas)
    face, variant = split_variant(face)
    # The first 27 variants: three sizes by three places across by three places down; then the same in other shapes.
    scale = (1.0, 0.88, 1.1)[variant % 3]
    left += (0, -1, 2)[variant // 3 % 3]
    top += (0, 2, -1)[variant // 9 % 3]
    size = round(cell_px * 0.8 * scale)
    box = draw.textbbox((0, 0), chr(code_point), font=load_font(FACES[face], size), anchor="lt")
    extent = max(box[2] - box[0], box[3] - box[1])
    if extent > cell_px - 2:
        size = max(6, int(size * (cell_px - 2) / extent))
    font = load_font(FACES[face], size)
    x, y = left + cell_px // 2, top + cell_px // 2
    box = draw.textbbox((x, y), chr(code_point), font=font, anchor="mm")
    # Characters keep their height on the line (a comma is no apostrophe) unless they would leave the cell.
    x += max(0, left + 1 - round(box[0])) - max(0, round(box[2]) - (left + cell_px - 1))
    y += max(0, top + 1 - round(box[1])) - max(0, round(box[3]) - (top + cell_px - 1))
    draw.text((x, y), chr(code_point), font=font, fill=0, anchor="mm")


def _reshaped(cell: PilImage.Image, shape: str) -> PilImage.Image:
    """A drawn cell, stretched, slanted, with thicker or thinner strokes: what other designs do to a character."""
    if shape == "plain":
        return cell
    if shape in ("heavy", "light"):
        spread = ImageFilter.MinFilter(3) if shape == "heavy" else ImageFilter.MaxFilter(3)
        return PilImage.blend(cell, cell.filter(spread), 0.5)
    middle = cell.width / 2
    across = 1 / STRETCH.get(shape, 1.0)
    lean = LEAN if shape == "slanted" else 0.0
    # Where each pixel is taken from; the middle of the cell stays where it is.
    source = (across, lean, middle * (1 - across - lean), 0, 1, 0)
    return cell.transform(
        cell.size, PilImage.Transform.AFFINE, source, resample=PilImage.Resampling.BICUBIC, fillcolor=255
    )


def _cell(code_point: int, face: str, size_px: int) -> PilImage.Image:
    """A square picture of one character, grey on white."""
    canvas = PilImage.new("L", (size_px, size_px), 255)
    _draw(canvas, code_point, face, left=0, top=0, cell_px=size_px)
    return _reshaped(canvas, SHAPES[split_variant(face)[1] // NUM_PLACES])


# Small enough that several processes may each hold one; drawing a picture again is cheap.
@lru_cache(maxsize=4096)
def glyph_image(code_point: int, face: str, size_px: int = SIZE_PX) -> Image:
    """Picture of one character, black on white, ``(size_px, size_px)`` RGB.

    Args:
        code_point: Unicode code point; must be covered by the face.
        face: name in ``FACES``, with ``~1`` to ``~161`` behind it for a picture moved, scaled or reshaped.
        size_px: side of the picture in pixels.
    """
    return Image(_cell(code_point, face, size_px).convert("RGB"))


@lru_cache(maxsize=512)
def page_image(code_points: tuple[int, ...], face: str) -> Image:
    """Picture of a page that shows four characters, two by two, ``(PAGE_PX, PAGE_PX)`` RGB."""
    canvas = PilImage.new("L", (PAGE_PX, PAGE_PX), 255)
    cell = PAGE_PX // 2
    for place, code_point in enumerate(code_points):
        canvas.paste(_cell(code_point, face, cell), (cell * (place % 2), cell * (place // 2)))
    return Image(canvas.convert("RGB"))
