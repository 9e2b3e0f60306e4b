"""Queries and documents of every kind for tests of models: texts, pictures, both, interleaved."""

from functools import cache

import numpy as np
import PIL.Image

from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query

Pair = tuple[Query, Document]


@cache
def noise_picture(width: int, height: int, seed: int = 0) -> PIL.Image.Image:
    """A picture of random pixels."""
    pixels = np.random.default_rng([width, height, seed]).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


def mixed_items() -> list[Item]:
    """Text, picture, picture with text, and two pictures between texts."""
    first, second, third = (Image(noise_picture(*size)) for size in ((40, 60), (32, 32), (80, 48)))
    return [
        (Text("black chess queen"),),
        (first,),
        (second, Text("a red apple on the table")),
        (Text("this"), third, Text("then that"), first),
    ]


def text_items() -> list[Item]:
    """Texts of different lengths."""
    return [(Text("black chess queen"),), (Text("a red apple on the table " * 4),), (Text("no"),)]


def all_pairs(items: list[Item]) -> list[Pair]:
    """Every item as query with every item as document."""
    return [
        (Query(f"q{i}", query), Document(f"d{j}", document))
        for i, query in enumerate(items)
        for j, document in enumerate(items)
    ]


def pairs_for(architecture: str) -> list[Pair]:
    """Pairs of every kind that the architecture reads."""
    return all_pairs(text_items() if architecture == "qwen3" else mixed_items())
