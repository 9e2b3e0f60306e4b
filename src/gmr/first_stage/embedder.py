"""Embeddings by any model of sentence-transformers: text, and pictures where the model takes them."""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gmr.core.errors import DataError, ModelError, UsageError
from gmr.core.items import Item, images_of, modality, text_of
from gmr.core.nouns import Document, Query, check_pictures, owner_name
from gmr.first_stage.exact import ExactRetriever
from gmr.first_stage.retriever import DECIMALS

# What sentence-transformers calls the kinds of items.
MODALITIES: dict[str, Any] = {"t": "text", "i": "image", "it": ("image", "text")}
KINDS = {"t": "text", "i": "a picture", "it": "picture and text"}
INSTRUCTION = "{instruction}"


class Embedder(ExactRetriever):
    """Cosines or inner products, as the model says, of embeddings by sentence-transformers.

    Weights are read from safetensors only and no code of a model folder is run. A picture counts as a picture, and
    text as text, even where it looks like the path of one. Texts of an item are joined, its pictures stand beside them.

    Args:
        name_or_path: folder or hub id.
        query_prompt: text before every query; ``{instruction}`` in it becomes the query's instruction. None for the
            prompt that the model brings for queries.
        document_prompt: text before every document; None for the one that the model brings.
        dtype: of the weights; embeddings are float32.
        device: where to put the model; None for a GPU if there is one.
        max_tokens: longest text; None for the model's own limit.
        batch_size: items of a forward pass.
        cache: folder that keeps the embeddings of documents.

    Raises:
        UsageError: sentence-transformers is not installed.
        ModelError: the model cannot be loaded, or compares embeddings by a distance.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        dtype: str = "float32",
        device: str | None = None,
        max_tokens: int | None = None,
        batch_size: int = 32,
        cache: Path | None = None,
    ) -> None:
        self.name = str(name_or_path)
        self.query_prompt, self.document_prompt = query_prompt, document_prompt
        self.batch_size = batch_size
        self.model = _load(self.name, dtype=dtype, device=device)
        if max_tokens is not None:
            self.model.max_seq_length = max_tokens
        self.similarity = self.model.similarity_fn_name
        if self.similarity not in ("cosine", "dot"):
            raise ModelError(f"{self.name}: compares by {self.similarity}; cosine and dot are searched")
        identity = {
            "model_digest": _digest(self.model),
            "document_prompt": self._document_prompt(),
            "similarity": self.similarity,
            "max_tokens": self._max_tokens(),
            "dtype": dtype,
        }
        super().__init__(identity, cache)

    def facts(self) -> dict[str, Any]:
        """Name, prompts, similarity and the digest of the model."""
        query_prompt = self.model.prompts.get("query", "") if self.query_prompt is None else self.query_prompt
        return {
            "name": "st",
            "model": self.name,
            **self._identity,
            "query_prompt": query_prompt,
            "decimals": DECIMALS,
        }

    def embed_queries(self, queries: Sequence[Query]) -> npt.NDArray[np.float32]:
        """Embeddings ``(queries, width)``, of unit length for cosines."""
        own = self.query_prompt
        prompts = [own and own.replace(INSTRUCTION, query.instruction or "") for query in queries]
        return self._embed(queries, prompts, "query")

    def embed_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        """Embeddings ``(documents, width)``, of unit length for cosines."""
        return self._embed(documents, [self.document_prompt] * len(documents), "document")

    def _embed(
        self, owners: Sequence[Query | Document], prompts: Sequence[str | None], side: str
    ) -> npt.NDArray[np.float32]:
        # Kinds apart: where they meet in a batch the library renders all of them in another way.
        groups: dict[tuple[str, str | None], list[int]] = {}
        for place, (owner, prompt) in enumerate(zip(owners, prompts, strict=True)):
            kind = modality(owner.item)
            if not self.model.supports(MODALITIES[kind]):
                raise DataError(f"{owner_name(owner)} is {KINDS[kind]}, which {self.name} does not take")
            groups.setdefault((kind, prompt), []).append(place)
        encode = self.model.encode_query if side == "query" else self.model.encode_document
        vectors: npt.NDArray[np.float32] | None = None
        for (kind, prompt), places in groups.items():
            try:
                inputs = [self._input(owners[place].item, kind) for place in places]
            except DataError:
                check_pictures(*(owners[place] for place in places))
                raise
            found = encode(
                inputs,
                prompt=prompt,
                batch_size=self.batch_size,
                normalize_embeddings=self.similarity == "cosine",
                show_progress_bar=False,
            )
            if vectors is None:
                vectors = np.empty((len(owners), found.shape[1]), dtype=np.float32)
            vectors[places] = found
        return np.zeros((0, 1), dtype=np.float32) if vectors is None else vectors

    def _input(self, item: Item, kind: str) -> Any:
        if kind == "t" and not self.model.supports("image"):
            return text_of(item)
        # A bare string could be taken for the address of a picture.
        given: dict[str, Any] = {}
        if images := [image.open() for image in images_of(item)]:
            given["image"] = images if len(images) > 1 else images[0]
        if "t" in kind:
            given["text"] = text_of(item)
        return given

    def _max_tokens(self) -> int | None:
        longest = self.model.max_seq_length
        # A tokenizer without a limit says 10 to the power of 30.
        return None if longest is None or longest > 10**9 else int(longest)

    def _document_prompt(self) -> str:
        if self.document_prompt is not None:
            return self.document_prompt
        # The names that encode_document looks for, in its order.
        own = self.model.prompts
        return next((own[name] for name in ("document", "passage", "corpus") if name in own), "")


def _load(name: str, *, dtype: str, device: str | None) -> Any:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise UsageError("an embedder needs sentence-transformers: pip install 'gmr-rerank[bench]'")
    from sentence_transformers import SentenceTransformer

    from gmr.modeling.checkpoint import no_progress_bar

    try:
        with no_progress_bar():
            return SentenceTransformer(
                name,
                device=device,
                trust_remote_code=False,
                model_kwargs={"dtype": dtype, "use_safetensors": True},
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{name}: no embedder that sentence-transformers can load: {reason}") from error


def _digest(model: Any) -> str:
    """SHA-256 (64 hex digits) of the modules and of every weight with its name, shape and type."""
    from gmr.modeling.identity import hash_weights

    sha = hashlib.sha256(" ".join(type(module).__name__ for module in model).encode())
    for module in model:
        config = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
        sha.update(json.dumps(config, sort_keys=True, default=str).encode())
    hash_weights(model, sha)
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    sha.update(b"" if tokenizer is None else tokenizer.to_str().encode())
    return sha.hexdigest()
