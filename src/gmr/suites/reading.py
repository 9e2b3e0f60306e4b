"""Fields of the records in a data folder, with errors that name file and line; and what the files must be."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import sha256_file, shorten

logger = logging.getLogger(__name__)


def text_field(record: Mapping[str, Any], key: str, *, where: str) -> str:
    """A field that is a non-empty string.

    Raises:
        DataError: it is missing or something else.
    """
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: {key} must be a non-empty string, this is {shorten(value)}")
    return value


def list_field(record: Mapping[str, Any], key: str, *, where: str) -> tuple[str, ...]:
    """A field that is a list of strings.

    Raises:
        DataError: it is missing or something else.
    """
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise DataError(f"{where}: {key} must be a list of strings, this is {shorten(value)}")
    return tuple(value)


def table_field(record: Mapping[str, Any], key: str, *, where: str) -> dict[str, str]:
    """A field that maps strings to non-empty strings.

    Raises:
        DataError: it is missing or something else.
    """
    value = record.get(key)
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise DataError(f"{where}: {key} must map names to non-empty strings, this is {shorten(value)}")
    return value


def data_folder(data_root: Path, suite: str, *, marker: str) -> Path:
    """The folder of a suite's data.

    Args:
        data_root: what holds the folders of all suites.
        suite: the suite, and its folder's name.
        marker: a file that is always in it.

    Raises:
        DataError: it is not there.
    """
    folder = data_root / suite
    if not (folder / marker).is_file():
        raise DataError(
            f"{folder}: no data of the suite {suite!r} (no {marker}); --data-root is the folder above it"
        )
    return folder


def check_sha256(path: Path, expected: str) -> None:
    """Warn, naming both digests, when a file is not the one that results were made with."""
    found = sha256_file(path)
    if found != expected:
        logger.warning(
            "%s: sha256 %s, expected %s: this is other data, results are not comparable",
            path,
            found,
            expected,
        )
