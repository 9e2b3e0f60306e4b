"""A score that hangs on its place in the request is named; rounding passes."""

import numpy as np
import pytest

from gmr.bench.analysis.options import Options
from gmr.bench.analysis.position import TOLERANCE, position_sensitivity
from gmr.bench.analysis.run import run_analyses
from tests.bench.analysis.fakes import Biased, make_task


class Placed(Biased):
    """Gives each pair a bonus by its place in the call."""

    def __init__(self, bonus):
        super().__init__()
        self.bonus = bonus

    def score(self, pairs):
        return (super().score(pairs) + self.bonus * np.arange(len(pairs))).astype(np.float32)


def test_a_score_by_place_is_found_and_the_worst_pair_is_named():
    result = position_sensitivity(Placed(0.5), [make_task()], Options(limit=None))
    # In reverse the last of eight becomes the first.
    assert result.facts["largest_change"] == pytest.approx(3.5, abs=1e-5)
    assert result.facts["passed"] is False
    assert result.facts["where"].endswith("candidates in reverse")
    assert "query 'q" in result.sentences[0]
    assert "THE PLACE MATTERS" in result.sentences[0]
    assert result.tables[0].find("candidates in reverse", "largest change").mean == pytest.approx(
        3.5, abs=1e-5
    )
    assert result.tables[0].find("one candidate alone", "largest change").mean == 0.0


def test_rounding_passes():
    result = position_sensitivity(Placed(1e-5), [make_task()], Options(limit=None))
    assert 0 < result.facts["largest_change"] < TOLERANCE
    assert result.facts["passed"] is True


def test_no_dependence_is_a_change_of_exactly_zero():
    result = position_sensitivity(Biased(), [make_task()], Options(limit=None))
    assert result.facts["largest_change"] == 0.0
    assert result.facts["num_compared"] == 12 * (8 + 8 + 1)


def test_remembered_scores_do_not_hide_it():
    report = run_analyses(Placed(0.5), [make_task()], ["fusion", "position"])
    assert report.result("position").facts["passed"] is False
