"""Which prompts share a forward pass."""

from collections.abc import Sequence

import torch

# Most tokens of a pass where nobody says. On a CPU what a layer writes should stay in its caches, and more tokens make
# no product faster: `python -m benchmarks.passes` compares.
BATCH_TOKENS = 16_384
BATCH_TOKENS_ON_A_CPU = 1_536
# Most patches of a pass through the vision tower there, for the same reason; a larger picture is a pass of its own.
PATCHES_ON_A_CPU = 2_048


def default_batch_tokens(device: torch.device) -> int:
    """Most tokens of a forward pass on this device, where nobody says."""
    return BATCH_TOKENS_ON_A_CPU if device.type == "cpu" else BATCH_TOKENS


def max_patches(batch_tokens: int, device: torch.device) -> int:
    """Most patches of a pass through the vision tower where passes have so many tokens."""
    # Four patches make one token in all families: a pass through the tower is about as large as a batch.
    patches = 4 * batch_tokens
    return min(patches, PATCHES_ON_A_CPU) if device.type == "cpu" else patches


def token_budget_batches(
    lengths: Sequence[int], *, max_tokens_per_batch: int, max_rows: int
) -> list[list[int]]:
    """Indices of prompts, grouped so that prompts of similar length share a batch and padding is rare.

    The longest come first: what does not fit into memory fails at once, and progress never slows down.

    Args:
        lengths: tokens of each prompt.
        max_tokens_per_batch: most rows times longest row of a batch; a longer prompt is a batch of its own.
        max_rows: most prompts of a batch.

    Returns:
        Batches in which every index occurs exactly once; the same for the same lengths.
    """
    if max_tokens_per_batch < 1 or max_rows < 1:
        raise ValueError(
            f"max_tokens_per_batch and max_rows must be at least 1, got {max_tokens_per_batch} and {max_rows}"
        )
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    longest = 0
    for index in order:
        rows = len(batches[-1]) if batches else 0
        if batches and rows < max_rows and (rows + 1) * longest <= max_tokens_per_batch:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = lengths[index]
    return batches
