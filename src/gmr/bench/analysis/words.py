"""Numbers as people read them, and sentences that say no more than the numbers show."""

from gmr.bench.analysis.results import Column, Estimate

# With five queries the sign-flip test has 32 patterns: its least two-sided p-value is above 0.05.
MIN_QUERIES = 6


def number(value: float, *, digits: int = 3, is_signed: bool = True) -> str:
    """The value with its sign, a true minus; what would round to zero but is none keeps one digit."""
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        text = f"{value:+.0e}" if is_signed else f"{value:.0e}"
    else:
        text = (
            f"{value:+.{digits}f}"
            if is_signed and value != 0
            else f"{abs(value) if value == 0 else value:.{digits}f}"
        )
    return text.replace("-", "−", 1) if value < 0 else text


def amount(estimate: Estimate, *, digits: int = 3, is_signed: bool = True) -> str:
    """Mean and interval: ``+0.612 [+0.580, +0.641]``."""
    mean, low, high = (
        number(value, digits=digits, is_signed=is_signed)
        for value in (estimate.mean, estimate.value.low, estimate.value.high)
    )
    return f"{mean} [{low}, {high}]"


def cell(estimate: Estimate | None, column: Column, *, with_interval: bool = True) -> str:
    """Mean, and interval where it is wanted, with a star where an effect is shown; a dash where there is no number."""
    if estimate is None:
        return "–"
    text = number(estimate.mean, digits=column.digits, is_signed=column.is_effect)
    if with_interval:
        text = amount(estimate, digits=column.digits, is_signed=column.is_effect)
    return f"{text} *" if estimate.is_shown else text


def effect_sentence(estimate: Estimate, *, raises: str, lowers: str, nothing: str, digits: int = 3) -> str:
    """One of three beginnings with the amount: an effect up, one down, or none that is shown.

    Args:
        estimate: a tested effect.
        raises: said of a shown effect above zero.
        lowers: said of a shown effect below zero.
        nothing: said where none is shown; the interval says what is not excluded.
        digits: after the point.
    """
    if not estimate.is_shown:
        if estimate.num_queries < MIN_QUERIES:
            few = (
                f"{estimate.num_queries} {'query is' if estimate.num_queries == 1 else 'queries are'} too few"
            )
            return f"{nothing}, and {few} to show one: {amount(estimate, digits=digits)}."
        p_value = "" if estimate.adjusted_p_value is None else f", p {estimate.adjusted_p_value:.2g}"
        return f"{nothing}: {amount(estimate, digits=digits)}{p_value}."
    beginning = raises if estimate.mean > 0 else lowers
    return f"{beginning}: {amount(estimate, digits=digits)}."


def percent(value: float) -> str:
    """A share in whole percent, one digit more where it is small."""
    return f"{100 * value:.0f} %" if value == 0 or value >= 0.1 else f"{100 * value:.1f} %"
