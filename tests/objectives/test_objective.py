"""The objective as a whole: its output, its parts, its names, and what it refuses."""

from dataclasses import fields

import pytest
import torch

from gmr.core.errors import ConfigError
from gmr.objectives import (
    DIRECTIONS,
    WEIGHTS,
    ObjectiveConfig,
    build_objective,
    infonce_loss,
    microbatch_surrogate,
    sft_loss,
    weighted_sum,
)

from .batches import CASES, case_id, graded, objective, random_batch


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_candidates_one_by_one_give_the_gradient_of_the_whole_group(case, direction):
    """Through a small model, with weights from a pass without gradients."""
    _, labels, mask, teacher = random_batch(1, graded=graded(case))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()
    features = torch.randn(*mask.shape, 5, dtype=torch.float64)
    subject = objective(case, direction=direction)

    subject(model(features), labels, mask, teacher).surrogate.backward()
    whole = [parameter.grad.clone() for parameter in model.parameters()]

    model.zero_grad()
    with torch.no_grad():
        weights = subject.candidate_weights(model(features), labels, mask, teacher)
    for weight, row in zip(weights[mask], features[mask], strict=True):
        readout = subject.readout(model(row[None]))
        microbatch_surrogate(weight[None], readout, num_queries=len(mask)).backward()
    for parameter, expected in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-12)


