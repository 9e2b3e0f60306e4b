"""Attention of rows on a CPU by torch's SDPA and written out: there and back, and after a shared prefix; and a product.

python -m benchmarks.attention                a minute of one core
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from gmr.modeling import attention
from gmr.modeling.precision import float32_products
from gmr.modeling.prefix_attention import attend_after_prefixes, reads_in_place

# Rows, heads, queries, keys, width: what the small model attends to, and a group of texts of a larger one.
SHAPES = ((111, 4, 11, 32, 32), (86, 4, 16, 16, 32), (8, 16, 100, 150, 128))
# Tokens of a prefix, of a row and, with 6 heads on 2 key heads of 64, as many rows as make 1,200 tokens.
PREFIXED = tuple((prefix, length) for prefix in (30, 91, 400, 1300) for length in (10, 20, 50, 150))
IN_PLACE, COPIED = "read in place", "sdpa with copies"
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


def after_prefix(prefix: int, length: int) -> dict[str, Callable[[], torch.Tensor]]:
    """Rows after a prefix that they share: read where it is, or copied for each row and given to SDPA."""
    rows = 1200 // length
    query = torch.randn(rows, length, 6, 64)
    key, value = torch.randn(2, rows, length, 2, 64)
    keys, values = torch.randn(2, prefix, 2, 64)
    mask = torch.ones(length, prefix + length, dtype=torch.bool).tril(prefix)

    def copied() -> torch.Tensor:
        whole = (
            torch.cat([shared.expand(rows, -1, -1, -1), own], dim=1).transpose(1, 2)
            for shared, own in ((keys, key), (values, value))
        )
        return scaled_dot_product_attention(query.transpose(1, 2), *whole, attn_mask=mask, enable_gqa=True)

    return {
        IN_PLACE: lambda: attend_after_prefixes(query, key, value, [(rows, keys, values)], scaling=None),
        COPIED: copied,
    }


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
    chosen: dict[str, str] = {}
    for shape in SHAPES:
        runs = {
            f"{name}, {precision}": there_and_back(
                shape, written_out=name == "written out", precision=precision
            )
            for name in ("sdpa", "written out")
            for precision in ("highest", "medium")
        }
        found[f"attention {shape}"] = summary(interleaved(runs, repeats=arguments.repeats))
    with torch.inference_mode(), float32_products(torch.device("cpu")):
        for prefix, length in PREFIXED:
            times = summary(interleaved(after_prefix(prefix, length), repeats=5 * arguments.repeats))
            found[f"{length} tokens after {prefix}"] = times
            chosen[f"{length} tokens after {prefix}"] = IN_PLACE if reads_in_place(length, prefix) else COPIED
    runs = {precision: product(precision) for precision in ("highest", "medium")}
    found[f"product {PRODUCT}"] = summary(interleaved(runs, repeats=arguments.repeats))
    for name, values in found.items():
        print(name, {variant: value["median_s"] for variant, value in values.items()}, chosen.get(name, ""))
    write(arguments.output, {"machine": machine(), "calls": CALLS, "results": found, "chosen": chosen})


if __name__ == "__main__":
    main()
