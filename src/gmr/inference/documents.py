"""Keys and values of documents, kept from call to call, where a template puts the document first.

A known document then costs a query only the query's own tokens.
"""

import hashlib

import numpy as np

from gmr.inference.stores import ByteBoundedStore
from gmr.modeling.packed_attention import KeptLayers
from gmr.modeling.packing import cut_prompt
from gmr.modeling.processor import Prompt


def prefix_key(prompt: Prompt, length: int, *, placeholder: int | None) -> str:
    """SHA-256 of the first ``length`` tokens of a prompt: their ids and the content of their pictures, framed."""
    part = cut_prompt(prompt, 0, length, placeholder)
    ids = np.asarray(part.input_ids, dtype=np.int64)
    framed = hashlib.sha256(f"{len(ids)}\n".encode() + ids.tobytes())
    for image, grid in zip(part.images, part.grids, strict=True):
        framed.update(f"{image.key} {grid}\n".encode())
    return framed.hexdigest()


class DocumentStore(ByteBoundedStore[KeptLayers]):
    """Keys and values by document."""

    def size_of(self, value: KeptLayers) -> int:
        """Bytes of keys and values of all layers."""
        return sum(tensor.numel() * tensor.element_size() for pair in value.values() for tensor in pair)
