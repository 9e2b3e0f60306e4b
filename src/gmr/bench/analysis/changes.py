"""The same item with one thing changed: text around it, a side left out, parts in another order."""

from collections.abc import Callable
from itertools import cycle, islice

from gmr.core.items import Image, Item, Text, images_of, text_of

# Says nothing about any subject, and does not claim to.
FILLER = (
    "This part of the page is here to fill space. It is written in plain words and ends where it ends."
    " Another line follows, and it says as little as the one before. Nothing depends on it. The next"
    " sentence is of the same kind, and so is the one after. The page goes on like this for a while."
)


def filler(num_words: int) -> str:
    """So many words that say nothing."""
    return " ".join(islice(cycle(FILLER.split()), num_words))


def has_text(item: Item) -> bool:
    """Whether an item has any text."""
    return bool(text_of(item).strip())


def has_picture(item: Item) -> bool:
    """Whether an item has any picture."""
    return bool(images_of(item))


def is_fused(item: Item) -> bool:
    """Whether an item has both text and a picture."""
    return has_text(item) and has_picture(item)


def text_after(item: Item, text: str) -> Item:
    """The item with the text on a line of its own at its end."""
    if isinstance(item[-1], Text):
        return (*item[:-1], Text(f"{item[-1].text}\n{text}"))
    return (*item, Text(text))


def text_before(item: Item, text: str) -> Item:
    """The item with the text on a line of its own at its start."""
    if isinstance(item[0], Text):
        return (Text(f"{text}\n{item[0].text}"), *item[1:])
    return (Text(text), *item)


def text_around(item: Item, text: str) -> Item:
    """The item with half of the words of the text before it and the rest after."""
    words = text.split()
    half = len(words) // 2
    return text_after(text_before(item, " ".join(words[:half])), " ".join(words[half:]))


def texts_alone(item: Item) -> Item:
    """The item without its pictures."""
    return tuple(part for part in item if isinstance(part, Text))


def pictures_alone(item: Item) -> Item:
    """The item without its texts."""
    return images_of(item)


def pictures_first(item: Item) -> Item:
    """The pictures in their order, then the texts in theirs."""
    return (*images_of(item), *texts_alone(item))


def texts_first(item: Item) -> Item:
    """The texts in their order, then the pictures in theirs."""
    return (*texts_alone(item), *images_of(item))


def pictures_reversed(item: Item) -> Item:
    """The pictures in each other's places, last first; texts stay where they are."""
    backwards = iter(images_of(item)[::-1])
    return tuple(next(backwards) if isinstance(part, Image) else part for part in item)


def with_pictures(item: Item, change: Callable[[Image], Image]) -> Item:
    """The item with each picture changed."""
    return tuple(change(part) if isinstance(part, Image) else part for part in item)


def with_pictures_of(item: Item, other: Item) -> Item:
    """The item with the pictures of another in the places of its own, from the first on again where they are fewer."""
    given = cycle(images_of(other))
    return tuple(next(given) if isinstance(part, Image) else part for part in item)


def with_texts_of(item: Item, other: Item) -> Item:
    """The item with all texts of another in the place of its first text, and no other text."""
    place = next(number for number, part in enumerate(item) if isinstance(part, Text))
    kept = [part if number != place else Text(text_of(other)) for number, part in enumerate(item)]
    return tuple(part for number, part in enumerate(kept) if isinstance(part, Image) or number == place)
