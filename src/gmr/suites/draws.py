"""What is drawn by lot, from hashes of names: the same on every machine and Python."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable


def chance(*key: object, out_of: int) -> int:
    """A number in ``range(out_of)`` that depends on the key alone."""
    text = ":".join(str(part) for part in key)
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % out_of


def lot(*key: object) -> bytes:
    """A key to sort by, for an order that depends on the key alone."""
    return hashlib.sha256(":".join(str(part) for part in key).encode()).digest()


def spread(names: Iterable[str], group_of: Callable[[str], str], *, key: str) -> list[str]:
    """The names in an order by lot that takes one of each group before a second of any.

    The first so many are a sample in which no large group crowds out the small ones.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: lot(key, name)):
        groups[group_of(name)].append(name)
    rounds = {name: place for group in groups.values() for place, name in enumerate(group)}
    return sorted(rounds, key=lambda name: (rounds[name], lot(key, "round", name)))
