"""Embeddings of documents on disk, by model and content, so that a corpus is embedded once.

    <folder>/<digest of the embedder>/<digest of the keys>.safetensors

A file holds the vectors of some documents, the SHA-256 of each one's content, and a checksum of both. Any number of
processes may add files: each is there whole or not at all, and what it holds never changes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_bytes, digest

SUFFIX = ".safetensors"


class VectorFolder:
    """Vectors by the digest of what was embedded.

    Args:
        folder: made when missing.
        identity: digest of everything that a vector depends on beside the document; vectors of another embedder are
            never read.

    Raises:
        DataError: the folder cannot be made or read, or a file in it is damaged.
    """

    def __init__(self, folder: Path, *, identity: str) -> None:
        self.folder = folder / identity[:32]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            files = sorted(self.folder.glob(f"*{SUFFIX}"))
        except OSError as error:
            raise DataError(f"{folder}: no folder for embeddings ({error.strerror})") from error
        # Which file has a vector, and in which row: the vectors themselves stay on disk.
        self._places: dict[str, tuple[Path, int]] = {}
        for path in files:
            _, keys = _read(path)
            self._places |= {key: (path, row) for row, key in enumerate(keys)}

    def __len__(self) -> int:
        return len(self._places)

    def get(self, keys: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The vectors that are there of those asked for.

        Raises:
            DataError: a file was taken away.
        """
        wanted: dict[Path, list[tuple[str, int]]] = {}
        for key in dict.fromkeys(keys):
            if key in self._places:
                path, row = self._places[key]
                wanted.setdefault(path, []).append((key, row))
        found: dict[str, npt.NDArray[np.float32]] = {}
        for path, rows in wanted.items():
            try:
                with safe_open(str(path), framework="numpy") as file:
                    vectors = file.get_slice("vectors")
                    found |= {key: vectors[row : row + 1][0] for key, row in rows}
            except (OSError, SafetensorError) as error:
                raise DataError(f"{path}: no file of embeddings any more ({_first_line(error)})") from error
        return found

    def put(self, keys: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the vectors ``(keys, width)``, as one new file.

        Raises:
            DataError: the file cannot be written.
        """
        path = self.folder / f"{digest(*(key.encode() for key in keys))}{SUFFIX}"
        packed = np.frombuffer(bytes.fromhex("".join(keys)), dtype=np.uint8).reshape(len(keys), -1)
        vectors = np.ascontiguousarray(vectors)
        data = save({"vectors": vectors, "keys": packed}, metadata={"sha256": _checksum(vectors, packed)})
        atomic_write_bytes(path, data)
        self._places |= {key: (path, row) for row, key in enumerate(keys)}


def _read(path: Path) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Vectors and keys of a file, compared with their checksum."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            checksum = (file.metadata() or {}).get("sha256")
            vectors, keys = file.get_tensor("vectors"), file.get_tensor("keys")
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: no file of embeddings ({_first_line(error)}); delete it") from error
    if _checksum(vectors, keys) != checksum or len(vectors) != len(keys):
        raise DataError(f"{path}: the embeddings are damaged (their checksum differs); delete the file")
    return vectors, [row.tobytes().hex() for row in keys]


def _checksum(vectors: npt.NDArray[np.float32], keys: npt.NDArray[np.uint8]) -> str:
    shape = f"{vectors.dtype} {vectors.shape} {keys.shape}"
    return digest(shape.encode(), vectors.tobytes(), keys.tobytes())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
