"""Which queries each task asks, from which characters, and their right answers (run once, then frozen)."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gmr.suites.draws import chance
from gmr.suites.glyphs.characters import Character
from gmr.suites.glyphs.faces import DESIGNS, glyph_image
from gmr.suites.glyphs.items import entry_id, glyph_id, name_id, page_id, pair_id
from gmr.suites.glyphs.operations import Operation
from gmr.suites.glyphs.wording import ENTITIES, plain_words, spelled_out

# A query's parts: ``("text", words)`` or ``("image", id of a picture document)``.
Spec = tuple[tuple[str, str], ...]
Maker = Callable[[int], str]


@dataclass(frozen=True)
class QueryPlan:
    """A query before its candidates are chosen.

    Attributes:
        kind: what is asked (``name``, ``entity``, ``style``, ``add`` …), kept as metadata.
        spec: parts of the query.
        target: character that answers it.
        traps: characters that a careless model would take (the unchanged one).
        answer: document id of the right answer.
        make: document id for another character as distractor.
        face: face every distractor must be covered by, or None for texts.
        extra: further distractor ids that belong to this query.
    """

    kind: str
    spec: Spec
    target: int
    answer: str
    make: Maker
    face: str | None = None
    traps: tuple[int, ...] = ()
    extra: tuple[str, ...] = ()


def shuffled(characters: Sequence[Character], *key: object) -> list[Character]:
    """The characters in an order that depends on the key alone."""
    return sorted(characters, key=lambda row: hashlib.sha256(f"{key}:{row.code_point}".encode()).digest())


class Faces:
    """Which faces pictures of queries and documents are drawn in, per split."""

    def __init__(self, designs: Sequence[str], extra: Sequence[str] = ()) -> None:
        self.designs = tuple(designs)
        self.extra = tuple(extra)

    def pick(self, row: Character, *key: object) -> str:
        """A face that covers the character."""
        faces = [face for design in self.designs for face in DESIGNS[design]] + list(self.extra)
        covered = [face for face in faces if face in row.faces]
        return covered[chance(*key, row.code_point, out_of=len(covered))]

    def other(self, row: Character, face: str, *key: object) -> str:
        """Another face that covers the character."""
        faces = [f for d in self.designs for f in DESIGNS[d]] + list(self.extra)
        covered = [f for f in faces if f in row.faces and f != face]
        return covered[chance("other", *key, row.code_point, out_of=len(covered))]

    def design(self, row: Character, *key: object) -> tuple[str, str, str]:
        """Regular, bold and italic of one design that covers the character."""
        covered = [d for d in self.designs if set(DESIGNS[d]) <= row.faces]
        return DESIGNS[covered[chance("design", *key, row.code_point, out_of=len(covered))]]


def _drawn_apart(code_point: int, faces: Sequence[str]) -> bool:
    """Whether the faces draw the character differently; many symbols are the same in regular and bold."""
    return len({glyph_image(code_point, face).key for face in faces}) == len(faces)


def _glyph_maker(face: str) -> Maker:
    return lambda point: glyph_id(point, face)


def _entry_maker(face: str) -> Maker:
    return lambda point: entry_id(point, face)


def text_to_text(rows: Sequence[Character], key: str) -> Iterator[QueryPlan]:
    """Descriptions in plain words, HTML entities and spelled-out compositions -> names."""
    for row in shuffled(rows, key, "t2t"):
        point = row.code_point
        choices = [("plain", plain_words(row.name))]
        entity, composition = ENTITIES.get(point), spelled_out(point)
        if entity:
            choices.append(("entity", f"&{entity};"))
        if composition:
            choices.append(("composition", composition))
        kind, words = choices[chance(key, "t2t kind", point, out_of=len(choices))]
        if words != row.name:
            yield QueryPlan(kind, (("text", words),), point, name_id(point), name_id)


def text_to_picture(rows: Sequence[Character], faces: Faces, key: str) -> Iterator[QueryPlan]:
    """Names -> pictures."""
    for row in shuffled(rows, key, "t2i"):
        face = faces.pick(row, key, "t2i")
        yield QueryPlan(
            "name",
            (("text", row.name),),
            row.code_point,
            glyph_id(row.code_point, face),
            _glyph_maker(face),
            face,
        )


def picture_to_text(rows: Sequence[Character], faces: Faces, key: str) -> Iterator[QueryPlan]:
    """Pictures -> names."""
    for row in shuffled(rows, key, "i2t"):
        spec = (("image", glyph_id(row.code_point, faces.pick(row, key, "i2t"))),)
        yield QueryPlan("picture", spec, row.code_point, name_id(row.code_point), name_id)


def picture_to_picture(rows: Sequence[Character], faces: Faces, key: str) -> Iterator[QueryPlan]:
    """Pictures -> the same character in another face (one or two pictures), or another character in the same face."""
    inside = {row.code_point for row in rows}
    for row in shuffled(rows, key, "i2i"):
        point = row.code_point
        regular, bold, italic = faces.design(row, key)
        form = chance(key, "i2i form", point, out_of=5)
        if form == 0:
            order = (regular, bold, italic)
            asked = order[chance(key, "style", point, out_of=3)]
            near = [other for other in row.near if other in inside and _drawn_apart(other, order)]
            if near and _drawn_apart(point, order):
                answer = near[chance(key, "style answer", point, out_of=min(6, len(near)))]
                wrong = [face for face in order if face != asked]
                yield QueryPlan(
                    "style",
                    (("image", glyph_id(point, asked)),),
                    answer,
                    glyph_id(answer, asked),
                    lambda p, wrong=wrong, key=key: glyph_id(p, wrong[chance(key, "w", p, out_of=2)]),  # type: ignore[misc]
                    regular,
                    extra=tuple(glyph_id(point, face) for face in wrong),
                )
        elif form == 1:
            face = (regular, bold, italic)[chance(key, "two", point, out_of=3)]
            shown = [f for f in (regular, bold, italic) if f != face]
            spec = tuple(("image", glyph_id(point, f)) for f in shown)
            yield QueryPlan("two pictures", spec, point, glyph_id(point, face), _glyph_maker(face), face)
        else:
            asked = faces.pick(row, key, "i2i")
            face = faces.other(row, asked, key)
            spec = (("image", glyph_id(point, asked)),)
            yield QueryPlan("same character", spec, point, glyph_id(point, face), _glyph_maker(face), face)


def text_to_page(rows: Sequence[Character], faces: Faces, key: str) -> Iterator[QueryPlan]:
    """Names -> the page of four characters that shows it; each distractor page is led by another character."""
    mixed = shuffled(rows, key, "page")
    fillers: dict[str, list[Character]] = {}
    for row in shuffled(rows, key, "t2vd"):
        face = faces.pick(row, key, "t2vd")
        if face not in fillers:
            fillers[face] = [other for other in mixed if face in other.faces]
        filler = fillers[face]

        def make(point: int, face: str = face, filler: list[Character] = filler, row: Character = row) -> str:
            start = chance(key, "page of", row.code_point, point, out_of=len(filler))
            around: list[int] = []
            for step in range(len(filler)):
                other = filler[(start + step) % len(filler)]
                if other.lookalikes != row.lookalikes and other.code_point != point:
                    around.append(other.code_point)
                if len(around) == 3:
                    break
            place = chance(key, "place", row.code_point, point, out_of=4)
            return page_id((*around[:place], point, *around[place:]), face)

        yield QueryPlan("name", (("text", row.name),), row.code_point, make(row.code_point), make, face)


def text_to_entry(
    rows: Sequence[Character], faces: Faces, key: str, case_pairs: dict[int, int]
) -> Iterator[QueryPlan]:
    """Names -> entries of caption and picture, some with two pictures (capital and small)."""
    for row in shuffled(rows, key, "t2it"):
        point = row.code_point
        face = faces.pick(row, key, "t2it")
        small = case_pairs.get(point)
        if small is not None and chance(key, "pair", point, out_of=3) == 0:
            words = row.name.replace("capital letter", "letter")
            plain = _pair_maker(face, case_pairs)
            yield QueryPlan(
                "two pictures", (("text", words),), point, pair_id(point, small, face), plain, face
            )
        else:
            yield QueryPlan(
                "name", (("text", row.name),), point, entry_id(point, face), _entry_maker(face), face
            )


def _pair_maker(face: str, case_pairs: dict[int, int]) -> Maker:
    """Entries with two pictures where the distractor has a small form, with one picture where it has none."""

    def make(point: int) -> str:
        small = case_pairs.get(point)
        return pair_id(point, small, face) if small is not None else entry_id(point, face)

    return make


def composed(
    changes: Sequence[Operation], rows: Mapping[int, Character], faces: Faces, key: str, task: str
) -> Iterator[QueryPlan]:
    """A picture and words that change it -> the name, picture or entry of the result."""
    ordered = sorted(changes, key=lambda change: hashlib.sha256(f"{key}:{task}:{change}".encode()).digest())
    for change in ordered:
        source, target = rows[change.source], rows[change.target]
        shared = sorted(set(faces.design(target, key, task)) & source.faces)
        if not shared:
            continue
        face = shared[chance(key, task, change.source, change.target, out_of=len(shared))]
        spec: Spec = (("image", glyph_id(change.source, face)), ("text", change.words))
        if change.mark is not None:
            if change.mark not in rows or face not in rows[change.mark].faces:
                continue
            spec = (*spec, ("image", glyph_id(change.mark, face)))
        answer = {"it2t": name_id, "it2i": _glyph_maker(face), "it2it": _entry_maker(face)}[task]
        yield QueryPlan(
            change.kind,
            spec,
            change.target,
            answer(change.target),
            answer,
            None if task == "it2t" else face,
            (change.source,),
        )


def restyled(rows: Sequence[Character], faces: Faces, key: str, task: str) -> Iterator[QueryPlan]:
    """A picture and "in bold" or "in italics" -> the picture or entry of that character in that face."""
    maker = {"it2i": glyph_id, "it2it": entry_id}[task]
    for row in shuffled(rows, key, task, "restyled"):
        regular, bold, italic = faces.design(row, key, task)
        if not _drawn_apart(row.code_point, (regular, bold, italic)):
            continue
        words, face = (("in bold", bold), ("in italics", italic))[
            chance(key, task, "face", row.code_point, out_of=2)
        ]
        others = [f for f in (regular, bold, italic) if f != face]
        yield QueryPlan(
            "restyle",
            (("image", glyph_id(row.code_point, regular)), ("text", words)),
            row.code_point,
            maker(row.code_point, face),
            lambda point, face=face, maker=maker: maker(point, face),  # type: ignore[misc]
            face,
            extra=tuple(maker(row.code_point, f) for f in others),
        )
