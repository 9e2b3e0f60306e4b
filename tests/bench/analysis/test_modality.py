"""Bias for a modality is found with its size and sign, and none is found where there is none."""

import pytest

from gmr.bench.analysis.modality import MIXED, SAME, modality_bias, why_not
from gmr.bench.analysis.options import Options
from tests.bench.analysis.fakes import Biased, make_task

OPTIONS = Options(limit=None)


def fused(query="t", **options):
    return make_task("fused", "t2it", query=query, document="it", **options)


@pytest.mark.parametrize("bias", [2.5, -2.5])
def test_a_bonus_for_pictures_is_found_as_it_is(bias):
    table = modality_bias(Biased(picture=bias), [fused()], OPTIONS).table(SAME)
    estimate = table.find("text query", "picture − text")
    assert estimate.mean == pytest.approx(bias, abs=1e-5)
    assert estimate.value.low == pytest.approx(bias, abs=1e-5)
    assert estimate.is_shown
    assert table.find("text query", "both − text").mean == pytest.approx(bias, abs=1e-5)
    assert table.find("text query", "both − picture").mean == pytest.approx(0, abs=1e-5)


def test_no_bias_is_no_effect_in_scores_ranks_or_the_top():
    result = modality_bias(Biased(), [fused()], OPTIONS)
    for row in result.table(SAME).rows:
        for name, estimate in row.estimates.items():
            assert estimate.mean == pytest.approx(0, abs=1e-6), name
            assert not estimate.is_shown
    assert all("no difference" in sentence for sentence in result.sentences)


def test_ranks_and_the_top_follow_a_bonus_larger_than_all_else():
    table = modality_bias(
        Biased(picture=100.0, text=-1000.0), [fused()], Options(None, num_documents=4, top_k=4)
    ).table(SAME)
    # Four pictures stand above four texts with pictures above four texts.
    assert table.find("text query", "ranks, picture − text").mean == pytest.approx(2.5 - 10.5)
    assert table.find("text query", "top 4, picture").mean == pytest.approx(1 - 1 / 3)
    assert table.find("text query", "top 4, text").mean == pytest.approx(-1 / 3)


def test_the_modality_of_the_query_is_a_factor():
    tasks = [
        make_task("a", "t2it", query="t", document="it"),
        make_task("b", "it2it", query="it", document="it"),
        make_task("c", "i2t", query="i", document="t"),
    ]
    result = modality_bias(Biased(picture=1.0), tasks, OPTIONS)
    labels = {row.change.label for row in result.table(SAME).rows}
    assert labels == {
        f"{kind} query{rest}" for kind in ("text", "picture", "fused") for rest in ("", ", no instruction")
    }
    # The texts of the third task say nothing of pictures: it is given fused documents of the others.
    assert result.facts["num_queries_with_foreign_documents"] == 12
    assert result.table(SAME).find("picture query", "picture − text").num_queries == 12


def test_candidates_of_several_modalities_are_compared_as_they_are():
    mixed = make_task(
        "mixed", "t2it", document=lambda place: ("t", "i")[place % 2], relevant=(0,), num_candidates=9
    )
    result = modality_bias(Biased(spread=0.0, picture=3.0), [mixed], Options(None, top_k=4))
    table = result.table(MIXED)
    assert table.find("text query", "picture − text").mean == pytest.approx(3.0)
    # Four pictures and four texts: the top four are the pictures.
    assert table.find("text query", "top 4, picture").mean == pytest.approx(0.5)
    assert not result.table(SAME).rows


def test_where_all_candidates_are_alike_the_reason_is_given():
    task = make_task()
    assert "no document of any task" in why_not(task, [task])
    assert why_not(task, [task, fused()]) == ""
