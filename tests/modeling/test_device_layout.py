"""Keys of kept prefixes and of a sequence are found where they stand, copied or not."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gmr.modeling.device_layout import Keys


@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 5), st.data())
def test_a_stretch_is_that_of_all_keys_together(kept: list[int], own: int, data: st.DataObject) -> None:
    lengths = [*kept, own]
    total = sum(lengths)
    every = torch.arange(2 * total).view(2, total, 1, 1)
    *before, last = zip(*(tensor.split(lengths) for tensor in every), strict=True)
    keys = Keys(before, last)
    start = data.draw(st.integers(0, total - 1))
    length = data.draw(st.integers(1, total - start))
    for found, expected in (
        (keys.at(start, length), every[:, start : start + length]),
        (keys.together, every),
    ):
        assert torch.equal(torch.stack(found), expected)
    within = any(first <= start and start + length <= first + size for first, size in starts(lengths))
    parts = {each.untyped_storage().data_ptr() for each in keys.at(start, length)}
    assert not within or parts == {every.untyped_storage().data_ptr()}, "no copy of what lies in one piece"


def starts(lengths: list[int]) -> list[tuple[int, int]]:
    return [(sum(lengths[:place]), size) for place, size in enumerate(lengths)]
