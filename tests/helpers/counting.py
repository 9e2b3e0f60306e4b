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


def count_tokens(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch, *, method: str = "forward"
) -> list[int]:
    """Tokens of each call of the language model from now on, by way of a ``method`` that takes ``input_ids``."""
    passes: list[int] = []
    original = getattr(model, method)

    def counted(input_ids: torch.Tensor, *args: Any, **options: Any) -> Any:
        passes.append(input_ids.numel())
        return original(input_ids, *args, **options)

    monkeypatch.setattr(model, method, counted)
    return passes
