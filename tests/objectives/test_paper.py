"""The paper's table of weights and directions, on numbers, by its own formulas."""

import math

import pytest
import torch

from gmr.objectives import build_objective

# Logits of "yes" and "no" of one positive and three negatives, in no special order of merit.
Z_YES = [1.3, 0.4, 2.1, -1.7]
Z_NO = [0.2, 0.9, -0.5, 1.1]
LABELS = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
MASK = torch.ones(1, 4, dtype=torch.bool)

DENOMINATOR = sum(math.exp(z) for z in Z_YES)
CONTRASTIVE_WEIGHTS = [
    -sum(math.exp(z) for z in Z_YES[1:]) / DENOMINATOR,
    *(math.exp(z) / DENOMINATOR for z in Z_YES[1:]),
]
SFT_WEIGHTS = [
    -math.exp(Z_NO[0]) / (math.exp(Z_YES[0]) + math.exp(Z_NO[0])),
    *(math.exp(y) / (math.exp(y) + math.exp(n)) for y, n in zip(Z_YES[1:], Z_NO[1:], strict=True)),
]
ROWS = torch.tensor([[0.7, -1.2, 0.4], [-0.3, 0.8, 1.5]], dtype=torch.float64)  # M_y, M_n
DIRECTIONS = {"yes_minus_no": ROWS[0] - ROWS[1], "yes": ROWS[0]}


def answer_logits():
    return torch.tensor([list(zip(Z_YES, Z_NO, strict=True))], dtype=torch.float64)


@pytest.mark.parametrize(("name", "expected"), [("sft", SFT_WEIGHTS), ("contrastive", CONTRASTIVE_WEIGHTS)])
def test_signed_weights_are_those_of_the_paper(name, expected):
    weights = build_objective(name).candidate_weights(answer_logits(), LABELS, MASK)
    assert weights[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_the_contrastive_weight_of_the_positive_is_the_sum_of_the_negatives():
    weights = build_objective("contrastive").candidate_weights(answer_logits(), LABELS, MASK)[0]
    assert weights[0].item() == pytest.approx(-weights[1:].sum().item(), abs=1e-15)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("name", "expected"), [("sft", SFT_WEIGHTS), ("contrastive", CONTRASTIVE_WEIGHTS)])
def test_the_gradient_of_a_hidden_state_is_its_weight_times_the_direction(name, expected, direction):
    # Hidden states whose products with the two rows are the logits above.
    hidden = torch.linalg.lstsq(ROWS, answer_logits()[0].T).solution.T.requires_grad_()
    logits = (hidden @ ROWS.T)[None]
    torch.testing.assert_close(logits.detach(), answer_logits(), rtol=0, atol=1e-12)
    build_objective(f"{name}/{direction}")(logits, LABELS, MASK).surrogate.backward()
    wanted = torch.tensor(expected, dtype=torch.float64)[:, None] * DIRECTIONS[direction]
    torch.testing.assert_close(hidden.grad, wanted, rtol=0, atol=1e-12)


def test_uniform_weights_are_minus_one_and_one():
    weights = build_objective("uniform").candidate_weights(answer_logits(), LABELS, MASK)
    assert weights.tolist() == [[-1.0, 1.0, 1.0, 1.0]]


def test_uniform_masked_drops_what_is_learnt():
    # sigmoid(z_yes - z_no) is 0.750, 0.378, 0.931 and 0.057.
    def weights(threshold):
        subject = build_objective("uniform_masked", threshold=threshold)
        return subject.candidate_weights(answer_logits(), LABELS, MASK)[0].tolist()

    assert weights(0.05) == [-1.0, 1.0, 1.0, 1.0]
    assert weights(0.06) == [-1.0, 1.0, 1.0, 0.0]
    assert weights(0.24) == [-1.0, 1.0, 1.0, 0.0]
    assert weights(0.26) == [0.0, 1.0, 1.0, 0.0]
    assert weights(0.38) == [0.0, 0.0, 1.0, 0.0]


def test_uniform_masked_still_weighs_a_candidate_that_is_just_at_the_threshold():
    scores = torch.tensor([[[math.log(3)], [-math.log(3)]]], dtype=torch.float64)
    subject = build_objective("uniform_masked", threshold=0.25)
    assert subject.candidate_weights(scores, LABELS[:, :2], MASK[:, :2]).tolist() == [[-1.0, 1.0]]


def test_a_sum_adds_the_weights():
    weights = build_objective("uniform+sft").candidate_weights(answer_logits(), LABELS, MASK)[0]
    expected = [a + b for a, b in zip([-1, 1, 1, 1], SFT_WEIGHTS, strict=True)]
    assert weights.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_interpolation_runs_from_contrastive_to_sft(share):
    subject = build_objective("interpolation", interpolation=share)
    weights = subject.candidate_weights(answer_logits(), LABELS, MASK)[0]
    expected = [share * a + (1 - share) * b for a, b in zip(SFT_WEIGHTS, CONTRASTIVE_WEIGHTS, strict=True)]
    assert weights.tolist() == pytest.approx(expected, abs=1e-12)


def test_temperature_divides_the_contrastive_weights():
    weights = build_objective("contrastive", temperature=0.5).candidate_weights(
        answer_logits(), LABELS, MASK
    )[0]
    total = sum(math.exp(2 * z) for z in Z_YES)
    expected = [2 * (math.exp(2 * z) / total - (i == 0)) for i, z in enumerate(Z_YES)]
    assert weights.tolist() == pytest.approx(expected, abs=1e-12)


def test_a_margin_asks_the_positive_for_more():
    subject = build_objective("contrastive_margin", margin=0.6)
    weights = subject.candidate_weights(answer_logits(), LABELS, MASK)[0]
    shares = [math.exp(z - 0.6 * (i == 0)) for i, z in enumerate(Z_YES)]
    expected = [share / sum(shares) - (i == 0) for i, share in enumerate(shares)]
    assert weights.tolist() == pytest.approx(expected, abs=1e-12)
