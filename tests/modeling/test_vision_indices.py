"""Positions and windows put together per size of picture are those that the tower computes picture by picture."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.modeling import vision_indices
from gmr.modeling.vision_indices import tower_indices
from tests.helpers.tiny_checkpoints import PATCH, VISION_ARCHITECTURES, tiny_backbone

BACKBONES = {name: tiny_backbone(name) for name in VISION_ARCHITECTURES}
SIDES = st.sampled_from([2, 4, 6, 10])
GRIDS = st.lists(st.tuples(st.just(1), SIDES, SIDES), min_size=1, max_size=6)


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
@settings(max_examples=25, deadline=None)
@given(grids=GRIDS)
def test_features_are_the_same_to_the_last_bit(architecture: str, grids: list[tuple[int, int, int]]) -> None:
    base = BACKBONES[architecture].model
    grid_thw = torch.tensor(grids)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(int(grid_thw.prod(-1).sum()), 3 * 2 * PATCH * PATCH, generator=generator)
    indices = tower_indices(base.config.vision_config, grids)
    with torch.no_grad():
        expected = base.get_image_features(pixels, grid_thw, return_dict=True)
        actual = base.get_image_features(pixels, grid_thw, return_dict=True, **indices)
    assert all(map(torch.equal, actual.pooler_output, expected.pooler_output))


def test_each_size_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = vision_indices.get_vision_window_index

    def counted(grids: torch.Tensor, **options: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(grids.tolist())
        return original(grids, **options)

    monkeypatch.setattr(vision_indices, "get_vision_window_index", counted)
    vision_indices._windows.cache_clear()
    config = BACKBONES["qwen2_5_vl"].config.vision_config
    for _ in range(2):
        tower_indices(config, [(1, 4, 4)] * 50 + [(1, 6, 4)] * 50)
    assert asked == [[[1, 4, 4]], [[1, 6, 4]]]
