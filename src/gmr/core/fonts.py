"""The fonts that matplotlib ships, which are the same on every machine."""

from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from gmr.core.errors import DataError

SANS = "DejaVuSans.ttf"


@lru_cache(maxsize=256)
def load_font(file: str, size_px: int) -> ImageFont.FreeTypeFont:
    """The font of a file such as `SANS`; ``basic`` layout, so that Pillow built with or without Raqm draws the same.

    Raises:
        DataError: matplotlib has no such file.
    """
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file
    if not path.is_file():
        raise DataError(f"{path}: this font is missing; reinstall matplotlib")
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)
