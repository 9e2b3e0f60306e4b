"""Attention that keeps little gives the outputs and gradients of a dense mask, and does keep little."""

import pytest
import torch
from torch import Tensor

from gmr.modeling import attention, lean_attention
from gmr.modeling.device_layout import to_device
from gmr.modeling.layout import Span, lay_out
from gmr.modeling.packed_attention import packed_attention
from tests.modeling.dense import dense_attention

# Prefixes with rows of different lengths, rows without a prefix, and padding inside calls.
GROUPS = [(5, [3, 4, 4]), (0, [6]), (2, [1, 9]), (7, [2])]


def spans_of(groups: list[tuple[int, list[int]]]) -> list[Span]:
    found: list[Span] = []
    place = 0
    for prefix, lengths in groups:
        start = place
        if prefix:
            found.append(Span(place, prefix))
            place += prefix
        for length in lengths:
            found.append(Span(place, length, start, prefix) if prefix else Span(place, length))
            place += length
    return found


def states(num_tokens: int, heads: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(num_tokens)
    return [
        torch.randn(1, count, num_tokens, 8, generator=generator, requires_grad=True)
        for count in (heads[0], heads[1], heads[1])
    ]


def packed(tensors: list[Tensor], spans: list[Span]) -> Tensor:
    module = torch.nn.Module()
    module.layer_idx = 0  # type: ignore[assignment]
    layout = to_device(lay_out(spans, num_tokens=tensors[0].shape[2]), torch.device("cpu"))
    output, _ = packed_attention(module, *tensors, None, packed_layout=layout)
    return output


@pytest.mark.parametrize(
    ("longest_short_row", "turn"),
    [(0, 64), (0, 2), (60, 2), (16_384, 64)],
    ids=["kernel", "kernel in turns", "both", "written out"],
)
@pytest.mark.parametrize("heads", [(2, 2), (6, 2)])
def test_outputs_and_gradients_are_those_of_a_dense_mask(
    heads: tuple[int, int], longest_short_row: int, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MIN_TURN", turn)
    monkeypatch.setattr(lean_attention, "MAX_WRITTEN_OUT_IN_TRAINING", longest_short_row)
    spans = spans_of(GROUPS)
    num_tokens = sum(span.length for span in spans)
    results = []
    for attend in (packed, dense_attention):
        tensors = states(num_tokens, heads)
        output = attend(tensors, spans)
        weights = torch.linspace(-1, 1, output.numel()).view_as(output)
        results.append([output, *torch.autograd.grad((output * weights).sum(), tensors)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_prefixes_are_kept_once_however_many_rows_follow() -> None:
    def kept(num_rows: int) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        spans = spans_of([(200, [4] * num_rows)])
        tensors = states(200 + 4 * num_rows, (2, 2))
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            output = packed(tensors, spans)
        del output
        return sum(sizes.values())

    # Thirty rows more have 120 tokens of their own; thirty copies of the prefix would be 12,000 tokens.
    assert kept(31) - kept(1) <= 100_000


def test_gradients_of_gradients_are_refused() -> None:
    spans = spans_of(GROUPS)
    tensors = states(sum(span.length for span in spans), (2, 2))
    (first,) = torch.autograd.grad(packed(tensors, spans).square().sum(), tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.square().sum().backward()
