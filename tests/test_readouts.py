"""Readouts against the probabilities that they stand for."""

import math

import pytest
import torch

from gmr.readouts import (
    NO_LOG_ODDS,
    READOUTS,
    expectation,
    expectation_odds,
    scored_argmax,
    yes,
    yes_minus_no,
)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4


def test_the_table_names_every_readout():
    named = (yes_minus_no, yes, expectation, expectation_odds, scored_argmax)
    assert dict(READOUTS) == {readout.__name__: readout for readout in named}
    sure_of_no = torch.tensor([-3.0, -2.0, 4.0])
    assert {name for name, readout in READOUTS.items() if readout(sure_of_no) >= 0} == NO_LOG_ODDS


def test_the_expected_grade_is_the_sum_of_grades_times_probabilities():
    answers = logits(7, 11)
    expected = [
        sum((10 - a) * math.exp(row[a]) for a in range(11)) / sum(math.exp(z) for z in row)
        for row in answers.tolist()
    ]
    assert expectation(answers).tolist() == pytest.approx(expected, abs=1e-12)
    assert (10 * expectation_odds(answers).sigmoid()).tolist() == pytest.approx(expected, abs=1e-12)


def test_of_two_answers_the_odds_of_the_expected_grade_are_yes_minus_no():
    answers = logits(9, 2)
    torch.testing.assert_close(expectation_odds(answers), yes_minus_no(answers), rtol=0, atol=1e-13)


def test_odds_order_sure_candidates_where_expected_grades_tie_in_float32():
    sure = torch.tensor([[30.0, 0.0, 0.0], [40.0, 0.0, 0.0]])
    assert expectation(sure).tolist() == [2.0, 2.0]
    assert expectation_odds(sure)[0] < expectation_odds(sure)[1]


def test_scored_argmax_is_the_likeliest_grade_times_its_probability():
    row = torch.tensor(
        [[0.1, 2.0, 0.5, 1.9], [0.0, 0.0, 1.0, 3.0], [1.0, 1.0, 0.0, 0.0]], dtype=torch.float64
    )
    shares = row.softmax(dim=-1).tolist()
    assert scored_argmax(row).tolist() == pytest.approx([2 * shares[0][1], 0.0, 3 * shares[2][0]], abs=1e-15)


def test_yes_minus_no_of_two_answers_is_their_difference():
    assert yes_minus_no(torch.tensor([[3.0, 1.0], [-2.0, 5.0]])).tolist() == [2.0, -7.0]


def test_yes_is_the_first_logit():
    assert yes(torch.tensor([[3.0, 1.0], [-2.0, 5.0]])).tolist() == [3.0, -2.0]


@pytest.mark.parametrize(("num_answers", "num_positive"), [(2, 1), (3, 1), (4, 2), (16, 8)])
def test_sigmoid_of_yes_minus_no_is_the_mass_of_the_positive_answers(num_answers, num_positive):
    answers = logits(5, 3, num_answers)
    mass = answers.softmax(dim=-1)[..., :num_positive].sum(dim=-1)
    score = yes_minus_no(answers, num_positive=num_positive)
    torch.testing.assert_close(score.sigmoid(), mass, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_positive", [1, 2, 3])
def test_yes_pools_the_positive_answers_by_log_sum_exp(num_positive):
    row = [0.3, -1.7, 2.2]
    expected = math.log(sum(math.exp(value) for value in row[:num_positive]))
    score = yes(torch.tensor(row, dtype=torch.float64), num_positive=num_positive)
    assert score.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("readout", READOUTS.values())
def test_a_single_output_is_the_score_itself(readout):
    outputs = logits(4, 6, 1)
    assert torch.equal(readout(outputs), outputs[..., 0])


@pytest.mark.parametrize("readout", READOUTS.values())
def test_scores_are_float32_even_where_the_logits_are_half(readout):
    answers = torch.tensor([[20.125, 19.875]])
    score = readout(answers.bfloat16())
    assert score.dtype == torch.float32
    assert torch.equal(score, readout(answers.bfloat16().float()))
    assert readout(answers.double()).dtype == torch.float64


@pytest.mark.parametrize("readout", READOUTS.values())
@pytest.mark.parametrize("num_positive", [1, 2])
def test_extreme_logits_give_finite_scores_and_gradients(readout, num_positive):
    answers = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, -1e4]], requires_grad=True)
    score = readout(answers, num_positive=num_positive)
    score.sum().backward()
    assert torch.isfinite(score).all()
    assert torch.isfinite(answers.grad).all()


def test_the_gradient_is_the_direction():
    answers = torch.zeros(2, requires_grad=True)
    assert torch.autograd.grad(yes_minus_no(answers), answers)[0].tolist() == [1.0, -1.0]
    assert torch.autograd.grad(yes(answers), answers)[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("readout", "num_positive"), [(yes_minus_no, 0), (yes_minus_no, 2), (yes, 0), (yes, 3)]
)
def test_a_number_of_positives_that_leaves_none_to_read_is_refused(readout, num_positive):
    with pytest.raises(ValueError, match=f"num_positive is {num_positive}: of 2 answer logits"):
        readout(torch.zeros(3, 2), num_positive=num_positive)
