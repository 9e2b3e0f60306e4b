"""Processors of transformers on a machine without torchvision."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import transformers


@contextmanager
def without_videos() -> Iterator[None]:
    """Inside, Qwen-VL processors load without their video processor, which needs torchvision."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor"):
            processor = getattr(transformers, name)
            attributes = [each for each in processor.get_attributes() if each != "video_processor"]
            patch.setattr(processor, "get_attributes", classmethod(lambda cls, kept=attributes: list(kept)))
        yield
