"""The sentence under a table names the variant that the numbers speak for, and its cost."""

import dataclasses

from gmr.bench.engine.measure import Measured, WorkloadResult
from gmr.bench.engine.report import advice, markdown, table
from gmr.bench.engine.variants import choose_variants

VARIANTS = choose_variants()
BASE = Measured("padded", (1.0,), 1.0, 24.0, 1.0, 1000, 0, 0, 4_000_000, 90.4, 0.0, 1.0)


def result(*rows: Measured, **not_run: str) -> WorkloadResult:
    return WorkloadResult("T->T", "1 query", 24, (BASE, *rows), not_run)


def row(
    variant: str, faster: float, difference: float, tau: float | None = 1.0, size: int = 4_000_000
) -> Measured:
    return dataclasses.replace(
        BASE,
        variant=variant,
        times_faster=faster,
        largest_difference=difference,
        kendall_tau=tau,
        weight_bytes=size,
    )


def test_the_fastest_with_the_same_scores_is_advised() -> None:
    found = result(row("packed", 2.31, 4e-6), row("packed+compile", 2.2, 5e-6))
    assert (
        advice(found, VARIANTS) == "Use packed: 2.3 times faster than padded, scores differ by at most 4e-06."
    )


def test_where_nothing_is_faster_the_reference_is_advised() -> None:
    found = result(row("packed", 1.04, 4e-6))
    assert advice(found, VARIANTS) == "Use padded: nothing with the same scores is faster here."


def test_what_is_faster_at_a_price_comes_with_the_price() -> None:
    found = result(row("packed", 2.0, 4e-6), row("packed+bfloat16", 3.1, 0.192, 0.9812))
    assert advice(found, VARIANTS).endswith(
        "packed+bfloat16 is 3.1 times faster, but scores differ by up to 0.2 (tau 0.981)."
    )
    assert "bfloat16" not in advice(
        result(row("packed", 2.0, 0.0), row("packed+bfloat16", 2.05, 0.2)), VARIANTS
    )


def test_what_a_compiler_gains_stands_beside_the_time_it_takes() -> None:
    found = result(row("packed", 2.31, 4e-6), row("packed+compile", 2.6, 5e-6))
    assert advice(found, VARIANTS) == (
        "Use packed: 2.3 times faster than padded, scores differ by at most 4e-06."
        " packed+compile is 2.6 times faster, once it has taken 90 s to load."
    )


def test_what_must_be_known_first_is_never_the_advice_alone() -> None:
    found = result(row("packed", 2.0, 4e-6), row("packed+pictures", 6.42, 4e-6))
    assert advice(found, VARIANTS) == (
        "Use packed: 2.0 times faster than padded, scores differ by at most 4e-06."
        " With pictures known from earlier calls, packed+pictures is 6.4 times faster."
    )


def test_less_memory_is_named_with_its_price() -> None:
    found = result(row("packed", 2.0, 4e-6), row("packed+int8", 1.5, 0.16, None, size=1_000_000))
    assert advice(found, VARIANTS).endswith(
        "packed+int8 has 25% of the weights' memory at 1.5 times the speed of padded; scores differ by up to 0.2."
    )


def test_a_narrow_table_leaves_out_what_can_be_missed() -> None:
    wide, _ = table(result())
    narrow, cells = table(result(), is_wide=False)
    assert wide == [
        "variant",
        "seconds",
        "pairs/s",
        "faster",
        "tokens",
        "weights",
        "loads in",
        "differs",
        "tau",
    ]
    assert narrow == ["variant", "pairs/s", "faster", "tokens", "differs", "tau"]
    assert cells == [["padded", "24.0", "1.00×", "1,000", "", ""]]
    seen, _ = table(result(dataclasses.replace(BASE, variant="packed", num_patches=9, num_pictures=1)))
    assert "patches" in seen
    assert "pictures" in seen


def test_the_page_holds_tables_advice_and_reasons() -> None:
    page = markdown([result(row("packed", 2.31, 4e-6), fast="no kernel")], VARIANTS, title="Engines of m")
    assert page.startswith("# Engines of m\n")
    assert "| packed  |" in page
    assert "Use packed: 2.3 times faster" in page
    assert "- fast did not run: no kernel" in page
