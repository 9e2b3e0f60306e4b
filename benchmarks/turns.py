"""Packed attention of long texts after a prefix that they share: all queries of a text at once, or in turns.

python -m benchmarks.turns                    a minute of one core
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from gmr.modeling import attention
from gmr.modeling.device_layout import to_device
from gmr.modeling.layout import Span, lay_out
from gmr.modeling.packed_attention import packed_attention
from gmr.modeling.precision import float32_products

# Tokens of a prefix and of the texts after it.
GROUPS = (
    (91, (153,) * 9),
    (91, (75, 100, 120, 150, 180, 200, 220, 225)),
    (91, (400, 380, 300, 420)),
    (91, (800, 900)),
    (400, (150,) * 8),
    (300, (300, 320, 310)),
)
HEADS, KEY_HEADS, WIDTH = 6, 2, 64
AT_ONCE, IN_TURNS = "at once", "in turns"
CALLS = 3


def group(prefix: int, lengths: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """Inference, and training with its gradients, each in both ways."""
    spans, place = [Span(0, prefix)], prefix
    for length in lengths:
        spans.append(Span(place, length, 0, prefix))
        place += length
    layout = to_device(lay_out(spans, num_tokens=place), torch.device("cpu"))
    states = [
        torch.randn(1, heads, place, WIDTH, requires_grad=True) for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    ]
    gradient = torch.randn(1, place, HEADS, WIDTH)
    layer = torch.nn.Module()
    layer.layer_idx = 0  # type: ignore[assignment]

    def outputs() -> torch.Tensor:
        query, key, value = states
        return packed_attention(layer, query, key, value, None, packed_layout=layout)[0]

    def infer() -> None:
        with torch.inference_mode():
            outputs()

    def train() -> None:
        torch.autograd.grad(outputs(), states, gradient)

    def calls(once: Callable[[], None], least: int) -> Callable[[], None]:
        def run() -> None:
            with patch.object(attention, "MIN_TURN", least):
                for _ in range(CALLS):
                    once()

        return run

    return {
        f"{name}, {way}": calls(once, least)
        for name, once in (("inference", infer), ("training", train))
        for way, least in ((AT_ONCE, place + 1), (IN_TURNS, attention.MIN_TURN))
    }


def main() -> None:
    """Command line."""
    arguments = arguments_parser(__doc__, output="turns-cpu.json", repeats=15).parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with float32_products(torch.device("cpu")):
        for prefix, lengths in GROUPS:
            times = summary(interleaved(group(prefix, lengths), repeats=arguments.repeats))
            faster = {
                name: round(
                    times[f"{name}, {AT_ONCE}"]["median_s"] / times[f"{name}, {IN_TURNS}"]["median_s"], 2
                )
                for name in ("inference", "training")
            }
            about = f"{len(lengths)} texts of {min(lengths)} to {max(lengths)} tokens after {prefix}"
            found[about] = {"seconds": times, "times_faster": faster}
            print(about, faster)
    record = {"machine": machine(), "calls": CALLS, "min_turn": attention.MIN_TURN, "results": found}
    write(arguments.output, record)


if __name__ == "__main__":
    main()
