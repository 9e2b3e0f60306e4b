"""Pictures of a training file are looked at before the first step: a broken one is named at once, not after hours."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.items import Image, images_of
from gmr.core.nouns import picture_fault
from gmr.core.tasks import TrainingSet

THREADS = 8
SHOWN = 20


def refuse_broken_pictures(training_set: TrainingSet, *, where: str) -> None:
    """Stop when a picture cannot be shown; structures are checked, and nothing is decoded.

    Args:
        training_set: with its pictures, files or bytes.
        where: the file that names them, for the message.

    Raises:
        DataError: with how many, the first ones, and the examples that bring them.
    """
    first: dict[Path | bytes, tuple[Image, str]] = {}
    for image, example in _pictures(training_set):
        if isinstance(image.source, Path | bytes):
            first.setdefault(image.source, (image, example))
    with ThreadPoolExecutor(THREADS) as pool:
        faults = list(pool.map(picture_fault, ((image,) for image, _ in first.values())))
    lines = [
        f"example {example!r}: {fault}"
        for (_, example), fault in zip(first.values(), faults, strict=True)
        if fault
    ]
    if lines:
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise DataError(
            f"{where}: {len(lines)} pictures cannot be used, and nothing was trained: "
            f"{'; '.join(lines[:SHOWN])}{more}"
        )


def _pictures(training_set: TrainingSet) -> Iterator[tuple[Image, str]]:
    """Pictures, each time one is shown, with the example."""
    for example in training_set.examples:
        for item in (example.query.item, *(each.item for each in (*example.positives, *example.negatives))):
            for image in images_of(item):
                yield image, example.example_id
