"""A template, a query and a document as one list of texts, control ids and pictures that know their side."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gmr.core.errors import DataError
from gmr.core.items import Image, Item, Text, modality
from gmr.core.nouns import Document, Query, owner_name
from gmr.modeling.templates import Control, Side, Slot, Template, TokenId
from gmr.modeling.tokenization import PlainTokenizer

# A bound on time and memory: no more text is tokenised than this many characters for each token it may keep.
_CHARACTERS_PER_TOKEN = 250


class Fragment(NamedTuple):
    """A piece of a prompt: text, the id of a control token, or a picture.

    ``side`` says whose it is; ``None`` is the template's own.
    """

    side: Side | None
    value: str | int | Image


def resolve(template: Template, tokenizer: PlainTokenizer) -> tuple[Fragment | Slot, ...]:
    """The template's segments with control tokens as ids.

    Raises:
        ModelError: The tokenizer lacks a control token.
    """

    def one(segment: str | Control | TokenId | Slot) -> Fragment | Slot:
        if isinstance(segment, Slot):
            return segment
        if isinstance(segment, Control):
            return Fragment(None, tokenizer.control_id(segment.token))
        return Fragment(None, segment.token_id if isinstance(segment, TokenId) else segment)

    return tuple(map(one, template.segments))


def render(
    segments: Iterable[Fragment | Slot],
    query: Query,
    document: Document,
    *,
    instruction: str,
    max_tokens: int,
) -> tuple[list[Fragment], bool]:
    """Fragments of the prompt, and whether a text was cut for being absurdly long.

    Args:
        segments: From ``resolve``.
        query: Goes into the slot ``query``.
        document: Goes into the slot ``document``.
        instruction: Goes into the slot ``instruction``.
        max_tokens: Length of the longest prompt; an item's text is first cut to 250 times as many characters.

    Raises:
        DataError: The family's template has no place for an item of this kind.
    """
    fragments: list[Fragment] = []
    limit = _CHARACTERS_PER_TOKEN * max_tokens
    cut = False
    for segment in segments:
        if isinstance(segment, Fragment):
            fragments.append(segment)
        elif segment.side == "instruction":
            cut |= len(instruction) > limit
            fragments.append(Fragment("instruction", instruction[:limit]))
        else:
            owner = query if segment.side == "query" else document
            cut |= _lay_out(fragments, segment, owner.item, limit=limit, where=owner_name(owner))
    return fragments, cut


def _lay_out(fragments: list[Fragment], slot: Slot, item: Item, *, limit: int, where: str) -> bool:
    """Appends the fragments of one item; ``True`` if its text was cut to ``limit`` characters."""
    if slot.accepts != ("t", "i", "it") or slot.max_images is not None:
        _check_kind(slot, item, where)
    parts: Sequence[Text | Image] = item
    if slot.images_first:
        parts = sorted(item, key=lambda part: isinstance(part, Text))
    left = limit
    cut, empty = False, True
    for part in parts:
        if isinstance(part, Text):
            text = part.text[:left]
            cut |= len(text) < len(part.text)
            left -= len(text)
            empty = empty and not text
            fragments.append(Fragment(slot.side, text))
        else:
            empty = False
            fragments.append(Fragment(slot.side, part))
    if empty and slot.if_empty:
        fragments.append(Fragment(None, slot.if_empty))
    return cut


def _check_kind(slot: Slot, item: Item, where: str) -> None:
    kinds = {"t": "text", "i": "image", "it": "image and text"}
    kind = modality(item)
    if kind not in slot.accepts:
        accepted = " or ".join(kinds[code] for code in slot.accepts)
        raise DataError(f"{where} is {kinds[kind]}; the model's prompt takes {accepted} as {slot.side}")
    num_images = sum(isinstance(part, Image) for part in item)
    if slot.max_images is not None and num_images > slot.max_images:
        raise DataError(
            f"{where} has {num_images} pictures; the model's prompt takes {slot.max_images} as {slot.side}"
        )
