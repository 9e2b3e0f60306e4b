"""What an effect with its interval says of a claim: agree, disagree, or cannot tell. The rule is fixed and in words."""

from typing import Literal

from gmr.metrics.statistics import Interval

Claim = Literal["higher", "lower", "same", "not_higher", "not_lower"]
Certainty = Literal["V", "S", "I"]
Verdict = Literal["agree", "disagree", "cannot tell"]

CERTAINTIES: dict[str, str] = {
    "V": "read at the source",
    "S": "from a secondary source",
    "I": "inferred",
}
RULE = (
    "The verdict looks at the 95 % interval of our effect alone. Claim higher (lower): agree where the whole interval "
    "is above (below) zero, disagree where it is wholly on the other side. Claim same: agree where the whole interval "
    "lies within the stated points of zero, disagree where it lies wholly beyond them. Claim not higher (not lower): "
    "agree where the whole interval is at most the stated points above (below) zero, disagree where it lies wholly "
    "beyond them. Else cannot tell; so too where neither cell is above random order, where a run of either diverged, "
    "and of a single seed. The size of the effect is not compared: model, data and measure are others."
)


def verdict(interval: Interval, claim: Claim, *, within: float = 0.0) -> Verdict:
    """What ``RULE`` gives.

    Args:
        interval: Of the difference, in points.
        claim: What is claimed of it.
        within: Points that count as nothing, for ``same``, ``not_higher`` and ``not_lower``.
    """
    low, high = interval.low, interval.high
    if claim in ("lower", "not_lower"):
        low, high = -high, -low
    if claim in ("higher", "lower"):
        agrees, disagrees = low > 0, high < 0
    elif claim == "same":
        agrees, disagrees = low >= -within and high <= within, low > within or high < -within
    else:
        agrees, disagrees = high <= within, low > within
    return "agree" if agrees else "disagree" if disagrees else "cannot tell"
