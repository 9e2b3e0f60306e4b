"""The queries of all nine task types from one set of characters."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from gmr.core.items import Item, Text
from gmr.suites.glyphs import queries
from gmr.suites.glyphs.characters import Character
from gmr.suites.glyphs.items import item_of
from gmr.suites.glyphs.operations import Operation
from gmr.suites.glyphs.queries import Faces, QueryPlan, Spec
from gmr.suites.glyphs.wording import INSTRUCTIONS, STYLE_INSTRUCTION


def query_item(spec: Spec) -> Item:
    """The item of a query's parts."""
    return tuple(Text(value) if kind == "text" else item_of(value)[0] for kind, value in spec)


def instruction_of(task_type: str, kind: str) -> str:
    """The sentence that says what relevance means for a query."""
    return STYLE_INSTRUCTION if kind == "style" else INSTRUCTIONS[task_type]


def plans(
    rows: Sequence[Character],
    everything: Mapping[int, Character],
    changes: Sequence[Operation],
    faces: Faces,
    key: str,
) -> dict[str, Iterator[QueryPlan]]:
    """Streams of queries by task type.

    Args:
        rows: characters that may be a right answer.
        everything: all characters; a composed query may start from any of them.
        changes: from ``operations``; those whose result is among ``rows`` are asked.
        faces: what pictures are drawn in.
        key: everything drawn at random depends on it alone.
    """
    inside = {row.code_point for row in rows}
    asked = [change for change in changes if change.target in inside]
    lower = {
        change.source: change.target
        for change in asked
        if change.words == "in lowercase" and change.source in inside
    }
    streams = {
        "t2t": queries.text_to_text(rows, key),
        "i2i": queries.picture_to_picture(rows, faces, key),
        "t2i": queries.text_to_picture(rows, faces, key),
        "t2vd": queries.text_to_page(rows, faces, key),
        "i2t": queries.picture_to_text(rows, faces, key),
        "t2it": queries.text_to_entry(rows, faces, key, lower),
        "it2t": queries.composed(asked, everything, faces, key, "it2t"),
    }
    for task_type in ("it2i", "it2it"):
        # One query in four restyles: bold and italic are changes that no name tells of.
        stream = queries.composed(asked, everything, faces, key, task_type)
        streams[task_type] = _interleave(stream, queries.restyled(rows, faces, key, task_type))
    return streams


def _interleave(main: Iterator[QueryPlan], side: Iterator[QueryPlan]) -> Iterator[QueryPlan]:
    for number in itertools.count():
        plan = next(side if number % 4 == 3 else main, None)
        if plan is None:
            return
        yield plan