def test_parts_of_a_batch_add_up_when_each_divides_by_all_its_queries():
    logits, labels, mask, _ = random_batch(2)
    subject = build_objective("sft")
    whole = subject(logits, labels, mask).surrogate
    parts = [subject(logits[i : i + 2], labels[i : i + 2], mask[i : i + 2], num_queries=6) for i in (0, 2, 4)]
    torch.testing.assert_close(sum(part.surrogate for part in parts), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_closed_forms_are_logged_whatever_the_objective(case):
    logits, labels, mask, teacher = random_batch(3, graded=graded(case))
    output = objective(case)(logits, labels, mask, teacher)
    assert output.sft_loss == sft_loss(logits, labels.clamp(max=1), mask)
    assert output.cl_loss == infonce_loss(logits, labels, mask, temperature=case.get("temperature", 1.0))
    assert output.loss == objective(case).weight.loss(logits, labels, mask, teacher)


def test_mean_weights_are_over_real_candidates_of_each_side():
    logits, labels, mask, _ = random_batch(4)
    output = build_objective("sft")(logits, labels, mask)
    sizes = [
        [
            abs(output.signed_weights[q, d].item())
            for q in range(6)
            for d in range(7)
            if mask[q, d] and labels[q, d] == y
        ]
        for y in (1, 0)
    ]
    assert output.mean_weight_positive.item() == pytest.approx(sum(sizes[0]) / len(sizes[0]))
    assert output.mean_weight_negative.item() == pytest.approx(sum(sizes[1]) / len(sizes[1]))


def test_mean_weight_of_a_side_that_is_absent_is_zero():
    output = build_objective("sft")(
        torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    )
    assert output.mean_weight_positive == 0
    assert output.mean_weight_negative == 0.5


@pytest.mark.parametrize("weight", [*WEIGHTS, "uniform+sft"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_objective_prints_as_it_is_parsed(weight, direction):
    spec = f"{weight}/{direction}"
    assert build_objective(spec).name == spec
    assert build_objective(weight, direction=direction).name == spec


@pytest.mark.parametrize(
    ("spec", "name", "closed"),
    [
        ("sft", "sft/yes_minus_no", True),
        ("contrastive", "contrastive/yes", True),
        ("bce", "bce/yes", True),
        ("interpolation", "interpolation/yes_minus_no", False),
        ("contrastive/yes_minus_no", "contrastive/yes_minus_no", False),
    ],
)
def test_a_weight_alone_pushes_what_it_reads(spec, name, closed):
    assert build_objective(spec).name == name
    assert build_objective(spec).has_closed_form is closed


def test_the_default_configuration_is_sft():
    assert ObjectiveConfig().build().name == "sft/yes_minus_no"


def test_reading_another_readout_gives_crossed_closed_forms():
    crossed = build_objective("contrastive/yes_minus_no", reads="yes_minus_no")
    assert crossed.has_closed_form


def test_a_weighted_sum_is_the_sum_of_weights_and_losses():
    logits, labels, mask, _ = random_batch(5)
    sft, ranknet = WEIGHTS["sft"](), WEIGHTS["ranknet"](temperature=0.5)
    both = weighted_sum("mine", [(2.0, sft), (-0.5, ranknet)])
    expected = 2 * sft(logits, labels, mask) - 0.5 * ranknet(logits, labels, mask)
    torch.testing.assert_close(both(logits, labels, mask), expected, rtol=0, atol=1e-14)
    loss = 2 * sft.loss(logits, labels, mask) - 0.5 * ranknet.loss(logits, labels, mask)
    torch.testing.assert_close(both.loss(logits, labels, mask), loss, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"weight": "contrastiv"}, "weight 'contrastiv' is unknown: did you mean 'contrastive'"),
        ({"weight": "sft+"}, "weight '' is unknown: use one of sft, "),
        ({"direction": "no"}, "direction 'no' is unknown: use one of yes_minus_no, yes, expectation"),
        ({"reads": "maybe"}, "reads 'maybe' is unknown"),
        (
            {"weight": "contrastive", "positives": "each"},
            "positives 'each' is unknown: use one of average, separate",
        ),
        ({"weight": "lambdaloss", "gains": "ndcg"}, "gains 'ndcg' is unknown: use one of ndcg_loss2"),
        ({"weight": "contrastive", "temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"weight": "contrastive", "temperature": float("nan")}, "temperature is nan"),
        ({"weight": "sft_margin", "margin": -1.0}, "margin is -1.0: it must be 0 or more"),
        ({"weight": "uniform_masked", "threshold": 0.5}, "threshold is 0.5: it must be between 0 and 0.5"),
        ({"weight": "focal", "focusing": -1.0}, "focusing is -1.0: it must be 0 or more"),
        ({"weight": "bce", "positive_weight": 0.0}, "positive_weight is 0.0: it must be above 0"),
        ({"weight": "interpolation", "interpolation": 1.5}, "interpolation is 1.5: it must be from 0 to 1"),
        ({"num_positive": 0}, "num_positive is 0: it must be 1 or more"),
        (
            {"temperature": 0.05},
            "temperature is 0.05, but the weight 'sft' does not take it: .* contrastive, ",
        ),
        (
            {"weight": "uniform+sft", "margin": 2.0},
            "margin is 2.0, but the weight 'uniform\\+sft' does not take it",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_by_name(config, message):
    with pytest.raises(ConfigError, match=message):
        ObjectiveConfig(**config)


def test_every_option_of_every_weight_is_a_field_of_the_configuration():
    options = {option for factory in WEIGHTS.values() for option in factory.options}
    assert options <= {field.name for field in fields(ObjectiveConfig)}


def test_a_direction_given_twice_is_refused():
    with pytest.raises(ConfigError, match="'sft/yes' names a direction, so does direction='yes'"):
        build_objective("sft/yes", direction="yes")


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "margin": 1.0}])
def test_a_factory_wants_exactly_its_options(options):
    with pytest.raises(ValueError, match="the weight 'listnet' takes \\('temperature',\\), not"):
        WEIGHTS["listnet"](**options)


def batch_of_two():
    return torch.zeros(2, 3, 2), torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("weight", "label", "message"),
    [
        ("sft", -1.0, r"labels\[1, 2\] is -1: it must be 0 or more"),
        ("contrastive", float("nan"), r"labels\[1, 2\] is nan: it must be 0 or more"),
        ("listnet", float("inf"), r"labels\[1, 2\] is inf: it must be 0 or more"),
        ("sft", 2.0, r"labels\[1, 2\] is 2: it must be from 0 to 1"),
        ("focal", 1.5, r"labels\[1, 2\] is 1.5: it must be from 0 to 1"),
    ],
)
def test_a_label_that_cannot_be_is_refused_by_place_and_value(weight, label, message):
    logits, labels, mask = batch_of_two()
    labels[1, 2] = label
    with pytest.raises(ValueError, match=message):
        build_objective(weight)(logits, labels, mask)


def test_a_grade_is_welcome_where_candidates_are_compared():
    logits, labels, mask = batch_of_two()
    labels[1, 2] = 3.0
    assert build_objective("lambdaloss")(logits, labels, mask).loss > 0


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_labels_may_be_integers_or_bools(dtype):
    logits, labels, mask, _ = random_batch(6)
    expected = build_objective("contrastive")(logits, labels, mask)
    output = build_objective("contrastive")(logits, labels.to(dtype), mask)
    assert torch.equal(output.signed_weights, expected.signed_weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": torch.zeros(2, 3)}, r"logits are \(2, 3\): they must be \(queries, docs, answers\)"),
        ({"labels": torch.zeros(2, 4)}, r"labels is \(2, 4\): logits \(2, 3, 2\) ask for \(2, 3\)"),
        ({"mask": torch.ones(3, dtype=torch.bool)}, r"mask is \(3,\)"),
        ({"mask": torch.ones(2, 3)}, "mask is torch.float32: it must be torch.bool"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(change, message):
    logits, labels, mask = batch_of_two()
    with pytest.raises(ValueError, match=message):
        build_objective("sft")(**{"logits": logits, "labels": labels, "mask": mask, **change})


@pytest.mark.parametrize("weight", ["distillation", "margin_mse", "mse", "sft+mse"])
def test_a_missing_teacher_is_named(weight):
    name = weight.split("+")[-1]
    assert build_objective(weight).weight.needs_teacher
    with pytest.raises(ValueError, match=f"the weight '{name}' needs teacher scores"):
        build_objective(weight)(*batch_of_two())


def test_a_teacher_that_is_not_a_number_is_refused_by_place():
    teacher = torch.zeros(2, 3)
    teacher[0, 1] = float("nan")
    with pytest.raises(ValueError, match=r"teacher\[0, 1\] is nan: it must be finite"):
        build_objective("mse")(*batch_of_two(), teacher)


def test_no_gradient_reaches_weights_that_come_with_a_graph():
    weights, readouts = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    microbatch_surrogate(weights, readouts).backward()
    assert weights.grad is None
    assert readouts.grad.tolist() == [1.0, 1.0, 1.0]


def test_microbatches_of_other_candidates_are_refused():
    with pytest.raises(ValueError, match=r"signed_weights are \(3,\) and readouts \(3, 1\)"):
        microbatch_surrogate(torch.zeros(3), torch.zeros(3, 1))


def test_a_reduction_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="reduction is 'sum': it must be 'mean' or 'none'"):
        sft_loss(*batch_of_two(), reduction="sum")


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_cannot_divide_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature is .*: it must be above 0"):
        infonce_loss(*batch_of_two(), temperature=temperature)
