"""Keys and values of documents on disk, so that a corpus is computed once and known ever after.

    <folder>/<digest of the model>/<key of the document>.safetensors

Any number of processes may share a folder: a file is there whole or not at all.
"""

import logging
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_bytes
from gmr.modeling.device_layout import KeptLayers

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"


class DocumentFolder:
    """Keys and values by document, bounded by bytes over all models; files unused for longest make room.

    Args:
        folder: made when missing.
        identity: `model_digest` of the model; what other models wrote is never read.
        max_bytes: most bytes of all files together.
        device: where values are read to.

    Raises:
        DataError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, *, identity: str, max_bytes: int, device: torch.device) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        self.folder = folder
        self.max_bytes = max_bytes
        self._device = device
        self._own = folder / identity[:32]
        self._is_full = False
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            self.num_bytes = sum(size for _, size, _ in self._files())
        except OSError as error:
            raise DataError(f"{folder}: no folder for documents ({error.strerror})") from error

    def __len__(self) -> int:
        return sum(1 for _ in self._own.glob(f"*{SUFFIX}"))

    def get(self, key: str) -> KeptLayers | None:
        """What was kept for a document; a damaged file is deleted, and the document is computed again."""
        path = self._path(key)
        try:
            tensors = load_file(path, device=str(self._device))
            # The time of the last use, by which files make room.
            os.utime(path)
            num_layers = len(tensors) // 2
            return {
                layer: (tensors[f"{layer}.keys"], tensors[f"{layer}.values"]) for layer in range(num_layers)
            }
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, OSError) as error:
            logger.warning("%s is damaged (%s): the document is computed again", path, error)
            path.unlink(missing_ok=True)
            return None

    def put(self, key: str, value: KeptLayers) -> None:
        """Keep a document; where the disk takes no more, say so once and go on without."""
        path = self._path(key)
        if self._is_full or path.exists():
            return
        tensors = {f"{layer}.keys": keys.contiguous() for layer, (keys, _) in value.items()}
        tensors |= {f"{layer}.values": values.contiguous() for layer, (_, values) in value.items()}
        data = save(tensors)
        if len(data) > self.max_bytes:
            return
        try:
            atomic_write_bytes(path, data)
        except DataError as error:
            self._is_full = True
            logger.warning("documents are no longer kept: %s", error)
            return
        self.num_bytes += len(data)
        if self.num_bytes > self.max_bytes:
            self._make_room()

    def _path(self, key: str) -> Path:
        return self._own / f"{key.replace('/', '-')}{SUFFIX}"

    def _make_room(self) -> None:
        """Delete the files unused for longest, whoever wrote them, until a tenth of the bound is free."""
        files = sorted(self._files())
        self.num_bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self.num_bytes <= 0.9 * self.max_bytes:
                break
            path.unlink(missing_ok=True)
            self.num_bytes -= size

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of the last use, bytes and path of every file of every model."""
        found = []
        for path in self.folder.glob(f"*/*{SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process made room
                continue
            found.append((status.st_mtime_ns, status.st_size, path))
        return found
