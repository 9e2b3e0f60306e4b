"""The ways to compute many prompts: packed sequences that share prefixes, or padded pairs, the reference.

An engine cuts prompts into passes; a pass gives the answer logits of its prompts. The scores are the same.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gmr.inference.batching import token_budget_batches
from gmr.inference.documents import DocumentStore, document_key
from gmr.inference.pictures import PictureCache
from gmr.inference.planner import Piece, SharedGroup, plan_passes, share_prefixes
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_attention import KeptLayers, to_device
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, pack
from gmr.modeling.processor import Prompt


@dataclass(frozen=True)
class Pass:
    """Prompts that are computed together.

    Attributes:
        rows: places of the prompts.
        num_tokens: tokens that go through the model, padding included.
        work: what the engine knows of it.
    """

    rows: tuple[int, ...]
    num_tokens: int
    work: Any = None


class Engine(ABC):
    """Cuts prompts into passes and computes them; passes are run in the order in which they are planned.

    Args:
        model: the reranker, in evaluation mode.
        prompts: all prompts of the call.
        cache: features of their pictures.
        documents: keys and values of documents from earlier calls; only packed sequences use them.
    """

    def __init__(
        self,
        model: RerankModel,
        prompts: Sequence[Prompt],
        cache: PictureCache,
        documents: DocumentStore | None = None,
    ) -> None:
        self.model = model
        self.prompts = prompts
        self.cache = cache
        self.documents = documents

    @abstractmethod
    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """Passes of at most ``max_tokens`` tokens in which each of ``rows`` occurs once."""

    @abstractmethod
    def logits(self, work: Pass) -> Tensor:
        """Answer logits ``(rows, answers)`` of a pass, in the order of its rows."""


class PaddedEngine(Engine):
    """Whole prompts, padded to the longest of their batch."""

    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """Prompts of similar length share a batch."""
        lengths = [len(self.prompts[row].input_ids) for row in rows]
        batches = token_budget_batches(lengths, max_tokens_per_batch=max_tokens, max_rows=max_rows)
        return [
            Pass(tuple(rows[index] for index in batch), len(batch) * max(lengths[index] for index in batch))
            for batch in batches
        ]

    def logits(self, work: Pass) -> Tensor:
        """One padded forward pass."""
        prompts = [self.prompts[row] for row in work.rows]
        # Pictures come from the cache; collating the prompts with them would preprocess them again.
        texts = [
            dataclasses.replace(prompt, images=(), grids=()) if prompt.images else prompt
            for prompt in prompts
        ]
        batch = self.model.processor.collate(texts)
        inputs = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
        output: Tensor = self.model(**inputs, **self.cache.batch_inputs(prompts))
        return output


class PackedEngine(Engine):
    """Every prefix once: sequences without padding, in which prompts follow what they share."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._groups: list[SharedGroup] = []
        # Prefixes of groups that span several passes, from their first pass to their last.
        self._kept: dict[int, KeptLayers] = {}
        # Groups of one document that is kept, or will be, from call to call.
        self._document_keys: dict[int, str] = {}

    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """Groups that share a prefix stay together; one that is larger than a pass keeps its prefix."""
        self._kept.clear()
        self._document_keys.clear()
        self._groups = self._group(rows)
        lengths = [len(prompt.input_ids) for prompt in self.prompts]
        plan = plan_passes(
            self._groups, lengths, max_tokens=max_tokens, max_rows=max_rows, known=set(self._kept)
        )
        return [
            Pass(
                tuple(row for piece in pieces for row in piece.rows),
                sum(self._num_tokens(piece, lengths) for piece in pieces),
                pieces,
            )
            for pieces in plan
        ]

    def _group(self, rows: Sequence[int]) -> list[SharedGroup]:
        """By document where documents come first and are kept, else by what prompts have in common."""
        placeholder = self.model.processor.image_token_id
        if self.documents is not None and all(self.prompts[row].num_document for row in rows):
            by_key: dict[str, list[int]] = {}
            for row in rows:
                by_key.setdefault(document_key(self.prompts[row], placeholder=placeholder), []).append(row)
            groups = []
            for number, (key, members) in enumerate(by_key.items()):
                groups.append(SharedGroup(tuple(members), self.prompts[members[0]].num_document))
                self._document_keys[number] = key
                known = self.documents.get(key)
                if known is not None:
                    self._kept[number] = known
            return groups
        return [
            SharedGroup(tuple(rows[index] for index in group.rows), group.num_shared)
            for group in share_prefixes([self.prompts[row] for row in rows], placeholder=placeholder)
        ]

    def logits(self, work: Pass) -> Tensor:
        """One packed forward pass."""
        pieces: list[Piece] = work.work
        processor, device = self.model.processor, self.model.device
        parts = [
            Part([self.prompts[row] for row in piece.rows], self._shared(piece), not piece.is_first)
            for piece in pieces
        ]
        packed = pack(parts, placeholder=processor.image_token_id)
        batch = collate_packed(processor, packed, pictures=False)
        write = []
        for piece, (place, length) in zip(pieces, packed.prefixes, strict=True):
            is_kept = piece.group in self._document_keys or not piece.is_last
            if piece.is_first and is_kept and length:
                write.append((place, length, self._kept.setdefault(piece.group, {})))
        read = tuple(
            self._kept[piece.group] for piece in pieces if not piece.is_first and self._shared(piece)
        )
        layout = to_device(batch.pop("layout"), device, read=read, write=tuple(write))
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        output: Tensor = self.model(layout=layout, **inputs, **self.cache.batch_inputs(packed.segments))
        for piece in pieces:
            if piece.is_last:
                layers = self._kept.pop(piece.group, None)
                if self.documents is not None and layers and piece.group in self._document_keys:
                    self.documents.put(self._document_keys[piece.group], layers)
        return output

    def _shared(self, piece: Piece) -> int:
        return self._groups[piece.group].num_shared

    def _num_tokens(self, piece: Piece, lengths: Sequence[int]) -> int:
        shared = self._shared(piece)
        return shared * piece.is_first + sum(lengths[row] - shared for row in piece.rows)


ENGINES: dict[str, type[Engine]] = {"packed": PackedEngine, "padded": PaddedEngine}
