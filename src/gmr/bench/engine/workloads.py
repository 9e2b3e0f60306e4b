"""Queries with candidates of every kind, made on the spot and as large as the model takes them."""

from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw

from gmr.core.errors import UsageError
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Pair, Query
from gmr.modeling.images import image_factor
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import Slot
from gmr.suites import load

QUERY_TOKENS, DOCUMENT_TOKENS = 20, 150
KINDS = {"t": "text", "i": "pictures", "it": "pictures with text"}


@dataclass(frozen=True)
class Workload:
    """What is ranked for what.

    Attributes:
        name: as it is typed.
        query: kind of the queries: ``t``, ``i`` or ``it``.
        document: kind of the documents.
        picture_tokens: tokens of a picture where the model takes so many.
        num_queries: queries that share the documents.
    """

    name: str
    query: str
    document: str
    picture_tokens: int = 256
    num_queries: int = 1


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("T->T", "t", "t"),
        Workload("T->I", "t", "i"),
        Workload("I->T", "i", "t"),
        Workload("IT->IT", "it", "it"),
        Workload("pages", "t", "i", picture_tokens=1024, num_queries=3),
    )
}


def find_workload(name: str) -> Workload:
    """The workload called ``name``; ``t2i`` is ``T->I``, whose arrow a shell takes for its own.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    by_name = {known.lower().replace("->", "2"): workload for known, workload in WORKLOADS.items()}
    plain = name.lower().replace("->", "2")
    if plain not in by_name:
        raise UsageError(f"--workload: {name!r} is unknown; there are {', '.join(by_name)}")
    return by_name[plain]


@dataclass(frozen=True)
class Sizes:
    """Mean lengths in tokens of what stands in a prompt."""

    query: int
    document: int
    picture: int


def why_not(model: RerankModel, workload: Workload) -> str | None:
    """Why the model cannot be given this workload; None where it can."""
    for side, kind in (("query", workload.query), ("document", workload.document)):
        slots = [each for each in model.processor.template.segments if isinstance(each, Slot)]
        accepted = {each for slot in slots if slot.side == side for each in slot.accepts}
        if kind not in accepted or ("i" in kind and not model.facts.takes_pictures):
            return f"the model takes no {KINDS[kind]} as {side}"
    return None


def sizes_for(processor: PromptProcessor, workload: Workload) -> Sizes:
    """Lengths at which the longest prompt of a workload still fits."""
    least = processor.encode(_query(workload, "a", "a", 1), _document(workload, "d", "a", 1))
    room = processor.max_tokens - len(least.input_ids)
    query, document = min(QUERY_TOKENS, room // 8), min(DOCUMENT_TOKENS, room // 3)
    pictures = (workload.query + workload.document).count("i")
    if not pictures or processor.image_processor is None:
        return Sizes(query, document, 0)
    # A text may be half longer than the mean.
    texts = query * ("t" in workload.query) + document * ("t" in workload.document)
    most = processor.image_processor.size["longest_edge"] // image_factor(processor.image_processor) ** 2
    return Sizes(
        query, document, max(1, min(workload.picture_tokens, most, (room - 3 * texts // 2) // pictures))
    )


def pairs_of(processor: PromptProcessor, workload: Workload, *, num_documents: int) -> list[Pair]:
    """The pairs of a workload, the same in every process; about ``num_documents`` of them, at least one a query.

    Texts are words of the embedded suite, half longer or shorter than their mean length; pictures are drawn.
    """
    sizes = sizes_for(processor, workload)
    rng = np.random.default_rng(sum(map(ord, workload.name)))
    (task,) = load("glyphs", split="dev", task_types=["t2t"])
    texts = [part.text for each in task.corpus.values() for part in each.item if isinstance(part, Text)]
    words = sorted({word for text in texts for word in text.split()})
    per_word = len(processor.plain_tokenizer.encode(" ".join(words))) / len(words)
    side = 1 if processor.image_processor is None else image_factor(processor.image_processor)

    def item(kind: str, num_tokens: int) -> Item:
        parts: list[Text | Image] = []
        if "i" in kind:
            parts.append(Image(_draw(rng, sizes.picture * side**2, is_page=workload.num_queries > 1)))
        if "t" in kind:
            number = max(1, round(num_tokens * rng.uniform(0.5, 1.5) / per_word))
            parts.append(Text(" ".join(rng.choice(words, number))))
        return tuple(parts)

    queries = [Query(f"q{n}", item(workload.query, sizes.query)) for n in range(workload.num_queries)]
    number = max(1, num_documents // workload.num_queries)
    documents = [Document(f"d{n}", item(workload.document, sizes.document)) for n in range(number)]
    return [(query, document) for query in queries for document in documents]


def _draw(rng: np.random.Generator, num_pixels: int, *, is_page: bool) -> PIL.Image.Image:
    """A picture of some coloured shapes, or a page of grey lines; no two are alike."""
    width = max(8, round((num_pixels / (1.4 if is_page else 1.0)) ** 0.5))
    height = max(8, round(num_pixels / width))
    ground = (255, 255, 255) if is_page else tuple(rng.integers(0, 256, 3).tolist())
    picture = PIL.Image.new("RGB", (width, height), ground)
    draw = PIL.ImageDraw.Draw(picture)
    if is_page:
        for top in range(height // 20, height, max(2, height // 40)):
            grey = int(rng.integers(0, 160))
            draw.line((width // 10, top, width * rng.uniform(0.3, 0.9), top), fill=(grey, grey, grey))
        return picture
    for _ in range(6):
        left, right = sorted(rng.integers(0, width, 2).tolist())
        top, bottom = sorted(rng.integers(0, height, 2).tolist())
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, right, bottom), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return picture


def _query(workload: Workload, query_id: str, text: str, side: int) -> Query:
    return Query(query_id, _item(workload.query, text, side))


def _document(workload: Workload, doc_id: str, text: str, side: int) -> Document:
    return Document(doc_id, _item(workload.document, text, side))


def _item(kind: str, text: str, side: int) -> Item:
    parts: list[Text | Image] = []
    if "i" in kind:
        parts.append(Image(PIL.Image.new("RGB", (side, side))))
    if "t" in kind:
        parts.append(Text(text))
    return tuple(parts)
