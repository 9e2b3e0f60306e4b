"""Which files a data set of the hub declares for a table: the ``configs`` of its README, and the usual names."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import read_text, shorten
from gmr.core.records import TABLE_SUFFIXES, find_table

MAX_CARD_BYTES = 1_000_000

Card = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Table -> split -> patterns of files; a split "" stands for any."""


def read_card(folder: Path) -> Card:
    """The tables that the head of ``README.md`` declares; none when there is no README or no declaration.

    Raises:
        DataError: for a head that is not YAML, or a declaration of another shape.
    """
    path = folder / "README.md"
    if not path.is_file():
        return {}
    if (size := path.stat().st_size) > MAX_CARD_BYTES:
        raise DataError(f"{path}: {size} bytes; a README of at most {MAX_CARD_BYTES} is read")
    head = _front_matter(read_text(path), where=str(path))
    configs = head.get("configs") if isinstance(head, Mapping) else None
    if configs is None:
        return {}
    if not isinstance(configs, list):
        raise DataError(f"{path}: configs must be a list, this is {shorten(configs)}")
    return dict(_table(config, str(path)) for config in configs)


def table_files(folder: Path, card: Card, name: str, *, split: str) -> list[Path]:
    """Files of a table: as declared for ``split``, or for its only split, else by the usual names; maybe none.

    The usual names are ``name.jsonl``, ``name.parquet``, ``name/…`` and ``data/name-….parquet``.

    Raises:
        DataError: when the table is declared with other splits, or a declared pattern leaves the folder.
    """
    if name in card:
        splits = card[name]
        if split not in splits and len(splits) > 1:
            raise DataError(
                f"{folder}: table {name!r} has no split {split!r} (there are {', '.join(splits)})"
            )
        patterns = splits.get(split) or next(iter(splits.values()))
        return sorted({path for pattern in patterns for path in _matching(folder, pattern)})
    if files := find_table(folder, name, split=split):
        return files
    return sorted(path for suffix in TABLE_SUFFIXES for path in (folder / "data").glob(f"{name}-*{suffix}"))


def _front_matter(text: str, *, where: str) -> Any:
    if not text.startswith("---"):
        return {}
    import yaml  # type: ignore[import-untyped, unused-ignore]

    head, fence, _ = text.removeprefix("---").partition("\n---")
    try:
        return yaml.safe_load(head) if fence else {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{where}: its head is not YAML ({type(error).__name__})") from None


def _table(config: Any, where: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    name = config.get("config_name") if isinstance(config, Mapping) else None
    if not isinstance(name, str):
        raise DataError(f"{where}: a config needs a config_name, this is {shorten(config)}")
    declared = config.get("data_files", config.get("data_dir"))
    splits: dict[str, tuple[str, ...]] = {}
    for split, pattern in _patterns(declared):
        if not isinstance(pattern, str) or not isinstance(split, str):
            raise DataError(f"{where}: data_files of {name!r} are {shorten(declared)}")
        splits[split] = (*splits.get(split, ()), pattern)
    if not splits:
        raise DataError(f"{where}: config {name!r} declares no data_files")
    return name, splits


def _patterns(declared: Any) -> Iterator[tuple[Any, Any]]:
    """Split and pattern, of any shape that the hub takes: a path, a list of them, or of splits with theirs."""
    if isinstance(declared, Mapping) and "path" not in declared:
        for split, path in declared.items():
            for pattern in path if isinstance(path, list) else [path]:
                yield split, pattern
    elif isinstance(declared, Mapping):
        path = declared["path"]
        for pattern in path if isinstance(path, list) else [path]:
            yield declared.get("split", ""), pattern
    elif isinstance(declared, list):
        for each in declared:
            yield from _patterns(each)
    elif declared is not None:
        yield "", declared


def _matching(folder: Path, pattern: str) -> list[Path]:
    parts = PurePosixPath(pattern)
    # By name alone: in the hub's own cache the files are links into a neighbouring folder.
    if parts.is_absolute() or ".." in parts.parts or not pattern.isprintable() or not parts.parts:
        raise DataError(f"{folder}: the README declares {shorten(pattern)}, which leaves the folder")
    found = [path for path in folder.glob(pattern) if path.is_file()]
    if not found and (folder / pattern).is_dir():
        found = [path for suffix in TABLE_SUFFIXES for path in (folder / pattern).glob(f"*{suffix}")]
    return found
