"""How each format is opened: a table of readers, all in ``core``."""

from collections.abc import Callable
from pathlib import Path

from gmr.core.beir import beir_source
from gmr.core.mbeir import mbeir_source
from gmr.core.mteb_layout import mteb_source
from gmr.core.task_source import TaskSource
from gmr.core.vidore import vidore_source

LOADERS: dict[str, Callable[..., TaskSource]] = {
    "beir": beir_source,
    "mbeir": mbeir_source,
    "mteb": mteb_source,
    "vidore": vidore_source,
}
"""Format -> its reader, ``(folder, *, split, instruction, …)``."""

FORMATS: dict[str, tuple[str, ...]] = {
    "beir": (),
    "mbeir": ("config",),
    "mteb": ("config", "language"),
    "vidore": ("language",),
}
"""Format -> the options that its reader takes besides ``split`` and ``instruction``."""


def open_source(
    folder: Path,
    layout: str,
    *,
    split: str,
    instruction: str | None,
    config: str | None,
    language: str | None,
) -> TaskSource:
    """The files of ``folder`` as the format ``layout`` reads them; options that are None are not passed on.

    Raises:
        DataError: when there is no such folder, or the format cannot read it.
    """
    given = {"config": config, "language": language}
    options = {key: given[key] for key in FORMATS[layout] if given[key] is not None}
    return LOADERS[layout](folder, split=split, instruction=instruction, **options)
