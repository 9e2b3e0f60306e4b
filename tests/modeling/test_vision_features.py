"""Features of pictures can be taken apart, put together and repeated without changing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from gmr.modeling.vision_features import PictureFeatures

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def features(lengths: list[int], levels: int) -> PictureFeatures:
    rows = torch.arange(sum(lengths) * 2.0).reshape(-1, 2)
    return PictureFeatures(rows, tuple(rows + 100 * (level + 1) for level in range(levels)), tuple(lengths))


def equal(one: PictureFeatures, other: PictureFeatures) -> bool:
    return (
        torch.equal(one.embeddings, other.embeddings)
        and len(one.deepstack) == len(other.deepstack)
        and all(map(torch.equal, one.deepstack, other.deepstack))
        and (one.lengths, one.split_levels) == (other.lengths, other.split_levels)
    )


@given(LENGTHS, st.integers(0, 2))
def test_taken_apart_and_put_together_is_the_same(lengths: list[int], levels: int) -> None:
    whole = features(lengths, levels)
    parts = whole.split()
    assert [len(part.embeddings) for part in parts] == lengths
    assert equal(PictureFeatures.concat(parts), whole)


@settings(max_examples=60)
@given(LENGTHS, st.integers(0, 2), st.data())
def test_gathering_is_picking_parts(lengths: list[int], levels: int, data: st.DataObject) -> None:
    whole = features(lengths, levels)
    index = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=8))
    parts = whole.split()
    assert equal(whole.gather(index), PictureFeatures.concat([parts[i] for i in index]))


def test_gradients_of_repeated_pictures_add_up() -> None:
    rows = torch.zeros(3, 2, requires_grad=True)
    PictureFeatures(rows, (), (1, 2)).gather([1, 0, 1, 1]).embeddings.sum().backward()
    assert rows.grad.tolist() == [[1, 1], [3, 3], [3, 3]]


@pytest.mark.parametrize("split", [True, False])
def test_levels_go_back_to_the_model_as_they_came(split: bool) -> None:
    """transformers 5.23 splits a level of DeepStack by picture, 5.17 does not."""
    rows = torch.arange(6.0).reshape(3, 2)
    level = tuple(rows.split((1, 2))) if split else rows
    output = BaseModelOutputWithDeepstackFeatures(
        pooler_output=rows.split((1, 2)), deepstack_features=[level]
    )
    back = PictureFeatures.of_output(output).as_output().deepstack_features[0]
    assert torch.equal(torch.cat(back) if split else back, rows)


def test_a_model_without_deepstack_gets_none_back() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    output = PictureFeatures.of_output(
        BaseModelOutputWithPooling(pooler_output=rows.split((1, 2)))
    ).as_output()
    assert not hasattr(output, "deepstack_features")
    assert torch.equal(torch.cat(list(output.pooler_output)), rows)


def test_memory_is_counted_in_bytes() -> None:
    assert features([2, 3], levels=2).num_bytes == 3 * 5 * 2 * 4
