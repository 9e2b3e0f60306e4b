"""Keys and values of documents, kept from call to call, where a template puts the document first.

A known document then costs a query only the query's own tokens.
"""

import hashlib

import numpy as np

from gmr.inference.document_folder import DocumentFolder
from gmr.inference.stores import ByteBoundedStore
from gmr.modeling.device_layout import KeptLayers
from gmr.modeling.packing import cut_prompt
from gmr.modeling.processor import Prompt


def prefix_key(prompt: Prompt, length: int, *, placeholder: int | None, kind: str = "") -> str:
    """SHA-256 of the first ``length`` tokens of a prompt: their ids and the content of their pictures, framed.

    Args:
        prompt: with its pictures.
        length: tokens.
        placeholder: id of a picture's placeholder; None for a model that reads text only.
        kind: the `circumstances` of the call.
    """
    part = cut_prompt(prompt, 0, length, placeholder)
    ids = np.asarray(part.input_ids, dtype=np.int64)
    framed = hashlib.sha256(f"{kind} {len(ids)}\n".encode() + ids.tobytes())
    for image, grid in zip(part.images, part.grids, strict=True):
        framed.update(f"{image.key} {grid}\n".encode())
    return framed.hexdigest()


class DocumentStore(ByteBoundedStore[KeptLayers]):
    """Keys and values by document, in memory, and in a folder behind it where there is one.

    Args:
        max_bytes: most memory; 0 keeps nothing there.
        folder: where all documents are kept as well, for other processes and days.
    """

    def __init__(self, max_bytes: int, folder: DocumentFolder | None = None) -> None:
        super().__init__(max_bytes)
        self.folder = folder

    def size_of(self, value: KeptLayers) -> int:
        """Bytes of keys and values of all layers."""
        return sum(tensor.numel() * tensor.element_size() for pair in value.values() for tensor in pair)

    def __contains__(self, key: str) -> bool:
        return super().__contains__(key) or (self.folder is not None and key in self.folder)

    def get(self, key: str) -> KeptLayers | None:
        """The document's keys and values, from memory or from the folder."""
        value = super().get(key)
        if value is None and self.folder is not None:
            value = self.folder.get(key)
            if value is not None:
                super().put(key, value)
        return value

    def put(self, key: str, value: KeptLayers) -> None:
        """Keep a document in both."""
        super().put(key, value)
        if self.folder is not None:
            self.folder.put(key, value)

    def clear(self) -> None:
        """Forget what is in memory; in the folder only what the weights of now have written is known from now on."""
        super().clear()
        if self.folder is not None:
            self.folder.renew()
