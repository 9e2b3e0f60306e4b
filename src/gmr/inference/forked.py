"""Every prefix once, for any backbone with a cache: the cache after it is copied for each prompt that goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import Cache

from gmr.inference.batching import token_budget_batches
from gmr.inference.engine import Engine, Pass
from gmr.inference.padded import PaddedEngine
from gmr.inference.planner import share_prefixes
from gmr.modeling.forked_cache import collate_rests, fork, prefill
from gmr.modeling.packing import cut_prompt


@dataclass(frozen=True)
class _Rests:
    """Prompts of one group that are computed together: number of the group, tokens they share, whether more follow."""

    group: int
    num_shared: int
    is_last: bool


class ForkedEngine(Engine):
    """Prefixes once, rests padded to the longest of their batch; prompts that share nothing are padded whole."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._padded = PaddedEngine(*args, **options)
        self._caches: dict[int, Cache] = {}

    def plan(self, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        """As many prompts of a group at a time as whole prompts would be, since each has a copy of the prefix."""
        self._caches.clear()
        placeholder = self.model.processor.image_token_id
        groups = share_prefixes([self.prompts[row] for row in rows], placeholder=placeholder)
        passes: list[Pass] = []
        lone: list[int] = []
        for number, group in enumerate(groups):
            members = [rows[index] for index in group.rows]
            if len(members) == 1 or not group.num_shared:
                lone += members
                continue
            lengths = [len(self.prompts[row].input_ids) for row in members]
            batches = token_budget_batches(lengths, max_tokens_per_batch=max_tokens, max_rows=max_rows)
            for place, batch in enumerate(batches):
                rest = max(lengths[index] for index in batch) - group.num_shared
                num_tokens = len(batch) * rest + (0 if place else group.num_shared)
                work = _Rests(number, group.num_shared, is_last=place == len(batches) - 1)
                passes.append(Pass(tuple(members[index] for index in batch), num_tokens, work))
        return passes + self._padded.plan(lone, max_tokens=max_tokens, max_rows=max_rows)

    def logits(self, work: Pass) -> Tensor:
        """The prefix, unless it is known, and one padded pass over the rests."""
        if work.work is None:
            return self._padded.logits(work)
        rests: _Rests = work.work
        prompts, processor = [self.prompts[row] for row in work.rows], self.model.processor
        placeholder, start = processor.image_token_id, rests.num_shared
        cache = self._caches.pop(rests.group, None)
        if cache is None:
            prefix = cut_prompt(prompts[0], 0, start, placeholder)
            cache = prefill(self.model, prompts[0], start, **self.cache.batch_inputs([prefix]))
        cut = [cut_prompt(prompt, start, len(prompt.input_ids), placeholder) for prompt in prompts]
        batch = collate_rests(processor, prompts, start)
        output: Tensor = self.model(
            **{name: tensor.to(self.model.device) for name, tensor in batch.items()},
            **self.cache.batch_inputs(cut),
            past_key_values=fork(cache, len(prompts)),
        )
        if not rests.is_last:
            self._caches[rests.group] = cache
        return output
