"""Keys and values of documents on disk, so that a corpus is computed once and known ever after.

    <folder>/<digest of the model>/<key of the document>.safetensors

Any number of processes may share a folder: a file is there whole or not at all, and its metadata has a checksum of
every tensor. A folder that may be read and not written serves as well.
"""

import logging
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_bytes
from gmr.modeling.device_layout import KeptLayers

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
# After so much of the bound has been written here, what other processes wrote is counted as well.
RECOUNT_SHARE = 0.05


class DocumentFolder:
    """Keys and values by document, bounded by bytes over all models; files unused for longest make room.

    Args:
        folder: made when missing.
        identity: gives `model_digest` of the model; what other models wrote is never read.
        max_bytes: most bytes of all files together.
        device: where values are read to.

    Raises:
        DataError: the folder cannot be made or read.
    """

    def __init__(
        self, folder: Path, *, identity: Callable[[], str], max_bytes: int, device: torch.device
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        self.folder = folder
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._identity = identity
        self._device = device
        self._is_full = False
        self._told: set[str] = set()
        self._own = Path()
        self._num_new = 0
        self.renew()

    def renew(self) -> None:
        """Ask for the model's digest again: from now on the folder is that of the weights as they are now."""
        self._own = self.folder / self._identity()[:32]
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            self._count()
        except OSError as error:
            if not self._own.is_dir():
                raise DataError(f"{self.folder}: no folder for documents ({error.strerror})") from error

    def __len__(self) -> int:
        return sum(1 for _ in self._own.glob(f"*{SUFFIX}"))

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def get(self, key: str) -> KeptLayers | None:
        """What was kept for a document; a damaged file is deleted, and the document is computed again."""
        path = self._path(key)
        try:
            found = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell("read", error)
            return None
        except (SafetensorError, KeyError, ValueError) as error:
            logger.warning("%s is damaged (%s): the document is computed again", path, error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        # The time of the last use, by which files make room; those of other users keep theirs.
        with suppress(OSError):
            os.utime(path)
        return {
            layer: (keys.to(self._device), values.to(self._device)) for layer, (keys, values) in found.items()
        }

    def put(self, key: str, value: KeptLayers) -> None:
        """Keep a document; where the disk takes no more, say so once and go on without."""
        path = self._path(key)
        if self._is_full or path.exists():
            return
        data = _written(value)
        if len(data) > self.max_bytes:
            return
        try:
            atomic_write_bytes(path, data)
        except DataError as error:
            self._is_full = True
            logger.warning("documents are no longer kept: %s", error)
            return
        self.num_bytes += len(data)
        self._num_new += len(data)
        if self._num_new > RECOUNT_SHARE * self.max_bytes:
            self._count()
        if self.num_bytes > self.max_bytes:
            self._make_room()

    def _path(self, key: str) -> Path:
        return self._own / f"{key.replace('/', '-')}{SUFFIX}"

    def _tell(self, what: str, error: OSError) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning("%s: some documents cannot be %s (%s)", self.folder, what, error.strerror)

    def _count(self) -> None:
        self.num_bytes = sum(size for _, size, _ in self._files())
        self._num_new = 0

    def _make_room(self) -> None:
        """Delete the files unused for longest, whoever wrote them, until a tenth of the bound is free."""
        files = sorted(self._files())
        self.num_bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self.num_bytes <= 0.9 * self.max_bytes:
                break
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._tell("deleted", error)
                continue
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


def _written(value: KeptLayers) -> bytes:
    tensors = {f"{layer}.keys": keys.contiguous() for layer, (keys, _) in value.items()}
    tensors |= {f"{layer}.values": values.contiguous() for layer, (_, values) in value.items()}
    return save(tensors, metadata={name: _checksum(tensor) for name, tensor in tensors.items()})


def _read(path: Path) -> KeptLayers:
    """What `_written` wrote, on the CPU.

    Raises:
        ValueError: other tensors than were written.
    """
    with path.open("rb"):  # told as what it is: safetensors makes one error of all
        pass
    with safe_open(path, framework="pt", device="cpu") as file:
        sums = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
    if not tensors or {name: _checksum(tensor) for name, tensor in tensors.items()} != sums:
        raise ValueError("its checksums are others")
    num_layers = len(tensors) // 2
    return {layer: (tensors[f"{layer}.keys"], tensors[f"{layer}.values"]) for layer in range(num_layers)}


def _checksum(tensor: Tensor) -> str:
    return f"{zlib.crc32(tensor.cpu().flatten().view(torch.uint8).numpy().data):08x}"
