"""Which characters are close to each: in the code chart, in the words of their names, in pixels (frozen)."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gmr.suites.glyphs.characters import Character


class Neighbours:
    """Orders of nearness among some characters.

    Args:
        rows: the characters, in the order of their code points.
    """

    def __init__(self, rows: Sequence[Character]) -> None:
        self.rows = list(rows)
        self.position = {row.code_point: index for index, row in enumerate(self.rows)}

    def by_block(self, code_point: int) -> Iterator[Character]:
        """All characters, nearest code point first, the lower of two equally near ones first."""
        below = self.position[code_point]
        above = below + 1
        while below >= 0 or above < len(self.rows):
            down = code_point - self.rows[below].code_point if below >= 0 else None
            up = self.rows[above].code_point - code_point if above < len(self.rows) else None
            if up is None or (down is not None and down <= up):
                yield self.rows[below]
                below -= 1
            else:
                yield self.rows[above]
                above += 1

    def by_words(self, code_point: int) -> Iterator[Character]:
        """All characters, most shared name words first (weighted Jaccard; rare words weigh more)."""
        for index in self._word_order[self.position[code_point]]:
            yield self.rows[index]

    def by_pixels(self, code_point: int) -> list[Character]:
        """The frozen list of characters drawn most like it, those among ``rows``."""
        near = self.rows[self.position[code_point]].near
        return [self.rows[self.position[point]] for point in near if point in self.position]

    @cached_property
    def _word_order(self) -> NDArray[np.int16]:
        """``(characters, characters)`` indices, most shared words first."""
        return np.argsort(-self._overlaps, axis=1, kind="stable").astype(np.int16)

    @cached_property
    def _overlaps(self) -> NDArray[np.float64]:
        """``(characters, characters)`` weighted Jaccard of the words, rounded so that no platform breaks a tie."""
        words = sorted({word for row in self.rows for word in row.name.split()})
        column = {word: index for index, word in enumerate(words)}
        has = np.zeros((len(self.rows), len(words)))
        for index, row in enumerate(self.rows):
            for word in row.name.split():
                has[index, column[word]] = 1.0
        weight = np.log(len(self.rows) / has.sum(axis=0)) + 1.0
        shared = (has * weight) @ has.T
        total = has @ weight
        return np.asarray(np.round(shared / (total[:, None] + total[None, :] - shared), 9))
