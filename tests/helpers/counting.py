"""What a model was made to do, counted."""

from typing import Any

import pytest
import torch

from gmr.modeling.model import RerankModel


def count_patches(model: RerankModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Patches of each pass through the vision tower from now on."""
    passes: list[int] = []
    original = model.encode_pictures

    def counted(pixel_values: torch.Tensor, grids: torch.Tensor) -> Any:
        passes.append(len(pixel_values))
        return original(pixel_values, grids)

    monkeypatch.setattr(model, "encode_pictures", counted)
    return passes
