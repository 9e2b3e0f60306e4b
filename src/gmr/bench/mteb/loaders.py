"""What mteb hands a cross-encoder, read row by row: two data loaders of batches, a row for each pair."""

from collections.abc import Iterator, Mapping
from typing import Any

from gmr.bench.mteb.pictures import undecoded
from gmr.core.errors import DataError

# "query" is a query's text before mteb puts the instruction behind it, which goes into its own place with us.
COLUMNS = ("id", "text", "query", "image", "instruction", "content")
OTHER_MODALITIES = ("audio", "video")


def loader_rows(loader: Any, *, where: str) -> Iterator[dict[str, Any]]:
    """The rows of a loader's batches, in order, with pictures as the bytes of their files.

    Args:
        loader: A torch ``DataLoader`` of mteb's, or anything that iterates over its batches.
        where: What the loader is called in an error.

    Raises:
        DataError: A batch has audio or video, none of the columns, or columns of different lengths; or the loader
            drops rows at the end.
    """
    dataset = getattr(loader, "dataset", None)
    expected = len(dataset) if dataset is not None else None
    seen = 0
    for batch in _undecoded(loader):
        columns = _columns(batch, where)
        num_rows = len(next(iter(columns.values())))
        for index in range(num_rows):
            yield {name: values[index] for name, values in columns.items()}
        seen += num_rows
    if expected is not None and seen != expected:
        raise DataError(f"{where}: the loader gave {seen} of its {expected} rows (drop_last?)")


def _columns(batch: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name in OTHER_MODALITIES:
        if name in batch:
            raise DataError(f"{where}: there is {name}; gmr reads text and pictures")
    columns = {name: batch[name] for name in COLUMNS if name in batch}
    lengths = {name: len(values) for name, values in columns.items()}
    if not {"text", "image", "content"} & columns.keys():
        raise DataError(f"{where}: neither text nor image in the columns {', '.join(map(str, batch))}")
    if len(set(lengths.values())) > 1:
        raise DataError(f"{where}: the columns of a batch differ in length: {lengths}")
    return columns


def _undecoded(loader: Any) -> Any:
    """The same loader with pictures left as files: mteb would decode a query's picture once for each candidate."""
    dataset = getattr(loader, "dataset", None)
    kept = undecoded(dataset)
    if kept is dataset:
        return loader
    from torch.utils.data import DataLoader

    return DataLoader(
        kept,
        batch_size=loader.batch_size,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        drop_last=loader.drop_last,
    )
