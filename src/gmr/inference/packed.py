"""Every prefix once: sequences without padding, in which prompts follow what they share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from gmr.core.errors import ModelError
from gmr.inference.circumstances import circumstances
from gmr.inference.documents import prefix_key
from gmr.inference.engine import Engine, Pass
from gmr.inference.planner import Piece, SharedGroup, plan_passes, share_prefixes
from gmr.modeling.device_layout import KeptLayers, to_device
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, cut_prompt, pack
from gmr.modeling.processor import Prompt


class PackedEngine(Engine):
    """Every prefix once: sequences without padding, in which prompts follow what they share."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.model.packs:
            raise ModelError(
                "engine 'packed' cannot be used with this model; engine='auto' chooses one that can"
            )
        self._groups: list[SharedGroup] = []
        # Prefixes of groups that span several passes, from their first pass to their last.
        self._kept: dict[int, KeptLayers] = {}
        # Groups of one document that is kept, or will be, from call to call; and those of one that is known by now.
        self._document_keys: dict[int, str] = {}
        self._known: set[int] = set()

    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """Groups that share a prefix stay together; one that is larger than a pass keeps its prefix."""
        self._kept.clear()
        self._document_keys.clear()
        self._known.clear()
        self._groups = self._group(rows)
        lengths = [len(prompt.input_ids) for prompt in self.prompts]
        plan = plan_passes(self._groups, lengths, max_tokens=max_tokens, max_rows=max_rows, known=self._known)
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
            kind = circumstances(self.model)
            for row in rows:
                prompt = self.prompts[row]
                key = prefix_key(prompt, prompt.num_document, placeholder=placeholder, kind=kind)
                by_key.setdefault(key, []).append(row)
            groups = []
            for number, (key, members) in enumerate(by_key.items()):
                groups.append(SharedGroup(tuple(members), self.prompts[members[0]].num_document))
                self._document_keys[number] = key
                if key in self.documents:  # read when its first pass comes: all at once may be more than fits
                    self._known.add(number)
            return groups
        return [
            SharedGroup(tuple(rows[index] for index in group.rows), group.num_shared)
            for group in share_prefixes([self.prompts[row] for row in rows], placeholder=placeholder)
        ]

    def shown(self, work: Pass) -> list[Prompt]:
        """Without the pictures of documents that are known."""
        pieces: list[Piece] = work.work
        return [
            self._after_prefix(row, self._shared(piece)) if piece.group in self._known else self.prompts[row]
            for piece in pieces
            for row in piece.rows
        ]

    def _after_prefix(self, row: int, length: int) -> Prompt:
        prompt = self.prompts[row]
        return cut_prompt(prompt, length, len(prompt.input_ids), self.model.processor.image_token_id)

    def _read(self, piece: Piece) -> Piece:
        """The piece, its document read if it is the first that needs it; computed again if it is gone meanwhile."""
        if piece.group not in self._known or piece.group in self._kept or self.documents is None:
            return piece
        found = self.documents.get(self._document_keys[piece.group])
        if found is None:
            self._known.discard(piece.group)
            return replace(piece, is_first=True)
        self._kept[piece.group] = found
        return piece

    def logits(self, work: Pass) -> Tensor:
        """One packed forward pass."""
        pieces = [self._read(piece) for piece in work.work]
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
