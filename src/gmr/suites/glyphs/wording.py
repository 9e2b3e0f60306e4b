"""Texts of the suite: names, descriptions in plain words, captions, entities, spelled-out compositions.

All of it is computed from Unicode character names (which never change) and tables of this file.
"""

import html.entities
import re
import unicodedata

# Words of Unicode names -> words a person would use. Longer phrases first, so that "double acute" is not "acute".
PLAIN_WORDS: tuple[tuple[str, str], ...] = (
    ("double acute", "two rising accents"),
    ("double grave", "two falling accents"),
    ("inverted breve", "arch on top"),
    ("dot above", "dot on top"),
    ("dot below", "dot underneath"),
    ("ring above", "ring on top"),
    ("ring below", "ring underneath"),
    ("comma below", "comma underneath"),
    ("line below", "line underneath"),
    ("circumflex below", "hat underneath"),
    ("hook above", "hook on top"),
    ("diaeresis", "two dots on top"),
    ("circumflex", "hat"),
    ("acute", "rising accent"),
    ("grave", "falling accent"),
    ("macron", "bar on top"),
    ("caron", "small v on top"),
    ("breve", "cup on top"),
    ("tilde", "wave"),
    ("cedilla", "comma hook"),
    ("ogonek", "tail"),
    ("stroke", "line across"),
    ("varia", "falling accent"),
    ("oxia", "rising accent"),
    ("tonos", "accent"),
    ("perispomeni", "arch"),
    ("ypogegrammeni", "iota underneath"),
    ("prosgegrammeni", "iota beside"),
    ("dasia", "rough breathing"),
    ("psili", "smooth breathing"),
    ("dialytika", "two dots on top"),
    ("capital letter", "uppercase"),
    ("small letter", "lowercase"),
    ("capital ligature", "uppercase joined"),
    ("small ligature", "lowercase joined"),
    ("modifier letter small", "raised lowercase"),
    ("modifier letter capital", "raised uppercase"),
    ("modifier letter", "raised"),
    ("black", "filled"),
    ("white", "outlined"),
    ("leftwards", "pointing left"),
    ("rightwards", "pointing right"),
    ("upwards", "pointing up"),
    ("downwards", "pointing down"),
    ("box drawings", "frame lines"),
    ("light", "thin"),
    ("heavy", "thick"),
    ("horizontal", "level"),
    ("vertical", "upright"),
    ("digit", "numeral"),
    ("superscript", "raised"),
    ("subscript", "lowered"),
    ("vulgar fraction", "fraction"),
    ("circled", "in a circle"),
    ("turned", "upside down"),
    ("reversed", "mirrored"),
    ("greater-than", "more than"),
    ("less-than", "fewer than"),
    ("sign", "mark"),
    ("dingbat", "ornament"),
)
_PLAIN = dict(PLAIN_WORDS)
_PLAIN_PATTERN = re.compile(r"\b(" + "|".join(re.escape(old) for old, _ in PLAIN_WORDS) + r")\b")
SCRIPTS = ("latin", "greek", "cyrillic", "armenian", "georgian")

INSTRUCTIONS: dict[str, str] = {
    "t2t": "find the name for this description",
    "i2i": "find the same character in another face",
    "t2i": "find the picture of this name",
    "t2vd": "find the page that shows this character",
    "i2t": "find the name of this picture",
    "t2it": "find the entry for this name",
    "it2t": "find the name after the change",
    "it2i": "find the picture after the change",
    "it2it": "find the entry after the change",
}
STYLE_INSTRUCTION = "find another character in the same face"


def name_of(code_point: int) -> str:
    """Unicode name in lower case."""
    return unicodedata.name(chr(code_point)).lower()


def plain_words(name: str) -> str:
    """A name said in plain words: ``latin small letter e with acute`` -> ``latin lowercase e with rising accent``."""
    return _PLAIN_PATTERN.sub(lambda found: _PLAIN[found[0]], name)


def caption(code_point: int) -> str:
    """What an entry says beside its picture: the script or kind of the character, never which one it is.

    A look-alike of another script (Latin A, Greek Alpha) needs the caption, a neighbour in the script the picture.
    """
    words = name_of(code_point).split()
    if words[0] in SCRIPTS:
        case = next((word for word in words[1:3] if word in ("capital", "small")), "")
        return f"{words[0]} {case}".strip()
    kinds = {"S": "symbol", "P": "punctuation", "N": "number", "L": "letter"}
    return kinds[unicodedata.category(chr(code_point))[0]]


def spelled_out(code_point: int) -> str | None:
    """Canonical decomposition in words (``latin small letter e plus acute accent``), or None if there is none."""
    decomposition = unicodedata.decomposition(chr(code_point))
    if not decomposition or decomposition.startswith("<"):
        return None
    parts = [name_of(int(point, 16)).removeprefix("combining ") for point in decomposition.split()]
    return " plus ".join(parts)


def _entities() -> dict[int, str]:
    """Shortest HTML entity of each single code point, first in the alphabet among equals."""
    best: dict[int, str] = {}
    for entity, text in sorted(html.entities.html5.items()):
        if len(text) == 1 and entity.endswith(";"):
            bare = entity[:-1]
            held = best.get(ord(text))
            if held is None or len(bare) < len(held):
                best[ord(text)] = bare
    return best


ENTITIES: dict[int, str] = _entities()
