"""What was measured as a table, and as a sentence that says which variant to use and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from gmr.bench.engine.measure import Measured, WorkloadResult
from gmr.bench.engine.variants import REFERENCE, Variant
from gmr.metrics.tables import markdown_table

# Largest difference of a log-odds that rounding in float32 makes; more is another computation.
EXACT = 1e-4
# What is not faster by a twentieth is not worth a word: two runs of the same variant differ by as much.
WORTH = 1.05

Column = Callable[[Measured], str]
COLUMNS: dict[str, Column] = {
    "seconds": lambda row: f"{row.median_s:.3f}",
    "pairs/s": lambda row: f"{row.pairs_per_s:,.0f}" if row.pairs_per_s >= 100 else f"{row.pairs_per_s:.1f}",
    "faster": lambda row: f"{row.times_faster:.2f}×",
    "tokens": lambda row: f"{row.num_tokens:,}",
    "patches": lambda row: f"{row.num_patches:,}",
    "pictures": lambda row: f"{row.num_pictures:,}",
    "weights": lambda row: f"{row.weight_bytes / 1e6:,.1f} MB",
    "loads in": lambda row: f"{row.load_s:.1f} s",
    "differs": lambda row: "" if row.variant == REFERENCE else f"{row.largest_difference:.0e}",
    "tau": lambda row: (
        "" if row.variant == REFERENCE else "none" if row.kendall_tau is None else f"{row.kendall_tau:.3f}"
    ),
}
# Left out where the terminal is narrow.
WIDE = ("seconds", "weights", "loads in")
LEGEND = (
    "tokens went through the language model, patches through the vision tower; pictures were opened and preprocessed.",
    "differs: largest difference of a log-odds to padded pairs in float32; tau: Kendall's, of the order to theirs.",
)


def table(result: WorkloadResult, *, is_wide: bool = True) -> tuple[list[str], list[list[str]]]:
    """Headings and cells, one row for each variant that ran; columns that would hold zeros alone are left out."""
    empty = () if any(row.num_pictures for row in result.measured) else ("patches", "pictures")
    shown = [name for name in COLUMNS if name not in empty and (is_wide or name not in WIDE)]
    rows = [[row.variant, *(COLUMNS[name](row) for name in shown)] for row in result.measured]
    return ["variant", *shown], rows


def advice(result: WorkloadResult, variants: Sequence[Variant]) -> str:
    """Which variant to use, and what others would gain and cost."""
    kinds = {variant.name: variant for variant in variants}
    rows = [row for row in result.measured if row.variant != REFERENCE]
    cold = [row for row in rows if not kinds[row.variant].knows]
    exact = [row for row in cold if row.largest_difference <= EXACT]
    # What a compiler gains may be less than the minutes it takes: never the first advice.
    compiled = [row for row in exact if kinds[row.variant].options.get("compile")]
    best = _fastest([row for row in exact if row not in compiled])
    sentences = [
        f"Use {REFERENCE}: nothing with the same scores is faster here."
        if best is None
        else f"Use {best.variant}: {_times(best)} faster than {REFERENCE}, {_cost(best)}."
    ]
    floor = best.times_faster if best else 1.0
    fastest_compiled = _fastest(compiled, floor=floor)
    if fastest_compiled is not None:
        seconds = f"{fastest_compiled.load_s:.0f} s to load"
        sentences.append(
            f"{fastest_compiled.variant} is {_times(fastest_compiled)} faster, once it has taken {seconds}."
        )
    known = _fastest([row for row in rows if kinds[row.variant].knows], floor=floor)
    if known is not None:
        what = kinds[known.variant].knows
        sentences.append(f"With {what} known from earlier calls, {known.variant} is {_times(known)} faster.")
    rounded = _fastest([row for row in cold if row.largest_difference > EXACT], floor=floor)
    if rounded is not None:
        sentences.append(f"{rounded.variant} is {_times(rounded)} faster, but {_cost(rounded)}.")
    smallest = min(result.measured, key=lambda row: row.weight_bytes)
    reference = next(row for row in result.measured if row.variant == REFERENCE)
    if smallest.weight_bytes < reference.weight_bytes:
        share = smallest.weight_bytes / reference.weight_bytes
        speed = f"{smallest.times_faster:.2g} times the speed of {REFERENCE}"
        sentences.append(
            f"{smallest.variant} has {share:.0%} of the weights' memory at {speed}; {_cost(smallest)}."
        )
    return " ".join(sentences)


def markdown(results: Sequence[WorkloadResult], variants: Sequence[Variant], *, title: str) -> str:
    """A page with one table for each workload."""
    parts = [f"# {title}\n"]
    for result in results:
        parts += [f"## {result.name}\n", f"{result.about}.\n", markdown_table(*table(result))]
        parts.append(f"{advice(result, variants)}\n")
        parts += [f"- {name} did not run: {reason}" for name, reason in result.not_run.items()]
        parts += [""] * bool(result.not_run)
    return "\n".join([*parts, *LEGEND, ""])


def to_dict(result: WorkloadResult, variants: Sequence[Variant]) -> dict[str, Any]:
    """The result for a JSON file, with the advice."""
    return asdict(result) | {"advice": advice(result, variants)}


def _fastest(rows: Sequence[Measured], *, floor: float = 1.0) -> Measured | None:
    """The fastest of the rows that are worth it over ``floor`` times the reference."""
    worth = [row for row in rows if row.times_faster >= WORTH * floor]
    return max(worth, key=lambda row: row.times_faster, default=None)


def _times(row: Measured) -> str:
    return f"{row.times_faster:.1f} times"


def _cost(row: Measured) -> str:
    if row.largest_difference <= EXACT:
        return f"scores differ by at most {row.largest_difference:.0e}"
    order = "" if row.kendall_tau is None else f" (tau {row.kendall_tau:.3f})"
    return f"scores differ by up to {row.largest_difference:.1g}{order}"
