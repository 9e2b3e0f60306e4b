"""The library mteb, where it is installed; a line that says how to install it where it is not."""

import importlib
import importlib.util
from typing import Any

from gmr.core.errors import DataError

INSTALL = "pip install 'gmr-rerank[bench]'"


def require(name: str) -> Any:
    """The module ``name`` of mteb or datasets.

    Raises:
        DataError: The library is not installed.
    """
    library = name.partition(".")[0]
    if importlib.util.find_spec(library) is None:
        raise DataError(f"{library} is not installed; {INSTALL}")
    return importlib.import_module(name)
