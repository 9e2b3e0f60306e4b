"""A data set whose pictures are left as the bytes of their files: decoding takes long, and is done once elsewhere."""

import copy
from typing import Any

from gmr.bench.mteb.library import require


def undecoded(dataset: Any, *, column: str = "image") -> Any:
    """The data set with pictures as ``{"bytes": ..., "path": ...}``; itself where there are none to leave.

    Pictures that are to be converted to another mode while they are decoded stay as they are.
    """
    datasets = require("datasets")
    if not isinstance(dataset, datasets.Dataset) or column not in dataset.features:
        return dataset
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image) and feature.mode is None:
        return dataset.cast_column(column, datasets.Image(decode=False))
    if isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Image):
        # Casting a list writes the whole column anew, once for each pair of a loader; but it is stored alike.
        dataset = copy.deepcopy(dataset)
        dataset.info.features[column] = datasets.List(datasets.Image(decode=False))
    return dataset
