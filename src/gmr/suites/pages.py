"""Pages that show several pictures in a grid, with or without captions under them."""

import PIL.Image
from PIL import ImageDraw

from gmr.core.fonts import SANS, load_font
from gmr.core.items import Image
from gmr.suites.albums import Albums
from gmr.suites.pieces import Page

CELL_PX = 72
CAPTION_WIDTH_PX, CAPTION_LINE_PX, CAPTION_LINES, FONT_PX = 132, 12, 3, 10
GAP_PX = 4


def draw_page(page: Page, albums: Albums) -> Image:
    """The page as a picture: white, cells of 72 px with 4 px between them, captions in DejaVu Sans."""
    width = CAPTION_WIDTH_PX if page.captions else CELL_PX
    height = CELL_PX + (CAPTION_LINES * CAPTION_LINE_PX if page.captions else 0)
    rows = -(-len(page.cells) // page.columns)
    size = (page.columns * (width + GAP_PX) + GAP_PX, rows * (height + GAP_PX) + GAP_PX)
    canvas = PIL.Image.new("RGB", size, "white")
    for place, cell in enumerate(page.cells):
        left = GAP_PX + place % page.columns * (width + GAP_PX)
        top = GAP_PX + place // page.columns * (height + GAP_PX)
        picture = albums.image(cell).open()
        canvas.paste(picture, (left + (width - picture.width) // 2, top + (CELL_PX - picture.height) // 2))
        if page.captions:
            _caption(canvas, page.captions[place], left=left, top=top + CELL_PX, width=width)
    return Image(canvas)


def _caption(canvas: PIL.Image.Image, text: str, *, left: int, top: int, width: int) -> None:
    draw, font = ImageDraw.Draw(canvas), load_font(SANS, FONT_PX)
    for number, line in enumerate(_lines(text, width)):
        draw.text(
            (left + width // 2, top + number * CAPTION_LINE_PX), line, fill="black", font=font, anchor="ma"
        )


def _lines(text: str, width: int) -> list[str]:
    """The text in at most three lines that fit; what is too long ends in an ellipsis."""
    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and load_font(SANS, FONT_PX).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], lines[CAPTION_LINES - 1] + "…"]
    return lines
