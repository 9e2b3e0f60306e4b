"""The gated feed-forward part of a layer in inference, as transformers computes it and over its own buffers.

python -m benchmarks.feed_forward             half a minute of one core
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2MLP

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from gmr.modeling.lean_feed_forward import use_lean_feed_forward, use_plain_feed_forward
from gmr.modeling.precision import float32_products

# Width, inner width, tokens: the small model, that of the other benchmarks, and a layer of half a billion parameters.
SHAPES = ((128, 384, 1536), (384, 1152, 1536), (384, 1152, 16_384), (896, 4864, 1536))


def variants(shape: tuple[int, int, int]) -> dict[str, Callable[[], torch.Tensor]]:
    """The part both ways, and its three products alone."""
    width, inner, tokens = shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part = Qwen2MLP(Qwen2VLTextConfig(hidden_size=width, intermediate_size=inner))
        states = torch.randn(1, tokens, width)
    gate, up, down = part.gate_proj.weight, part.up_proj.weight, part.down_proj.weight

    def as_in_transformers() -> torch.Tensor:
        use_plain_feed_forward(part)
        return part(states)

    def over_its_buffers() -> torch.Tensor:
        use_lean_feed_forward(part)
        return part(states)

    def products() -> torch.Tensor:
        torch.nn.functional.linear(states, up)
        return torch.nn.functional.linear(torch.nn.functional.linear(states, gate), down)

    return {
        "transformers": as_in_transformers,
        "over its own buffers": over_its_buffers,
        "products alone": products,
    }


def main() -> None:
    """Command line."""
    arguments = arguments_parser(__doc__, output="feed-forward-cpu.json", repeats=15).parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with torch.inference_mode(), float32_products(torch.device("cpu")):
        for shape in SHAPES:
            runs = variants(shape)
            same = torch.equal(runs["transformers"](), runs["over its own buffers"]())
            times = summary(interleaved(runs, repeats=arguments.repeats))
            found[str(shape)] = {"seconds": times, "same_bits": same}
            print(shape, {name: value["median_s"] for name, value in times.items()}, f"same bits: {same}")
    write(arguments.output, {"machine": machine(), "repeats": arguments.repeats, "results": found})


if __name__ == "__main__":
    main()
