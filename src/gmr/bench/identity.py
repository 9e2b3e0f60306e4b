"""What a stored score was made by, and of what: the key that no other score has."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

import gmr
from gmr.core.files import digest
from gmr.core.items import Item, item_key
from gmr.core.nouns import Query
from gmr.modeling.identity import facts_digest, model_facts
from gmr.reranker import Reranker

# To be raised whenever the same model would score the same pair otherwise than before.
SCORING = 3


def reranker_facts(reranker: Reranker) -> dict[str, str]:
    """Everything that a reranker's scores depend on beside the pair, by name.

    All weights are read once. Beyond `model_facts`: ``readout``, ``engine`` (the one that is used), ``batch_tokens``,
    ``device`` and ``gmr``. Threads are no part of it: with another number of them a score may differ by rounding.
    """
    model = reranker.model
    return model_facts(model) | {
        "readout": model.readout,
        "engine": model.engine if reranker.engine == "auto" else reranker.engine,
        "batch_tokens": str(reranker.batch_tokens),
        "device": _device(model.device),
        "gmr": f"{gmr.__version__} scoring {SCORING}",
    }


def scorer_digest(facts: Mapping[str, str]) -> str:
    """SHA-256 (64 hex digits) of what made a score."""
    return facts_digest(dict(facts))


class PairKeys:
    """Keys of pairs for one scorer; each item is hashed once.

    Args:
        scorer: `scorer_digest` of what scores them.
    """

    def __init__(self, scorer: str) -> None:
        self._scorer = scorer.encode()
        self._items: dict[int, tuple[Item, bytes]] = {}

    def key(self, query: Query, document: Item) -> bytes:
        """The 32 bytes that stand for the scorer, the query with its instruction, and the document; ids are no part.

        Raises:
            DataError: for a picture that cannot be read.
        """
        # "none given" and "an empty one" are two instructions: the first is the template's own.
        instruction = b"" if query.instruction is None else b"=" + query.instruction.encode()
        parts = (self._scorer, instruction, self._item(query.item), self._item(document))
        return bytes.fromhex(digest(*parts))

    def forget(self) -> None:
        """Hash items anew from now on: frees what is kept for those of a task that is done."""
        self._items.clear()

    def _item(self, item: Item) -> bytes:
        known = self._items.get(id(item))
        if known is None:
            # The item is kept beside its key: a freed object's id may come back as another's.
            known = self._items[id(item)] = (item, item_key(item).encode())
        return known[1]


def row_checksum(key: bytes, score: float | None) -> bytes:
    """Eight bytes by which a damaged row is known."""
    return hashlib.blake2b(key + repr(score).encode(), digest_size=8).digest()


def _device(device: Any) -> str:
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else str(device.type)
