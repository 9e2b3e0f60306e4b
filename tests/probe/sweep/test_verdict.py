"""The verdict is a fixed rule on the interval, whatever the size of the effect."""

import pytest

from gmr.metrics.statistics import Interval
from gmr.probe.sweep.verdict import verdict


@pytest.mark.parametrize(
    ("low", "high", "claim", "within", "expected"),
    [
        (0.1, 5.0, "higher", 0, "agree"),
        (-5.0, -0.1, "higher", 0, "disagree"),
        (-0.1, 5.0, "higher", 0, "cannot tell"),
        (0.0, 5.0, "higher", 0, "cannot tell"),
        (-5.0, -0.1, "lower", 0, "agree"),
        (0.1, 5.0, "lower", 0, "disagree"),
        (-5.0, 0.1, "lower", 0, "cannot tell"),
        (-0.9, 0.9, "same", 1, "agree"),
        (0.2, 0.9, "same", 1, "agree"),
        (1.1, 2.0, "same", 1, "disagree"),
        (-2.0, -1.1, "same", 1, "disagree"),
        (0.5, 2.0, "same", 1, "cannot tell"),
        (-9.0, 0.9, "not_higher", 1, "agree"),
        (1.1, 2.0, "not_higher", 1, "disagree"),
        (-9.0, 2.0, "not_higher", 1, "cannot tell"),
        (-0.9, 9.0, "not_lower", 1, "agree"),
        (-2.0, -1.1, "not_lower", 1, "disagree"),
        (-2.0, 9.0, "not_lower", 1, "cannot tell"),
    ],
)
def test_the_rule(low: float, high: float, claim: str, within: float, expected: str) -> None:
    interval = Interval((low + high) / 2, low, high)
    assert verdict(interval, claim, within=within) == expected  # type: ignore[arg-type]
