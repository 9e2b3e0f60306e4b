"""Attention of rows on a CPU, there and back, by torch's SDPA and written out, and a matrix product.

python -m benchmarks.attention                half a minute of one core
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from gmr.modeling import attention

# Rows, heads, queries, keys, width: what the small model attends to, and a group of texts of a larger one.
SHAPES = ((111, 4, 11, 32, 32), (86, 4, 16, 16, 32), (8, 16, 100, 150, 128))
PRODUCT = (1536, 384, 128)  # rows, inputs, outputs
CALLS = 20


def there_and_back(shape: tuple[int, ...], *, written_out: bool, precision: str) -> Callable[[], None]:
    """Some calls of attention with its gradient."""
    rows, heads, queries, keys, width = shape
    query = torch.randn(rows, heads, queries, width, requires_grad=True)
    key, value = (torch.randn(rows, heads, keys, width, requires_grad=True) for _ in range(2))
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)[None, None]
    gradient = torch.randn(rows, heads, queries, width)

    def once() -> torch.Tensor:
        if written_out:
            return attention.attend(query, key, value, mask=mask, is_causal=False, scaling=None)
        return scaled_dot_product_attention(query, key, value, attn_mask=mask)

    def run() -> None:
        torch.set_float32_matmul_precision(precision)
        for _ in range(CALLS):
            once().backward(gradient)

    return run


def product(precision: str) -> Callable[[], None]:
    """Some matrix products."""
    rows, inputs, outputs = PRODUCT
    left, right = torch.randn(rows, inputs), torch.randn(outputs, inputs)

    def run() -> None:
        torch.set_float32_matmul_precision(precision)
        for _ in range(10 * CALLS):
            linear(left, right)

    return run


def main() -> None:
    """Command line."""
    parser = arguments_parser(__doc__, output="attention-cpu.json", repeats=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for shape in SHAPES:
        runs = {
            f"{name}, {precision}": there_and_back(
                shape, written_out=name == "written out", precision=precision
            )
            for name in ("sdpa", "written out")
            for precision in ("highest", "medium")
        }
        found[f"attention {shape}"] = summary(interleaved(runs, repeats=arguments.repeats))
    runs = {precision: product(precision) for precision in ("highest", "medium")}
    found[f"product {PRODUCT}"] = summary(interleaved(runs, repeats=arguments.repeats))
    for name, values in found.items():
        print(name, {variant: value["median_s"] for variant, value in values.items()})
    write(arguments.output, {"machine": machine(), "calls": CALLS, "results": found})


if __name__ == "__main__":
    main()
