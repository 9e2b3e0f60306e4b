"""Embeddings by a vision-language model: the last layer's hidden state at the last token, of unit length.

Prompts are rendered, cut and padded by the processor that rerankers use: text is data and cannot become a control
token, only text of the item is ever cut, and pictures keep to the family's limits.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gmr.core.errors import DataError, ModelError, UsageError
from gmr.core.files import digest
from gmr.core.items import Text
from gmr.core.nouns import Document, Query, check_pictures
from gmr.first_stage.exact import ExactRetriever
from gmr.first_stage.prompts import BY_MODEL_TYPE, PROMPTS, EmbeddingPrompt
from gmr.first_stage.retriever import DECIMALS
from gmr.inference.batching import default_batch_tokens, token_budget_batches
from gmr.modeling.folders import read_folder, read_json, resolve_folder
from gmr.modeling.identity import model_digest
from gmr.modeling.model import RerankModel, pool_last
from gmr.modeling.precision import float32_products
from gmr.modeling.processor import Prompt, PromptProcessor
from gmr.modeling.readers import load_reader
from gmr.modeling.templates import Side, TokenId

# The side of a pair that an embedding does not have; the prompt has no place for it.
NO_QUERY = Query("(none)", (Text("(none)"),))
NO_DOCUMENT = Document("(none)", (Text("(none)"),))


class VisionLanguageEmbedder(ExactRetriever):
    """Cosines between embeddings of queries and documents, each text, pictures or both.

    Args:
        name_or_path: folder or hub id of a checkpoint of a supported family.
        prompt: key of ``PROMPTS``; None for the one that the family implies.
        instruction: of queries that bring none; None for the prompt's default.
        dtype: of the weights; embeddings are float32.
        device: where to put the model; None for a GPU if there is one.
        max_tokens: longest prompt; None for the prompt's own limit.
        batch_tokens: most tokens of a forward pass, padding included; None for what suits the device.
        cache: folder that keeps the embeddings of documents.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: an unknown prompt, or a family that implies none.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        prompt: str | None = None,
        instruction: str | None = None,
        dtype: str = "float32",
        device: str | None = None,
        max_tokens: int | None = None,
        batch_tokens: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self.name = str(name_or_path)
        self.prompt = _find_prompt(prompt, self.name)
        self.instruction = instruction
        template = self.prompt.template("document")
        self.model = load_reader(
            name_or_path, template=template, dtype=dtype, device=device, max_tokens=max_tokens
        )
        self.batch_tokens = default_batch_tokens(self.model.device) if batch_tokens is None else batch_tokens
        # What the checkpoint's tokenizer itself puts after every text (a post-processor, as Qwen3-Embedding has one).
        closing = list(self.model.processor.tokenizer("").input_ids)
        self._documents = self._with_template("document", closing)
        self._queries = self._with_template("query", closing)
        identity = {
            "model_digest": model_digest(self.model),
            "tokenizer": digest(self._documents.tokenizer.backend_tokenizer.to_str().encode()),
            "prompt": self.prompt.to_json(),
            "closing_ids": closing,
            "max_tokens": self._documents.max_tokens,
            "dtype": str(self.model.dtype).removeprefix("torch."),
        }
        super().__init__(identity, cache)

    def facts(self) -> dict[str, Any]:
        """Name, prompt, limits and the digest of model and processor."""
        return {
            "name": "vlm",
            "model": self.name,
            **self._identity,
            "instruction": self.instruction,
            "similarity": "cosine",
            "decimals": DECIMALS,
        }

    def embed_queries(self, queries: Sequence[Query]) -> npt.NDArray[np.float32]:
        """Embeddings ``(queries, width)`` of unit length, each with its instruction."""
        prompts = []
        for query in queries:
            instruction = self.prompt.instruction(query.instruction or self.instruction)
            asked = dataclasses.replace(query, instruction=instruction)
            prompts.append(self._queries.encode(asked, NO_DOCUMENT))
        return self._embed(prompts, queries)

    def embed_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        """Embeddings ``(documents, width)`` of unit length, with the prompt's default instruction."""
        prompts = [self._documents.encode(NO_QUERY, document) for document in documents]
        return self._embed(prompts, documents)

    def _with_template(self, side: Side, closing: Sequence[int]) -> PromptProcessor:
        processor = self.model.processor
        template = self.prompt.template(side)
        if closing:
            segments = (*template.segments, *map(TokenId, closing))
            template = dataclasses.replace(template, segments=segments)
        return PromptProcessor(
            processor.tokenizer, processor.image_processor, template, max_tokens=processor.max_tokens
        )

    def _embed(
        self, prompts: Sequence[Prompt], owners: Sequence[Query | Document]
    ) -> npt.NDArray[np.float32]:
        vectors = np.empty((len(prompts), self.model.config.get_text_config().hidden_size), dtype=np.float32)
        lengths = [len(prompt.input_ids) for prompt in prompts]
        batches = token_budget_batches(lengths, max_tokens_per_batch=self.batch_tokens, max_rows=256)
        with float32_products(self.model.device), torch.inference_mode():
            for rows in batches:
                try:
                    batch = self._documents.collate([prompts[row] for row in rows])
                except DataError:  # the message names the picture, and nobody knows whose it is
                    check_pictures(*(owners[row] for row in rows))
                    raise
                try:
                    vectors[rows] = _last_states(self.model, batch).cpu().numpy()
                except torch.OutOfMemoryError as error:
                    longest = max(lengths[row] for row in rows)
                    raise ModelError(
                        f"{self.name}: out of memory with {len(rows)} prompts of up to {longest} tokens;"
                        " lower max_tokens, or batch_tokens"
                    ) from error
        return vectors


def _last_states(model: RerankModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Unit-length hidden states ``(rows, width)`` float32 at the last real token of each row; no head is computed."""
    inputs: dict[str, Any] = {name: tensor.to(model.device) for name, tensor in batch.items()}
    hidden = model.last_hidden_states(**inputs)
    return torch.nn.functional.normalize(pool_last(hidden, inputs["attention_mask"]), dim=-1)


def _find_prompt(name: str | None, model: str) -> EmbeddingPrompt:
    if name is None:
        folder = read_folder(resolve_folder(model))
        base = folder.path if folder.base is None else resolve_folder(folder.base)
        model_type = read_json(base / "config.json").get("model_type")
        name = BY_MODEL_TYPE.get(model_type)
        if name is None:
            raise UsageError(
                f"{model}: model type {model_type!r} does not say which prompt an embedder of it was trained on; "
                f"name one of {', '.join(PROMPTS)}"
            )
    if name not in PROMPTS:
        raise UsageError(f"no embedding prompt is called {name!r}; there are {', '.join(PROMPTS)}")
    return PROMPTS[name]
