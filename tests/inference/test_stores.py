"""What is kept stays within its bytes, also where several threads keep and ask at once."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gmr.inference.stores import ByteBoundedStore


class Numbers(ByteBoundedStore[int]):
    """Every value has its own number of bytes."""

    def size_of(self, value: int) -> int:
        """The value."""
        return value


@pytest.fixture
def hurried() -> object:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_threads_do_not_lose_count() -> None:
    store = Numbers(5)

    def work(seed: int) -> None:
        for turn in range(8_000):
            key = str((seed + turn) % 7)
            if store.get(key) is None:
                store.put(key, 1 + (seed + turn) % 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert store.num_bytes == sum(store._kept.values()) <= 5
    assert len(store) > 0


def test_a_copy_is_empty_and_works() -> None:
    store = Numbers(10)
    store.put("a", 4)
    for other in (copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        assert (len(other), other.num_bytes, other.max_bytes) == (0, 0, 10)
        other.put("b", 3)
        assert other.get("b") == 3
    assert store.get("a") == 4
