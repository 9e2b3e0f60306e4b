"""Batches under a token budget: nothing lost, nothing over, neighbours alike."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmr import Reranker
from gmr.inference.batching import (
    BATCH_TOKENS_ON_A_CPU,
    PATCHES_ON_A_CPU,
    default_batch_tokens,
    max_patches,
    token_budget_batches,
)
from gmr.inference.engine import Pass
from gmr.inference.padded import PaddedEngine
from gmr.inference.scoring import score_pairs
from gmr.modeling.loading import load_model
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import tiny_checkpoint

LENGTHS = st.lists(st.integers(1, 60), max_size=60)


@given(LENGTHS, st.integers(1, 200), st.integers(1, 20))
def test_every_prompt_is_in_exactly_one_batch_within_the_budget(
    lengths: list[int], budget: int, max_rows: int
) -> None:
    batches = token_budget_batches(lengths, max_tokens_per_batch=budget, max_rows=max_rows)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert len(batch) <= max_rows
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, st.integers(1, 200), st.integers(1, 20))
def test_batches_come_longest_first_and_no_batch_could_take_the_next_prompt(
    lengths: list[int], budget: int, max_rows: int
) -> None:
    batches = token_budget_batches(lengths, max_tokens_per_batch=budget, max_rows=max_rows)
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches[:-1]:
        assert len(batch) == max_rows or (len(batch) + 1) * lengths[batch[0]] > budget


def test_equal_lengths_keep_their_order() -> None:
    assert token_budget_batches([5, 7, 5, 5], max_tokens_per_batch=10, max_rows=9) == [[1], [0, 2], [3]]


@pytest.mark.parametrize(("budget", "rows"), [(0, 1), (1, 0)])
def test_an_empty_budget_is_an_error(budget: int, rows: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        token_budget_batches([1], max_tokens_per_batch=budget, max_rows=rows)


def test_passes_are_shorter_on_a_cpu_where_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_batch_tokens(torch.device("cpu")) < default_batch_tokens(torch.device("cuda", 0))
    model = load_model(tiny_checkpoint("qwen3"), device="cpu", self_check=False)
    asked = []

    def noted(self: PaddedEngine, rows: Sequence[int], *, max_tokens: int, max_rows: int) -> list[Pass]:
        asked.append(max_tokens)
        return plan(self, rows, max_tokens=max_tokens, max_rows=max_rows)

    plan = PaddedEngine.plan
    monkeypatch.setattr(PaddedEngine, "plan", noted)
    for limit in (None, 99):
        score_pairs(model, pairs_for("qwen3"), engine="padded", batch_tokens=limit)
    assert asked == [BATCH_TOKENS_ON_A_CPU, 99]
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert [max_patches(100, where) for where in (gpu, cpu)] == [400, 400]
    assert [max_patches(10_000, where) for where in (gpu, cpu)] == [40_000, PATCHES_ON_A_CPU]
    assert Reranker(model).batch_tokens == BATCH_TOKENS_ON_A_CPU
    assert Reranker(model, batch_tokens=99).batch_tokens == 99
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Reranker(model, batch_tokens=0, engine="padded").score(pairs_for("qwen3"))
