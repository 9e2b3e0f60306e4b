"""Pictures kept as bytes come back as the very numbers of their image processor."""

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.modeling.compact_pixels import PixelCode
from gmr.modeling.images import limit_image_tokens
from tests.modeling.qwen_fixtures import QWEN2_5_VL, QWEN3_VL, nano_processor, qwen_image_processor


def picture(width: int, height: int, seed: int) -> PIL.Image.Image:
    generator = np.random.default_rng(seed)
    return PIL.Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def prepared(processor: Qwen2VLImageProcessorPil, *pictures: PIL.Image.Image) -> Tensor:
    pixels: Tensor = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    return pixels


@pytest.mark.parametrize("family", [QWEN2_5_VL, QWEN3_VL])
def test_a_picture_takes_an_eighth_and_comes_back_bit_for_bit(family: str) -> None:
    processor = limit_image_tokens(qwen_image_processor(family), (4, 64))
    pixels = prepared(processor, picture(300, 200, 0), picture(40, 333, 1))
    compact = PixelCode(processor).compact(pixels)
    assert torch.equal(compact.expand(), pixels)
    assert compact.values.dtype == torch.uint8
    assert compact.values.nbytes * 8 == pixels.nbytes
    assert len(compact) == len(pixels)


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(20, 200), height=st.integers(20, 200), seed=st.integers(0, 99), nearest=st.booleans()
)
def test_any_picture_comes_back_bit_for_bit(width: int, height: int, seed: int, nearest: bool) -> None:
    processor = nano_processor().image_processor
    assert processor is not None
    opened = picture(width, height, seed)
    if nearest:  # the darkest and the lightest, where resizing over- and undershoots
        opened = opened.convert("1").convert("RGB")
    pixels = prepared(processor, opened)
    compact = PixelCode(processor).compact(pixels)
    assert compact.table is not None
    assert torch.equal(compact.expand(), pixels)


def test_what_is_no_byte_or_moves_stays_as_it_is() -> None:
    processor = Qwen2VLImageProcessorPil()  # of two frames
    code, pixels = PixelCode(processor), prepared(processor, picture(64, 64, 0))
    between = pixels.clone()
    between[0, 0] += 1e-4
    moving = pixels.clone()
    moving[0, : processor.patch_size**2] = pixels[0, 0]
    assert not torch.equal(moving, pixels)
    for changed in (between, moving):
        compact = code.compact(changed)
        assert compact.table is None
        assert torch.equal(compact.expand(), changed)


def test_a_processor_without_three_rising_maps_is_not_coded() -> None:
    negative = Qwen2VLImageProcessorPil(rescale_factor=-1 / 255)
    pixels = prepared(negative, picture(56, 56, 0))
    compact = PixelCode(negative).compact(pixels)
    assert compact.table is None
    assert torch.equal(compact.expand(), pixels)
