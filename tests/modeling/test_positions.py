"""Our vectorised M-RoPE positions are the ones each model would compute for itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.modeling.positions import picture_positions
from tests.helpers.tiny_checkpoints import MERGE, VISION_ARCHITECTURES, tiny_backbone

# A prompt is a list of runs: a number of text tokens, or the (height, width) of a picture in tokens.
RUNS = st.lists(
    st.one_of(st.integers(1, 5), st.tuples(st.integers(1, 4), st.integers(1, 4))), min_size=1, max_size=6
)
BACKBONES = {name: tiny_backbone(name) for name in VISION_ARCHITECTURES}


def batch_of(
    prompts: list[list[int | tuple[int, int]]], image_id: int, *, left: bool
) -> tuple[torch.Tensor, ...]:
    rows, grids = [], []
    for prompt in prompts:
        row = [1]
        for run in prompt:
            if isinstance(run, int):
                row += [2] * run
            else:
                # As in every template, text stands between two pictures.
                row += [image_id] * (run[0] * run[1]) + [3]
                grids.append([1, run[0] * MERGE, run[1] * MERGE])
        rows.append(row)
    length = max(map(len, rows)) + 1
    pads = [[0] * (length - len(row)) for row in rows]
    pairs = list(zip(rows, pads, strict=True))
    ids = torch.tensor([pad + row if left else row + pad for row, pad in pairs])
    mask = torch.tensor(
        [[0 * p for p in pad] + [1] * len(row) if left else [1] * len(row) + pad for row, pad in pairs]
    )
    return ids, mask, torch.tensor(grids).reshape(-1, 3)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
@settings(max_examples=60, deadline=None)
@given(prompts=st.lists(RUNS, min_size=1, max_size=4), left=st.booleans())
def test_positions_are_those_of_the_model(
    architecture: str, prompts: list[list[int | tuple[int, int]]], left: bool
) -> None:
    backbone = BACKBONES[architecture]
    image_id = backbone.config.image_token_id
    ids, mask, grids = batch_of(prompts, image_id, left=left)
    ours = picture_positions(ids, mask, grids, image_token_id=image_id, merge_size=MERGE)
    theirs, _ = backbone.model.get_rope_index(
        ids, (ids == image_id).int(), image_grid_thw=grids if len(grids) else None, attention_mask=mask
    )
    assert ours.shape == (3, *ids.shape)
    assert torch.equal(ours, theirs)


def test_picture_tokens_without_a_grid_are_an_error() -> None:
    ids = torch.tensor([[1, 9, 9, 2]])
    with pytest.raises(ValueError, match="2 picture tokens in the prompts, 1 in 1 grids"):
        picture_positions(
            ids, torch.ones_like(ids), torch.tensor([[1, 2, 2]]), image_token_id=9, merge_size=MERGE
        )
