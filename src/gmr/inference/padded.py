"""Whole prompts, padded to the longest of their batch: the reference for every other engine."""

import dataclasses
from collections.abc import Sequence

from torch import Tensor

from gmr.inference.batching import token_budget_batches
from gmr.inference.engine import Engine, Pass


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
