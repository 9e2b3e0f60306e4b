"""Small synthetic training data: coloured squares and their names."""

from functools import cache

from PIL import Image as Picture

from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask, TrainingExample, TrainingSet

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 60),
    "blue": (40, 60, 220),
    "yellow": (240, 220, 40),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
    "pink": (250, 150, 190),
    "brown": (120, 80, 40),
}


@cache
def square(colour: str, side: int = 16) -> Image:
    return Image(Picture.new("RGB", (side, side), COLOURS[colour]))


def document(colour: str, kind: str = "text") -> Document:
    item: Item = (Text(f"the colour {colour}"),) if kind == "text" else (square(colour),)
    return Document(f"{kind}-{colour}", item)


def query(colour: str, kind: str = "text") -> Query:
    item: Item = (Text(colour),) if kind == "text" else (square(colour, 8),)
    return Query(f"q-{kind}-{colour}", item, "Find the colour.")


def training_set(*, pictures: bool = False, num_hard: int = 2, teacher: bool = False) -> TrainingSet:
    """One example per colour and kind; the hard negatives are the next colours, the pool holds all."""
    names = list(COLOURS)
    kinds = ("text", "image") if pictures else ("text",)
    examples = [
        TrainingExample(
            f"{kind}-{name}",
            query(name, "text"),
            (document(name, kind),),
            tuple(document(names[(number + step) % len(names)], kind) for step in range(1, num_hard + 1)),
            kind,
            tuple(float(-step) for step in range(num_hard + 1)) if teacher else None,
        )
        for kind in kinds
        for number, name in enumerate(names)
    ]
    return TrainingSet(examples, {kind: [document(name, kind) for name in names] for kind in kinds})


def dev_task(*, pictures: bool = False) -> RerankTask:
    """Every colour's name against all documents."""
    kind = "image" if pictures else "text"
    queries = [query(name) for name in COLOURS]
    corpus = {found.doc_id: found for found in (document(name, kind) for name in COLOURS)}
    return RerankTask(
        f"colours-{kind}",
        "t2i" if pictures else "t2t",
        {found.query_id: found for found in queries},
        corpus,
        {f"q-text-{name}": {f"{kind}-{name}": 1} for name in COLOURS},
        {found.query_id: {doc_id: -float(rank) for rank, doc_id in enumerate(corpus)} for found in queries},
    )
