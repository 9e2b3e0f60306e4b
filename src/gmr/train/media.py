"""Pictures of a training file are looked at before the first step: a broken one is named at once, not after hours."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.images import check_image
from gmr.core.items import images_of
from gmr.core.tasks import TrainingSet

THREADS = 8
SHOWN = 20


def refuse_broken_pictures(training_set: TrainingSet, *, where: str) -> None:
    """Stop when a file is no picture that can be shown; structures are checked, and nothing is decoded.

    Args:
        training_set: with its pictures; those that are no files were looked at when they were read.
        where: the file that names them, for the message.

    Raises:
        DataError: with how many, the first ones, and the examples that bring them.
    """
    first: dict[Path, str] = {}
    for path, example in _pictures(training_set):
        first.setdefault(path, example)
    with ThreadPoolExecutor(THREADS) as pool:
        reasons = list(pool.map(_reason, first))
    lines = [
        f"example {example!r}: {reason}"
        for example, reason in zip(first.values(), reasons, strict=True)
        if reason
    ]
    if lines:
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise DataError(
            f"{where}: {len(lines)} pictures cannot be used, and nothing was trained: "
            f"{'; '.join(lines[:SHOWN])}{more}"
        )


def _pictures(training_set: TrainingSet) -> Iterator[tuple[Path, str]]:
    """Files of pictures, each time one is shown, with the example."""
    for example in training_set.examples:
        for item in (example.query.item, *(each.item for each in (*example.positives, *example.negatives))):
            for image in images_of(item):
                if isinstance(image.source, Path):
                    yield image.source, example.example_id


def _reason(path: Path) -> str | None:
    try:
        check_image(path, where=str(path))
    except DataError as error:
        return str(error)
    return None
