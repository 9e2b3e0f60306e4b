"""What is kept from call to call, the most lately used, bounded by bytes."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class ByteBoundedStore(ABC, Generic[T]):
    """Values by key; those unused for longest make room. For one model and its weights, and any number of threads.

    Args:
        max_bytes: most memory of all together, where the model is; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    @abstractmethod
    def size_of(self, value: T) -> int:
        """Bytes of a value."""

    def own(self, value: T) -> T:
        """The value in memory of its own."""
        return value

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str) -> T | None:
        """The value of a key, if it is kept."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._kept.move_to_end(key)
            return value

    def put(self, key: str, value: T) -> None:
        """Keep a value, unless it is larger than everything together may be."""
        size = self.size_of(value)
        if size > self.max_bytes:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = self.own(value)
            self.num_bytes += size
            while self.num_bytes > self.max_bytes:
                _, oldest = self._kept.popitem(last=False)
                self.num_bytes -= self.size_of(oldest)

    def clear(self) -> None:
        """Forget everything; needed after the model's weights have changed."""
        with self._lock:
            self._kept.clear()
            self.num_bytes = 0

    def __getstate__(self) -> dict[str, object]:
        """Without the lock, which belongs to this process; and without its values, which do as well."""
        return {**vars(self), "_lock": None, "_kept": OrderedDict(), "num_bytes": 0}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._lock = Lock()
