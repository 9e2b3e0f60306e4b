"""Keys and values of documents, kept from call to call, where a template puts the document first.

A known document then costs a query only the query's own tokens.
"""

import hashlib
from collections import OrderedDict

import numpy as np

from gmr.modeling.packed_attention import KeptLayers
from gmr.modeling.packing import cut_prompt
from gmr.modeling.processor import Prompt


def document_key(prompt: Prompt, *, placeholder: int | None) -> str:
    """SHA-256 of what stands before the query: token ids and the content of pictures, each with its length."""
    part = cut_prompt(prompt, 0, prompt.num_document, placeholder)
    ids = np.asarray(part.input_ids, dtype=np.int64)
    framed = hashlib.sha256(f"{len(ids)}\n".encode() + ids.tobytes())
    for image, grid in zip(part.images, part.grids, strict=True):
        framed.update(f"{image.key} {grid}\n".encode())
    return framed.hexdigest()


def _size(layers: KeptLayers) -> int:
    return sum(tensor.numel() * tensor.element_size() for pair in layers.values() for tensor in pair)


class DocumentStore:
    """Keys and values by document, the most lately used, bounded by bytes; for one model and its weights.

    Args:
        max_bytes: most memory, where the model is; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._kept: OrderedDict[str, KeptLayers] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> KeptLayers | None:
        """Keys and values of a document by layer, if they are kept."""
        layers = self._kept.get(key)
        if layers is not None:
            self._kept.move_to_end(key)
        return layers

    def put(self, key: str, layers: KeptLayers) -> None:
        """Keep a document's; those unused for longest make room."""
        size = _size(layers)
        if key in self._kept or size > self.max_bytes:
            return
        self._kept[key] = layers
        self.num_bytes += size
        while self.num_bytes > self.max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.num_bytes -= _size(oldest)

    def clear(self) -> None:
        """Forget everything; needed after the model's weights have changed."""
        self._kept.clear()
        self.num_bytes = 0
