"""Scores that depend on their own pair alone, to the last bit: whatever else is scored, in whatever order.

Rounding depends on the shapes of what is multiplied. So every shape here is a function of one pair: what a query (or,
where it comes first, a document) brings is computed by itself, each rest by itself after it, each picture by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gmr.inference.circumstances import circumstances
from gmr.inference.documents import prefix_key
from gmr.inference.engine import Engine, Pass
from gmr.modeling.device_layout import KeptLayers, to_device
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, cut_prompt, pack
from gmr.modeling.processor import Prompt


@dataclass(frozen=True)
class _After:
    """A prompt after its first side: key and length of that, and whether no later pass needs it."""

    key: str
    length: int
    is_last: bool


class InvariantEngine(Engine):
    """One prompt at a time; the side that comes first is computed once for all prompts that begin with it."""

    pictures_alone = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kept: dict[str, KeptLayers] = {}

    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:  # noqa: ARG002
        """One pass for each prompt, those with the same first side one after the other; no limit changes them."""
        self._kept.clear()
        placeholder, kind = self.model.processor.image_token_id, circumstances(self.model)
        by_key: dict[tuple[str, int], list[int]] = {}
        for row in rows:
            prompt = self.prompts[row]
            # Where the cut falls is a matter of this prompt alone, unlike what a call's prompts have in common.
            length = (prompt.num_query or prompt.num_document) if self.model.packs else 0
            # Its name keeps it apart from what other engines computed together with other prompts.
            key = (
                f"invariant/{prefix_key(prompt, length, placeholder=placeholder, kind=kind)}"
                if length
                else ""
            )
            by_key.setdefault((key, length), []).append(row)
        return [
            Pass(
                (row,),
                len(self.prompts[row].input_ids) - (length if row != members[0] else 0),
                _After(key, length, is_last=row == members[-1]),
            )
            for (key, length), members in by_key.items()
            for row in members
        ]

    def shown(self, work: Pass) -> list[Prompt]:
        """Without the pictures of documents that are known."""
        after: _After = work.work
        prompt = self.prompts[work.rows[0]]
        if self.documents is None or not prompt.num_document or after.key not in self.documents:
            return [prompt]
        placeholder = self.model.processor.image_token_id
        return [cut_prompt(prompt, after.length, len(prompt.input_ids), placeholder)]

    def logits(self, work: Pass) -> Tensor:
        """The first side, unless it is known, and the rest after it."""
        after: _After = work.work
        prompt = self.prompts[work.rows[0]]
        if not self.model.packs:
            batch = self._on_device(self.model.processor.collate([_without_pictures(prompt)]))
            return self.model(**batch, **self.cache.batch_inputs([prompt]))
        if not after.length:
            return self.model(**self._inputs(Part([prompt], 0)))
        layers = self._kept.pop(after.key, None)
        documents = self.documents if prompt.num_document else None
        if layers is None and documents is not None:
            layers = documents.get(after.key)
        if layers is None:
            layers = {}
            first = cut_prompt(prompt, 0, after.length, self.model.processor.image_token_id)
            inputs = self._inputs(Part([first], 0), write=((0, after.length, layers),))
            del inputs["last"]
            self.model.last_hidden_states(attention_mask=None, **inputs)
            if documents is not None:
                documents.put(after.key, layers)
        output: Tensor = self.model(
            **self._inputs(Part([prompt], after.length, is_kept=True), read=(layers,))
        )
        if not after.is_last:
            self._kept[after.key] = layers
        return output

    def _inputs(self, part: Part, **kept: Any) -> dict[str, Any]:
        """What the model takes for a packed sequence of one part, pictures included."""
        packed = pack([part], placeholder=self.model.processor.image_token_id)
        batch = collate_packed(self.model.processor, packed, pictures=False)
        layout = to_device(batch.pop("layout"), self.model.device, **kept)
        return {**self._on_device(batch), "layout": layout, **self.cache.batch_inputs(packed.segments)}

    def _on_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.model.device) for name, tensor in batch.items()}


def _without_pictures(prompt: Prompt) -> Prompt:
    """The same ids; collating the pictures, which are in the cache, would preprocess them again."""
    return Prompt(prompt.input_ids)
