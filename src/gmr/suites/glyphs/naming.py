"""Pictures and texts with the words that name them: what the small model is pre-trained on before it ranks anything."""

from collections.abc import Sequence
from functools import cached_property

from gmr.core.items import Text, modality, text_of
from gmr.core.tasks import TrainingSet
from gmr.suites.draws import chance
from gmr.suites.glyphs.characters import Character, characters
from gmr.suites.glyphs.faces import NUM_VARIANTS, TRAIN_FACES
from gmr.suites.glyphs.items import item_of, name_id
from gmr.suites.glyphs.operations import Operation, operations
from gmr.suites.glyphs.plans import query_item
from gmr.suites.glyphs.training import training_set
from gmr.suites.glyphs.wording import ENTITIES, INSTRUCTIONS, SCRIPTS, caption, plain_words, spelled_out
from gmr.suites.naming import NamingExample

# Kinds and how often each is drawn, in parts of 100.
KINDS: dict[str, int] = {
    "picture": 44,
    "change": 20,
    "page": 8,
    "place": 8,
    "words": 10,
    "entry": 4,
    "face": 3,
    "describe": 3,
}
PLACES = ("top left", "top right", "bottom left", "bottom right")
PAGE_QUESTION = "find where the page shows it"
FACE_WORDS: dict[str, str] = {"bold": "bold", "italic": "italics"}


class NamingExamples:
    """Examples by seed and number, from training characters and training faces only."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.rows = [row for row in characters().values() if row.split == "train"]
        self.by_point = {row.code_point: row for row in self.rows}
        self.changes = [c for c in operations(self.rows) if c.mark is None or c.mark in self.by_point]
        self._kinds = [kind for kind, share in KINDS.items() for _ in range(share)]

    def _draw(self, number: int, name: str, out_of: int) -> int:
        return chance("naming", self.seed, number, name, out_of=out_of)

    def _face(self, number: int, rows: Sequence[Character]) -> str:
        faces = [face for face in TRAIN_FACES if all(face in row.faces for row in rows)]
        face = faces[self._draw(number, "face", len(faces))]
        # Two in five pictures are moved, scaled or reshaped.
        variant = self._draw(number, "variant", NUM_VARIANTS * 5 // 2)
        return face if variant >= NUM_VARIANTS else f"{face}~{variant}"

    def example(self, number: int) -> NamingExample:  # noqa: PLR0911  (one return per kind)
        """The example of that number."""
        kind = self._kinds[self._draw(number, "kind", len(self._kinds))]
        row = self.rows[self._draw(number, "character", len(self.rows))]
        point = row.code_point
        if kind == "picture":
            face = self._face(number, [row])
            return NamingExample(INSTRUCTIONS["i2t"], item_of(f"g-{point:04x}-{face}"), row.name)
        if kind == "change":
            return self._change(number, self.changes[self._draw(number, "change", len(self.changes))])
        if kind in ("page", "place"):
            others = [self.rows[self._draw(number, f"page {place}", len(self.rows))] for place in range(3)]
            shown = [row, *others]
            face = self._face(number, shown)
            doc_id = f"p-{'.'.join(f'{other.code_point:04x}' for other in shown)}-{face}"
            place = self._draw(number, "place", len(PLACES))
            if kind == "place":
                query = item_of(name_id(shown[place].code_point))
                return NamingExample(PAGE_QUESTION, query, PLACES[place], document=item_of(doc_id))
            return NamingExample(f"find the name at the {PLACES[place]}", item_of(doc_id), shown[place].name)
        if kind == "words":
            texts = [
                plain_words(row.name),
                f"&{ENTITIES[point]};" if point in ENTITIES else "",
                spelled_out(point),
            ]
            known = [text for text in texts if text]
            chosen = known[self._draw(number, "words", len(known))]
            return NamingExample(INSTRUCTIONS["t2t"], (Text(chosen),), row.name)
        if kind == "entry":
            face = self._face(number, [row])
            return NamingExample(INSTRUCTIONS["i2t"], item_of(f"e-{point:04x}-{face}"), row.name)
        if kind == "face":
            face = self._face(number, [row])
            face = face.partition("~")[0]  # reshaped, a regular face may look bold or italic
            style = face.partition("-")[2]
            answer = f"in {FACE_WORDS[style]}" if style else "in regular"
            return NamingExample("say how it is drawn", item_of(f"g-{point:04x}-{face}"), answer)
        face = self._face(number, [row])
        return NamingExample("say it in plain words", item_of(f"g-{point:04x}-{face}"), plain_words(row.name))

    def in_ranking_layout(self, number: int) -> NamingExample:
        """The example of that number, every other one laid out as for ranking: query, then document.

        Where documents are texts, the document is to be said from the query. Where they are pictures, the model says
        what the document shows, whether it answers the query or not; where they are pages, the place on the page
        that answers it. No example says which document is relevant.
        """
        if self._draw(number, "layout", 2):
            return self.example(number)
        ranked = self._ranking.examples
        example = ranked[self._draw(number, "ranked", len(ranked))]
        (positive,) = example.positives
        instruction = example.query.instruction or ""
        if modality(positive.item) == "t":
            return NamingExample(instruction, example.query.item, text_of(positive.item), is_document=True)
        if positive.doc_id.startswith("p-"):
            asked = text_of(example.query.item)
            shows = [self.by_point[point].name for point in _points(positive.doc_id)]
            answer = PLACES[shows.index(asked)]
            return NamingExample(instruction, example.query.item, answer, document=positive.item)
        place = self._draw(number, "which", 2) * self._draw(number, "document", 1 + len(example.negatives))
        document = example.negatives[place - 1] if place else positive
        shown = self.by_point[_points(document.doc_id)[0]]
        return NamingExample(instruction, example.query.item, shown.name, document=document.item)

    @cached_property
    def _ranking(self) -> TrainingSet:
        return training_set()

    def _change(self, number: int, change: Operation) -> NamingExample:
        shown = [self.by_point[change.source]]
        if change.mark is not None:
            shown.append(self.by_point[change.mark])
        face = self._face(number, shown)
        spec: tuple[tuple[str, str], ...] = (
            ("image", f"g-{change.source:04x}-{face}"),
            ("text", change.words),
        )
        if change.mark is not None:
            spec = (*spec, ("image", f"g-{change.mark:04x}-{face}"))
        return NamingExample(INSTRUCTIONS["it2t"], query_item(spec), self.by_point[change.target].name)

    def texts(self) -> list[str]:
        """Texts that a tokenizer is trained on: names, descriptions, entities, changes, instructions."""
        texts = [row.name for row in self.rows] + [plain_words(row.name) for row in self.rows]
        texts += [f"&{ENTITIES[row.code_point]};" for row in self.rows if row.code_point in ENTITIES]
        texts += [change.words for change in self.changes] + [caption(row.code_point) for row in self.rows]
        return texts + [*INSTRUCTIONS.values(), *SCRIPTS] * 50


def _points(doc_id: str) -> list[int]:
    """Code points of the characters that a document shows, in the order of its id."""
    return [int(point, 16) for point in doc_id.split("-")[1].split(".")]
