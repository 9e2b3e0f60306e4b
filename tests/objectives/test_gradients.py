"""The surrogate's gradient three ways: weights by hand, autograd of the closed form, finite differences."""

import pytest
import torch

from gmr.objectives import WEIGHTS
from gmr.readouts import READOUTS

from .batches import CASES, case_id, graded, objective, random_batch


def gradient(function, logits):
    logits = logits.clone().requires_grad_()
    function(logits).backward()
    return logits.grad


def test_every_row_of_the_table_is_tested():
    assert {name for case in CASES for name in case["weight"].split("+")} == set(WEIGHTS)


@pytest.mark.parametrize("num_answers", [1, 2, 5])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_surrogate_has_the_gradient_of_the_closed_form(case, readout, num_answers):
    num_positive = 2 if num_answers == 5 else 1
    subject = objective({**case, "num_positive": num_positive}, reads=readout, direction=readout)
    assert subject.has_closed_form
    for seed in range(5):
        logits, *rest = random_batch(seed, num_answers=num_answers, graded=graded(case))
        ours = gradient(lambda x, rest=rest: subject(x, *rest).surrogate, logits)
        theirs = gradient(lambda x, rest=rest: subject.weight.loss(x, *rest), logits)
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_signed_weights_are_the_finite_differences_of_the_loss_per_query(case):
    subject = objective(case, reads="yes")
    logits, labels, mask, teacher = random_batch(3, num_answers=1, graded=graded(case))
    weights = subject.candidate_weights(logits, labels, mask, teacher)
    step = 1e-5
    for doc in range(mask.shape[1]):
        nudge = torch.zeros_like(logits)
        nudge[:, doc] = step
        up, down = (
            subject.weight.loss(logits + sign * nudge, labels, mask, teacher, reduction="none")
            for sign in (1, -1)
        )
        torch.testing.assert_close(weights[:, doc], (up - down) / (2 * step), rtol=0, atol=1e-7)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_weights_have_no_graph_and_no_gradient_reaches_them(case):
    logits, labels, mask, teacher = random_batch(1, graded=graded(case))
    output = objective(case)(logits.requires_grad_(), labels, mask, teacher)
    logged = (
        output.signed_weights,
        output.loss,
        output.sft_loss,
        output.cl_loss,
        output.mean_weight_positive,
    )
    assert not any(tensor.requires_grad for tensor in logged)
    # Were a graph left on the weights, the logit of "no" would get more than minus that of "yes".
    output.surrogate.backward()
    torch.testing.assert_close(logits.grad[..., 0], output.signed_weights / len(mask), rtol=0, atol=1e-15)
    torch.testing.assert_close(logits.grad[..., 1], -logits.grad[..., 0], rtol=0, atol=0)


@pytest.mark.parametrize("direction", READOUTS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_direction_is_the_gradient_of_the_readout_whatever_the_weight(case, direction):
    logits, labels, mask, teacher = random_batch(2, num_answers=4, graded=graded(case))
    subject = objective({**case, "num_positive": 2}, direction=direction)
    readout_gradient = gradient(lambda x: READOUTS[direction](x, num_positive=2).sum(), logits)
    weights = subject.candidate_weights(logits, labels, mask, teacher)
    expected = weights[..., None] * readout_gradient / len(mask)
    ours = gradient(lambda x: subject(x, labels, mask, teacher).surrogate, logits)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-14)


def test_sft_closed_form_is_cross_entropy_over_the_answers():
    logits, labels, mask, _ = random_batch(4)
    ours = objective({"weight": "sft"}).weight.loss(logits, labels, mask)
    # torch's classes: 0 is "yes", 1 is "no".
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), 1 - labels.long().flatten(), reduction="none"
    )
    expected = losses.view_as(mask)[mask].sum() / len(mask)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_float32_weights_keep_their_relative_precision_where_a_query_is_solved():
    solved = torch.tensor([[[19.0], [-3.0], [-4.0]]], dtype=torch.float64)
    labels = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.ones(1, 3, dtype=torch.bool)
    for name in ("sft", "contrastive", "focal", "ranknet", "lambdaloss", "listmle"):
        for positives in ({}, {"positives": "separate"}) if name == "contrastive" else ({},):
            subject = objective({"weight": name, **positives}, reads="yes")
            exact = subject.candidate_weights(solved, labels, mask)
            single = subject.candidate_weights(solved.float(), labels.float(), mask)
            assert 0 < exact[0, 0].abs() < 1e-8
            torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=0)


def test_autocast_does_not_lower_the_precision():
    logits, labels, mask, teacher = random_batch(5, dtype=torch.float32)
    for case in CASES:
        plain = objective(case)(logits, labels, mask, teacher)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = objective(case)(logits, labels, mask, teacher)
        assert torch.equal(cast.signed_weights, plain.signed_weights), case
        assert torch.equal(cast.surrogate, plain.surrogate), case
