"""Files whole or absent: atomic writes, digests, JSON Lines with line numbers, paths that stay inside."""

import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError


def digest(*parts: bytes) -> str:
    """SHA-256 (64 hex digits) of ``parts``, each framed by its length: no two lists collide."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of the bytes of a file, as ``sha256sum`` prints it.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader, a full disk or a kill leaves the old file or the new.

    Raises:
        DataError: if the folder cannot be written or the disk is full; the old file is then untouched.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; the result gets the rights that open() would have given it.
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
        temporary = ""
        _sync_folder(path.parent)
    except OSError as error:
        raise DataError(f"{path}: {len(data)} bytes cannot be written ({error.strerror})") from error
    finally:  # an interrupt leaves no litter either
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def delete_unfinished(folder: Path) -> None:
    """Delete what killed processes left of `atomic_write_bytes` below ``folder``; call it while nobody writes there."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, line ends as they are, atomically.

    Raises:
        DataError: as `atomic_write_bytes`, and for lone surrogates, which no file of text can hold.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{path}: text with lone surrogates cannot be written") from None
    atomic_write_bytes(path, data)


def atomic_write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN and infinity are refused with ``ValueError``."""
    atomic_write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def atomic_write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically; NaN and infinity are refused with ``ValueError``."""
    lines = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    atomic_write_text(path, "".join(lines))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        DataError: if the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 (byte {error.start} is {error.object[error.start]:#04x})"
        ) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and lines without their ends, of a UTF-8 file, plain or ``.gz``; ``-`` is stdin.

    Only a line feed ends a line: U+2028 and its like are text.

    Raises:
        DataError: ``path:line: ...`` if the file is missing, is not UTF-8, or is a gzip file cut short.
    """
    number = 0
    try:
        with _open_lines(path) as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(f"{path}:{number}: not UTF-8 (byte {error.start} is {byte:#04x})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(f"{path}:{number + 1}: the gzip data is damaged or cut short") from None
    except OSError as error:
        raise unreadable(path, error) from error


def _open_lines(path: Path) -> AbstractContextManager[Iterable[bytes]]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)  # not ours to close
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and objects of a JSON Lines file, plain or ``.gz``; blank lines hold no record.

    Raises:
        DataError: ``path:line: ...`` for what is not a JSON object, a repeated key, or NaN and infinity.
    """
    for number, line in read_lines(path):
        if line.strip():
            yield number, parse_json_object(line, where=f"{path}:{number}")


def parse_json_object(text: str, *, where: str) -> dict[str, Any]:
    """The JSON object that ``text`` holds.

    Raises:
        DataError: if it is not valid JSON, not an object, repeats a key, holds NaN, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise DataError(f"{where}: not valid JSON (nested too deeply)") from None
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: a JSON object is needed, this is {type(value).__name__}: {shorten(text)}")
    return value


def safe_join(root: Path, relative: str, *, where: str = "path") -> Path:
    """``root / relative``, when that lies inside ``root`` after every ``..`` and symbolic link is followed.

    Raises:
        DataError: for an empty, absolute or unprintable path, and for one that leaves ``root``.
    """
    if not relative or not relative.isprintable():
        raise DataError(f"{where}: {relative!r} is not a file name")
    if Path(relative).is_absolute():
        raise DataError(f"{where}: {relative!r} is absolute; give it relative to {root}")
    try:
        inside = (root / relative).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a loop of links
        inside = False
    if not inside:
        raise DataError(f"{where}: {relative!r} leaves {root}")
    return root / relative


def file_names(names: Sequence[str]) -> dict[str, str]:
    """A name that every file system takes for each of ``names``; different names stay different."""
    chosen: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "unnamed"
        number = 1
        candidate = plain
        while candidate.lower() in {other.lower() for other in chosen.values()}:
            number += 1
            candidate = f"{plain}-{number}"
        chosen[name] = candidate
    return chosen


def shorten(value: object, *, max_chars: int = 80) -> str:
    """``repr(value)`` on one line, cut to ``max_chars``, for a message."""
    if isinstance(value, (str, bytes)):
        value = value[:max_chars]  # its quotes then make it longer than is shown
    text = repr(value).replace("\n", " ")
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not give, without the system's own spelling of it."""
    reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or "unreadable")
    return DataError(f"{path}: {reason[:1].lower()}{reason[1:]}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {shorten(repeated)} is given twice")
    return record


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def umask() -> int:
    """The rights that this process takes from every file it makes."""
    # The only portable way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; a file system that cannot sync folders is no error."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
