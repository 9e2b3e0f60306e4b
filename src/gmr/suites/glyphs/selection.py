"""Which characters the suite has, their families, look-alikes, splits and near pictures (run once, then frozen).

``python -m gmr.suites.glyphs.build`` calls this; the result is ``data/characters.tsv``.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmr.suites.glyphs.characters import COLUMNS, Character
from gmr.suites.glyphs.faces import FACES, TEST_FACES, TRAIN_FACES, glyph_image
from gmr.suites.glyphs.wording import name_of

SPLIT_SALT = "gmr-glyphs-1"
TEST_PERCENT, DEV_PERCENT = 20, 6
LOOKALIKE_DIFFERENCE = 0.25
NUM_NEAR = 12
# Symbols that only the Sans design draws are trained on (a person asks for chess pieces), never tested.
SYMBOL_BLOCKS = ((0x2190, 0x21FF), (0x2200, 0x22FF), (0x2300, 0x23FF), (0x25A0, 0x27BF), (0x1F600, 0x1F640))
_COLOURS_AND_SIZES = {"capital", "small", "black", "white", "heavy", "light"}
_DIRECTIONS = {"left", "right", "up", "down", "leftwards", "rightwards", "upwards", "downwards"}
_FILLERS = {"with", "and", "of", "the", "on", "letter", "sign", "symbol"}
_MODIFIERS = _COLOURS_AND_SIZES | _DIRECTIONS | _FILLERS


def _covered(font_file: Path) -> set[int]:
    from fontTools.ttLib import TTFont

    return set(TTFont(font_file).getBestCmap())


def coverage() -> dict[str, set[int]]:
    """Code points that each face has a glyph for (needs fontTools)."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return {face: _covered(folder / file) for face, file in FACES.items()}


def family_key(code_point: int) -> str:
    """What characters of one family share: the case-folded compatibility decomposition, or the telling name words."""
    character = chr(code_point)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    if folded != character or unicodedata.category(character)[0] == "L":
        return " ".join(f"{ord(part):04x}" for part in folded)
    words = {word for word in re.findall(r"[a-z-]+", name_of(code_point)) if word not in _MODIFIERS}
    return " ".join(sorted(words)) or f"{code_point:04x}"


def ink(code_point: int, face: str) -> NDArray[np.float64]:
    """Ink of a character's picture, flattened, 0 for paper and 1 for black."""
    grey = np.asarray(glyph_image(code_point, face).open().convert("L"), dtype=np.float64)
    return (1.0 - grey / 255.0).ravel()


class _Union:
    """Disjoint sets of code points."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def find(self, key: str) -> str:
        self.parent.setdefault(key, key)
        while self.parent[key] != key:
            self.parent[key] = self.parent[self.parent[key]]
            key = self.parent[key]
        return key

    def join(self, first: str, second: str) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low


def lookalike_classes(faces_of: Mapping[int, frozenset[str]]) -> dict[int, str]:
    """Class of each character: joined when two are drawn almost alike in an upright face that covers both.

    Alike means that no pixel differs by more than a quarter of the way from white to black: an accent does.
    """
    union = _Union()
    for face in ("sans", "mono", "serif", "stix"):
        points = [point for point, faces in faces_of.items() if face in faces]
        pictures = np.stack([ink(point, face) for point in points])
        squares = (pictures**2).sum(axis=1)
        for row, point in enumerate(points):
            # squared distance first (one matrix product): few pairs are near enough for the exact test
            squared = squares + squares[row] - 2.0 * pictures @ pictures[row]
            for other in np.flatnonzero(squared <= 8.0):
                if other > row and np.abs(pictures[row] - pictures[other]).max() <= LOOKALIKE_DIFFERENCE:
                    union.join(f"{point:04x}", f"{points[other]:04x}")
    return {point: union.find(f"{point:04x}") for point in faces_of}


def _split(family: str) -> str:
    percent = int(hashlib.sha256(f"{SPLIT_SALT}:{family}".encode()).hexdigest(), 16) % 100
    if percent < TEST_PERCENT:
        return "test"
    return "dev" if percent < TEST_PERCENT + DEV_PERCENT else "train"


def select_characters() -> list[Character]:
    """The suite's characters in the order of their code points."""
    covered = coverage()
    everywhere = set.intersection(*(covered[face] for face in FACES if face != "stix"))
    symbols = (
        {point for low, high in SYMBOL_BLOCKS for point in range(low, high + 1)}
        & covered["sans"]
        & covered["sans-bold"]
    )
    points = [
        point
        for point in sorted(everywhere | symbols)
        if unicodedata.name(chr(point), "") and unicodedata.category(chr(point))[0] in "LNSP"
    ]
    faces_of = {point: frozenset(face for face in FACES if point in covered[face]) for point in points}
    faces_of = {point: faces for point, faces in faces_of.items() if ink(point, "sans").sum() > 1.0}
    classes = lookalike_classes(faces_of)
    union = _Union()
    for point in faces_of:
        union.join("family " + family_key(point), "class " + classes[point])
    family = {point: union.find("family " + family_key(point)) for point in faces_of}
    split = {point: _split(family[point]) for point in faces_of}
    testable = TEST_FACES.keys() - {"stix"}
    kept = [p for p in faces_of if split[p] == "train" or testable <= faces_of[p]]
    near = _near_pictures(kept, split, classes)
    return [
        Character(
            p, name_of(p), family[p].removeprefix("family "), split[p], classes[p], faces_of[p], near[p]
        )
        for p in kept
    ]


def _near_pictures(
    points: Iterable[int], split: Mapping[int, str], classes: Mapping[int, str]
) -> dict[int, tuple[int, ...]]:
    """The characters of the same split with the highest cosine of ink in the Sans face, look-alikes left out."""
    near: dict[int, tuple[int, ...]] = {}
    for name in ("train", "dev", "test"):
        members = [point for point in points if split[point] == name]
        pictures = np.stack([ink(point, "sans") for point in members])
        pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
        for row, point in enumerate(members):
            order = np.argsort(-(pictures @ pictures[row]), kind="stable")
            others = [members[i] for i in order if classes[members[i]] != classes[point]]
            near[point] = tuple(others[:NUM_NEAR])
    return near


def write_characters(table: Iterable[Character], path: Path) -> None:
    """The table as tab-separated text, faces in the order of ``FACES``."""
    lines = ["\t".join(COLUMNS)]
    for row in table:
        faces = ",".join(face for face in (*TRAIN_FACES, *TEST_FACES) if face in row.faces)
        near = ",".join(f"{point:04x}" for point in row.near)
        lines.append(
            "\t".join((f"{row.code_point:04x}", row.name, row.family, row.split, row.lookalikes, faces, near))
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
