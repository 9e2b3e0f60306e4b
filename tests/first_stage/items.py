"""Small items for searches, and pictures that differ."""

import numpy as np
import PIL.Image

from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask


def text_query(query_id, text, instruction=None):
    return Query(query_id, (Text(text),), instruction)


def texts(*values, prefix="d"):
    """Documents ``d0``, ``d1``, ... of these texts."""
    return {f"{prefix}{i}": Document(f"{prefix}{i}", (Text(value),)) for i, value in enumerate(values)}


def queries(*values, prefix="q"):
    return {f"{prefix}{i}": text_query(f"{prefix}{i}", value) for i, value in enumerate(values)}


def noise(seed, size=(24, 16)):
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image(PIL.Image.fromarray(pixels))


def task(asked, corpus, qrels, name="tiny", task_type="t2t", first_stage=None):
    return RerankTask(name, task_type, asked, corpus, qrels, first_stage or {})
