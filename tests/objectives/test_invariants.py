"""What must hold for every scheme on every batch: padding, order, shifts, signs, extremes, empty groups."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.objectives import build_objective

from .batches import CASES, FOLLOW_LABELS, Batch, case_id, graded, objective, random_batch

GARBAGE = [math.nan, math.inf, -math.inf, 1e300, 0.0]
# The loss sees scores only by their differences. Of those left out, SFT and its like see each alone.
SHIFT_INVARIANT = {
    *("contrastive", "contrastive_margin", "listnet", "listmle", "adr_mse", "ranknet", "lambdaloss"),
    *("distillation", "margin_mse", "uniform"),
}
every_case = pytest.mark.parametrize("case", CASES, ids=case_id)


def output_and_gradient(case, batch, **how):
    logits = batch.logits.clone().requires_grad_()
    output = objective(case)(logits, batch.labels, batch.mask, batch.teacher, **how)
    output.surrogate.backward()
    return output, logits.grad


@settings(max_examples=250, deadline=None)
@given(
    case=st.sampled_from(CASES),
    seed=st.integers(0, 2**16),
    docs=st.integers(0, 4),
    queries=st.integers(0, 2),
    first=st.booleans(),
    garbage=st.sampled_from(GARBAGE),
)
def test_padding_a_batch_changes_nothing_whatever_stands_in_it(case, seed, docs, queries, first, garbage):
    plain = random_batch(seed, graded=graded(case))
    place = (slice(0, 6), slice(docs, docs + 7) if first else slice(0, 7))

    def grown(tensor, fill):
        wide = torch.full((6 + queries, 7 + docs, *tensor.shape[2:]), fill, dtype=tensor.dtype)
        wide[place] = tensor
        return wide

    mask = grown(plain.mask, False)
    labels, teacher, logits = (
        grown(tensor, garbage) for tensor in (plain.labels, plain.teacher, plain.logits)
    )
    for tensor in (labels, teacher, logits):
        tensor[~mask] = garbage
    output, gradient = output_and_gradient(case, Batch(logits, labels, mask, teacher))
    expected, expected_gradient = output_and_gradient(case, plain)
    torch.testing.assert_close(gradient[place], expected_gradient, rtol=0, atol=1e-12)
    assert (gradient[~mask] == 0).all()
    assert (output.signed_weights[~mask] == 0).all()
    for name in ("surrogate", "loss", "sft_loss", "cl_loss", "mean_weight_positive", "mean_weight_negative"):
        ours, theirs = getattr(output, name), getattr(expected, name)
        torch.testing.assert_close(
            ours, theirs, rtol=1e-12, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
        )


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**16), padding_first=st.booleans())
def test_candidates_in_another_order_keep_their_weights(case, seed, padding_first):
    batch = random_batch(seed, graded=graded(case))
    if case["weight"] == "listmle":  # equal labels are ordered by place: make them all different
        batch.labels = torch.arange(42, dtype=torch.float64).view(6, 7) / 7
    random = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(7, generator=random) for _ in range(6)])
    if padding_first:
        order = order.gather(1, batch.mask.gather(1, order).long().argsort(dim=1, stable=True))
    moved = Batch(
        batch.logits.gather(1, order[..., None].expand(-1, -1, 2)),
        *(tensor.gather(1, order) for tensor in (batch.labels, batch.mask, batch.teacher)),
    )
    output, expected = objective(case)(*moved), objective(case)(*batch)
    torch.testing.assert_close(
        output.signed_weights, expected.signed_weights.gather(1, order), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(output.loss, expected.loss, rtol=1e-12, atol=1e-12)


@every_case
def test_a_query_is_weighed_by_its_own_candidates_alone(case):
    batch = random_batch(5, graded=graded(case))
    whole = objective(case)(*batch).signed_weights
    for query in range(6):
        alone = Batch(*(tensor[query : query + 1] for tensor in batch))
        torch.testing.assert_close(
            objective(case)(*alone).signed_weights[0], whole[query], rtol=0, atol=1e-14
        )


@every_case
def test_a_shift_of_all_scores_of_a_query_matters_just_where_candidates_are_judged_alone(case):
    batch = random_batch(6, num_answers=1, scale=1.0, graded=graded(case))
    shift = torch.linspace(-3, 4, 6, dtype=torch.float64)[:, None, None]
    before = objective(case).candidate_weights(*batch)
    after = objective(case).candidate_weights(batch.logits + shift, batch.labels, batch.mask, batch.teacher)
    if set(case["weight"].split("+")) <= SHIFT_INVARIANT:
        torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    else:
        assert (after - before).abs().max() > 1e-2


@every_case
def test_comparing_schemes_give_a_query_weights_that_sum_to_zero(case):
    batch = random_batch(7, graded=graded(case))
    if set(case["weight"].split("+")) <= SHIFT_INVARIANT - {"uniform"}:
        sums = objective(case).candidate_weights(*batch).sum(dim=-1)
        torch.testing.assert_close(sums, torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(FOLLOW_LABELS), seed=st.integers(0, 2**16))
def test_schemes_that_follow_the_labels_raise_positives_and_lower_negatives(case, seed):
    logits, labels, mask, teacher = random_batch(seed)
    weights = objective(case).candidate_weights(logits, labels, mask, teacher)
    assert (weights[mask & (labels > 0)] <= 0).all()
    assert (weights[mask & (labels == 0)] >= 0).all()
    assert weights.abs().max() > 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), temperature=st.floats(0.05, 20))
def test_contrastive_with_one_positive_follows_the_labels(seed, temperature):
    logits, _, mask, _ = random_batch(seed)
    labels = torch.zeros_like(mask, dtype=torch.float64)
    labels[:, 0] = 1
    weights = build_objective("contrastive", temperature=temperature).candidate_weights(logits, labels, mask)
    assert (weights[:, 0] <= 0).all()
    assert (weights[:, 1:] >= 0).all()


def test_averaged_positives_compete_and_separate_ones_do_not():
    logits = torch.tensor([[[5.0], [0.0], [0.0]]], dtype=torch.float64)
    labels = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    mask = torch.ones(1, 3, dtype=torch.bool)
    average = build_objective("contrastive").candidate_weights(logits, labels, mask)[0]
    separate = build_objective("contrastive", positives="separate").candidate_weights(logits, labels, mask)[0]
    assert average[0] > 0 > average[1]
    assert separate[0] < 0 > separate[1]


@pytest.mark.parametrize(
    "case", [{"weight": "mse"}, {"weight": "distillation"}, {"weight": "margin_mse"}], ids=case_id
)
def test_a_teacher_may_turn_the_sign(case):
    logits, labels, mask, teacher = random_batch(8)
    weights = objective(case).candidate_weights(logits, labels, mask, teacher)
    assert (weights[mask & (labels > 0)] > 0).any()
    assert (weights[mask & (labels == 0)] < 0).any()


@pytest.mark.parametrize(
    "case", [{"weight": "mse"}, {"weight": "distillation"}, {"weight": "margin_mse"}], ids=case_id
)
def test_a_model_that_equals_its_teacher_is_left_alone(case):
    logits, labels, mask, _ = random_batch(9, num_answers=1)
    output = objective(case)(logits, labels, mask, logits[..., 0])
    assert output.loss.item() == pytest.approx(0.0, abs=1e-14)
    assert output.signed_weights.abs().max() < 1e-14


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@every_case
def test_extreme_logits_give_finite_losses_weights_and_gradients(case, dtype):
    batch = random_batch(10, graded=graded(case))
    random = torch.Generator().manual_seed(0)
    batch.logits = torch.randint(-1, 2, (6, 7, 2), generator=random).to(dtype) * 1e4
    batch.logits[2] = 1e4
    output, gradient = output_and_gradient(case, batch)
    for value in (
        output.surrogate,
        output.signed_weights,
        output.loss,
        output.sft_loss,
        output.cl_loss,
        gradient,
    ):
        assert torch.isfinite(value).all()
    logits = batch.logits.clone().requires_grad_()
    objective(case).weight.loss(logits, batch.labels, batch.mask, batch.teacher).backward()
    assert torch.isfinite(logits.grad).all()


@every_case
def test_float32_agrees_with_float64(case):
    batch = random_batch(11, graded=graded(case))
    single = objective(case)(*(tensor if tensor.dtype == torch.bool else tensor.float() for tensor in batch))
    double = objective(case)(*batch)
    assert single.surrogate.dtype == single.signed_weights.dtype == single.loss.dtype == torch.float32
    torch.testing.assert_close(single.signed_weights.double(), double.signed_weights, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(single.loss.double(), double.loss, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weight", ["contrastive", "ranknet", "lambdaloss", "margin_mse"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_comparing_schemes_leave_a_query_without_positive_or_with_a_lone_positive_alone(weight, label):
    logits = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.full((1, 3), label, dtype=torch.float64)
    mask = torch.tensor([[True, label == 0, label == 0]])
    output = objective({"weight": weight})(logits, labels, mask, torch.zeros(1, 3, dtype=torch.float64))
    assert output.signed_weights.abs().max() == 0
    assert output.loss == output.surrogate == 0


@every_case
def test_a_batch_of_nothing_but_padding_costs_nothing(case):
    batch = random_batch(12)
    batch.mask[:] = False
    output, gradient = output_and_gradient(case, batch)
    assert output.loss == output.surrogate == output.mean_weight_positive == 0
    assert (gradient == 0).all()


@every_case
def test_a_single_candidate_is_defined(case):
    logits = torch.tensor([[[0.3, -0.2]]], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    output = objective(case)(logits, one, torch.ones(1, 1, dtype=torch.bool), one)
    assert torch.isfinite(output.loss)
    assert torch.isfinite(output.signed_weights).all()
