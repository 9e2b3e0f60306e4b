"""Kendall's tau by its definition, pair by pair; Spearman's rho as scipy computes it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from gmr.metrics.agreement import average_ranks, kendall_tau, spearman_rho

rows = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12)


@given(pairs=rows)
def test_tau_is_that_of_its_definition_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    concordant = discordant = tied_a = tied_b = 0
    for (a1, b1), (a2, b2) in combinations(pairs, 2):
        concordant += (a1 - a2) * (b1 - b2) > 0
        discordant += (a1 - a2) * (b1 - b2) < 0
        tied_a += a1 == a2
        tied_b += b1 == b2
    total = len(pairs) * (len(pairs) - 1) // 2
    if tied_a == total or tied_b == total:
        assert kendall_tau(a, b) is None
    else:
        expected = (concordant - discordant) / ((total - tied_a) * (total - tied_b)) ** 0.5
        assert kendall_tau(a, b) == pytest.approx(expected, abs=1e-12)


def test_one_swap_of_neighbours_costs_two_pairs() -> None:
    scores = np.arange(10.0)
    swapped = scores.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    assert kendall_tau(scores, scores) == 1.0
    assert kendall_tau(scores, -scores) == -1.0
    assert kendall_tau(scores, swapped) == pytest.approx(1 - 2 / 45)


def test_one_thing_has_no_order() -> None:
    assert kendall_tau([1.0], [2.0]) is None
    assert kendall_tau([], []) is None


def test_what_is_no_two_rows_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"equal length are needed, not \(2,\) and \(3,\)"):
        kendall_tau([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        kendall_tau([1, float("nan")], [1, 2])


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12), st.integers(0, 99))
def test_ranks_and_spearman_are_those_of_scipy(values: list[int], seed: int) -> None:
    others = np.random.default_rng(seed).integers(-2, 3, len(values))
    assert average_ranks(values).tolist() == rankdata(values).tolist()
    rho = spearman_rho(values, others)
    if len(set(values)) == 1 or len(set(others.tolist())) == 1:
        assert rho is None
    else:
        assert rho == pytest.approx(spearmanr(values, others).statistic)
