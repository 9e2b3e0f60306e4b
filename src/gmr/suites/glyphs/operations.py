"""What can be asked of a picture in words ("in uppercase", "with acute", "in bold"), read off the characters' names.

An operation leads from one character to exactly one other, so a composed query has a unique right answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gmr.suites.glyphs.characters import Character

# Pairs of words that swap: asking for one of them turns the other into it.
_SWAPS: tuple[tuple[str, str, str, str], ...] = (
    ("small", "capital", "in uppercase", "in lowercase"),
    ("white", "black", "filled in", "as outline"),
    ("left", "right", "to the right", "to the left"),
    ("leftwards", "rightwards", "pointing right", "pointing left"),
    ("upwards", "downwards", "pointing down", "pointing up"),
    ("light", "heavy", "with thick lines", "with thin lines"),
)
# Marks that have a character of their own: "e" plus a picture of the mark.
MARK_CHARACTERS: dict[str, int] = {
    "acute": 0x00B4,
    "grave": 0x0060,
    "circumflex": 0x02C6,
    "tilde": 0x02DC,
    "diaeresis": 0x00A8,
    "ring above": 0x02DA,
    "caron": 0x02C7,
    "breve": 0x02D8,
    "dot above": 0x02D9,
    "macron": 0x00AF,
    "cedilla": 0x00B8,
    "ogonek": 0x02DB,
    "double acute": 0x02DD,
}


@dataclass(frozen=True)
class Operation:
    """``source`` changed as ``words`` say is ``target``; ``mark`` is a second picture for the "plus" form."""

    kind: str
    source: int
    target: int
    words: str
    mark: int | None = None


def operations(table: Iterable[Character]) -> list[Operation]:
    """Every change between two of the characters that one phrase describes, in the order of code points."""
    by_name = {character.name: character.code_point for character in table}
    found: list[Operation] = []
    for name, code_point in by_name.items():
        words = name.split()
        for first, second, to_second, to_first in _SWAPS:
            for old, new, phrase in ((first, second, to_second), (second, first, to_first)):
                if words.count(old) == 1:
                    other = by_name.get(" ".join(new if word == old else word for word in words))
                    if other is not None:
                        found.append(Operation("swap", code_point, other, phrase))
        base, separator, mark = name.rpartition(" with ")
        if separator and base in by_name:
            found.append(Operation("add", by_name[base], code_point, f"with {mark}"))
            found.append(Operation("remove", code_point, by_name[base], f"without {mark}"))
            if mark in MARK_CHARACTERS:
                found.append(Operation("plus", by_name[base], code_point, "plus", MARK_CHARACTERS[mark]))
        base, separator, mark = name.rpartition(" and ")
        if separator and base in by_name and " with " in base:
            found.append(Operation("add", by_name[base], code_point, f"with {mark}"))
    # A phrase that could lead from one character to two others has no unique answer and is left out.
    answers: dict[tuple[int, str, int | None], set[int]] = {}
    for operation in found:
        answers.setdefault((operation.source, operation.words, operation.mark), set()).add(operation.target)
    unique = [item for item in found if len(answers[item.source, item.words, item.mark]) == 1]
    return sorted(unique, key=lambda item: (item.target, item.source, item.words))
