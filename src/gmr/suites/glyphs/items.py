"""Ids that say what an item shows, and the items they stand for.

========================  =======================================================================
``n-00e9``                the character's name
``g-00e9-serif``          its picture in a face
``p-00e9.0041.0042.0043-serif``  a page with four characters
``e-00e9-serif``          an entry: caption, then picture
``c-00c9.00e9-serif``     an entry with two pictures: caption, capital, "and", small
========================  =======================================================================
"""

from functools import lru_cache

from gmr.core.errors import DataError
from gmr.core.items import Item, Text
from gmr.core.nouns import Document
from gmr.suites.glyphs.characters import characters
from gmr.suites.glyphs.faces import FACES, glyph_image, page_image, split_variant
from gmr.suites.glyphs.wording import caption, name_of


def name_id(code_point: int) -> str:
    """Id of the document that is a character's name."""
    return f"n-{code_point:04x}"


def glyph_id(code_point: int, face: str) -> str:
    """Id of the document that is a character's picture."""
    return f"g-{code_point:04x}-{face}"


def page_id(code_points: tuple[int, ...], face: str) -> str:
    """Id of the document that is a page of four characters."""
    return f"p-{'.'.join(f'{point:04x}' for point in code_points)}-{face}"


def entry_id(code_point: int, face: str) -> str:
    """Id of the document that is a caption with a picture."""
    return f"e-{code_point:04x}-{face}"


def pair_id(capital: int, small: int, face: str) -> str:
    """Id of the document that is a caption with two pictures, interleaved."""
    return f"c-{capital:04x}.{small:04x}-{face}"


def item_of(doc_id: str) -> Item:
    """The item that an id stands for.

    Raises:
        DataError: the id has none of the forms above, or the face has no glyph for the character.
    """
    try:
        kind, points, *face = doc_id.split("-", 2)
        code_points = tuple(int(point, 16) for point in points.split("."))
        for code_point in code_points if face else ():
            _check_covered(doc_id, code_point, face[0])
        if kind == "n":
            return (Text(name_of(code_points[0])),)
        if kind == "g":
            return (glyph_image(code_points[0], face[0]),)
        if kind == "p":
            return (page_image(code_points, face[0]),)
        if kind == "e":
            return (Text(caption(code_points[0])), glyph_image(code_points[0], face[0]))
        if kind == "c":
            capital, small = code_points
            script = caption(small).split()[0]
            return (Text(script), glyph_image(capital, face[0]), Text("and"), glyph_image(small, face[0]))
    except (ValueError, IndexError, KeyError):
        pass
    raise DataError(f"{doc_id!r} is not the id of a glyphs document")


def _check_covered(doc_id: str, code_point: int, face: str) -> None:
    """Refuse a picture that would be the empty box of a font without the character: all such boxes look alike."""
    row = characters().get(code_point)
    name, _ = split_variant(face)
    if row is not None and name in FACES and name not in row.faces:
        raise DataError(f"{doc_id!r}: face {face!r} has no glyph for {row.name!r}")


def has_picture(doc_id: str) -> bool:
    """Whether the document that an id stands for shows a picture."""
    return not doc_id.startswith("n-")


@lru_cache(maxsize=4096)
def document(doc_id: str) -> Document:
    """The document that an id stands for."""
    return Document(doc_id, item_of(doc_id))
