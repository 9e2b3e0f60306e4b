import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.metrics.measures import evaluate, parse_measure
from tests.metrics.naive import mean_over_tie_orders

ALL = [
    *("ndcg", "ndcg_exp", "rr", "ap"),
    *(
        f"{name}@{k}"
        for name in ("ndcg", "ndcg_exp", "recall", "p", "hit", "rr", "ap")
        for k in (1, 2, 4, 20)
    ),
]


def tied_case(blocks):
    """Scores with the given blocks of ties, and the judgments."""
    scores, judged = {}, {}
    for level, block in enumerate(blocks):
        for place, grade in enumerate(block):
            scores[f"d{level}.{place}"] = -float(level)
            judged[f"d{level}.{place}"] = grade
    return scores, judged


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=3), st.integers(0, 2)
)
def test_the_expectation_is_the_mean_over_all_orders_of_the_ties(blocks, num_missing):
    scores, judged = tied_case(blocks)
    judged |= {f"x{i}": 1 for i in range(num_missing)}
    if not any(judged.values()):
        return
    values = evaluate({"q": scores}, {"q": judged}, ALL, expected_under_ties=True)
    for text in ALL:
        measure = parse_measure(text)
        naive = mean_over_tie_orders(measure.name, measure.k, blocks, list(judged.values()))
        assert values[text]["q"] == pytest.approx(naive, abs=1e-12), text


@pytest.mark.parametrize("num_relevant", range(1, 8))
def test_one_block_of_seven_is_the_mean_of_its_5040_orders(num_relevant):
    block = [1] * num_relevant + [0] * (7 - num_relevant)
    scores, judged = tied_case([block])
    values = evaluate({"q": scores}, {"q": judged}, ["rr@3", "ap@5", "hit@2"], expected_under_ties=True)
    for text in values:
        measure = parse_measure(text)
        naive = mean_over_tie_orders(measure.name, measure.k, [block], block)
        assert values[text]["q"] == pytest.approx(naive, abs=1e-12), text


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30).filter(any))
def test_without_ties_the_expectation_is_the_value(grades):
    scores, judged = tied_case([[grade] for grade in grades])
    plain = evaluate({"q": scores}, {"q": judged}, ALL)
    expected = evaluate({"q": scores}, {"q": judged}, ALL, expected_under_ties=True)
    for text in ALL:
        assert expected[text]["q"] == pytest.approx(plain[text]["q"], abs=1e-12), text


@pytest.mark.parametrize("num_documents", [1, 10, 100])
def test_a_constant_scorer_is_worth_random_order(num_documents):
    # closed forms for one relevant document among n in random order
    scores = {f"d{i}": 0.25 for i in range(num_documents)}
    values = evaluate(
        {"q": scores}, {"q": {"d0": 1}}, ["rr", "hit@10", "ndcg@10", "recall@10"], expected_under_ties=True
    )
    harmonic = math.fsum(1 / rank for rank in range(1, num_documents + 1))
    seen = min(10, num_documents)
    assert values["rr"]["q"] == pytest.approx(harmonic / num_documents, abs=1e-12)
    assert values["hit@10"]["q"] == pytest.approx(seen / num_documents, abs=1e-12)
    assert values["recall@10"]["q"] == pytest.approx(seen / num_documents, abs=1e-12)
    gain = math.fsum(1 / math.log2(rank + 1) for rank in range(1, seen + 1)) / num_documents
    assert values["ndcg@10"]["q"] == pytest.approx(gain, abs=1e-12)


def test_shuffling_large_blocks_approaches_the_expectation():
    generator = np.random.default_rng(5)
    judged = {f"d{i}": int(i % 9 == 0) for i in range(100)}
    scores = {f"d{i}": float(i % 3) for i in range(100)}
    names = ["ndcg@10", "rr", "ap", "hit@3", "p@20"]
    expected = evaluate({"q": scores}, {"q": judged}, names, expected_under_ties=True)
    run = {
        f"q{i}": {
            d: s + 1e-6 * noise for (d, s), noise in zip(scores.items(), generator.random(100), strict=True)
        }
        for i in range(2000)
    }
    shuffled = evaluate(run, dict.fromkeys(run, judged), names)
    for name in names:
        values = np.array(list(shuffled[name].values()))
        error = values.std() / math.sqrt(len(values))
        assert abs(values.mean() - expected[name]["q"]) < 4 * error + 1e-12, name


def test_a_thousand_tied_documents_stay_exact():
    # the binomial coefficients themselves would overflow float64
    judged = {f"d{i}": 1 for i in range(500)}
    scores = {f"d{i}": 0.0 for i in range(1000)}
    values = evaluate({"q": scores}, {"q": judged}, ["rr", "hit@1", "ap", "p@10"], expected_under_ties=True)
    assert values["hit@1"]["q"] == pytest.approx(0.5)
    assert values["p@10"]["q"] == pytest.approx(0.5)
    first = [math.comb(1000 - rank, 499) / math.comb(1000, 500) / rank for rank in range(1, 502)]
    assert values["rr"]["q"] == pytest.approx(math.fsum(first), abs=1e-12)
