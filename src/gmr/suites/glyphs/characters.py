"""The frozen list of characters: family, split, faces that cover each, look-alikes and near pictures."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from gmr.core.errors import DataError

COLUMNS = ("code_point", "name", "family", "split", "lookalikes", "faces", "near")


@dataclass(frozen=True)
class Character:
    """One row of ``data/characters.tsv``.

    Attributes:
        code_point: Unicode code point.
        name: Unicode name in lower case.
        family: characters of one family (case pairs, compatibility forms, look-alikes, directions) share a split.
        split: ``train``, ``dev`` or ``test``.
        lookalikes: class of characters drawn (almost) alike; two of one class are never in one candidate list.
        faces: faces that cover it.
        near: code points of the same split that look most like it, nearest first.
    """

    code_point: int
    name: str
    family: str
    split: str
    lookalikes: str
    faces: frozenset[str]
    near: tuple[int, ...]

    @property
    def block(self) -> int:
        """Number of its run of 128 code points."""
        return self.code_point >> 7


def parse_characters(text: str, *, where: str) -> dict[int, Character]:
    """Characters by code point, in the order of the table.

    Raises:
        DataError: a row has another number of columns, or a code point stands twice.
    """
    table: dict[int, Character] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if number == 1 or not line:
            continue
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise DataError(
                f"{where}:{number}: {len(cells)} columns, expected {len(COLUMNS)}: {', '.join(COLUMNS)}"
            )
        code_point = int(cells[0], 16)
        if code_point in table:
            raise DataError(f"{where}:{number}: code point {cells[0]} stands twice")
        near = tuple(int(point, 16) for point in cells[6].split(",") if point)
        table[code_point] = Character(
            code_point, cells[1], cells[2], cells[3], cells[4], frozenset(cells[5].split(",")), near
        )
    return table


@lru_cache(maxsize=1)
def characters() -> dict[int, Character]:
    """The frozen characters of the suite by code point."""
    resource = files("gmr.suites.glyphs") / "data" / "characters.tsv"
    return parse_characters(resource.read_text(encoding="utf-8"), where="characters.tsv")
