"""The surrogate of every named objective has the gradient of its closed form, written anew from its source."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from gmr.modeling.heads import HeadConfig
from gmr.modeling.loading import load_model
from gmr.objectives import DIRECTIONS, WEIGHTS
from gmr.probe.gradients.head import head_gradient
from gmr.probe.gradients.states import States, collate
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.objectives.batches import CASES, GRADED, case_id, objective, random_batch
from tests.probe.gradients.closed_forms import LOSSES, expected_scalar
from tests.probe.gradients.groups import coloured_groups

WIDTH = 24
HEADS = {
    "answer rows, frozen": HeadConfig(),
    "answer rows, trained": HeadConfig(trainable=True),
    "projection": HeadConfig("projection"),
    "random projection": HeadConfig("random_projection"),
    "mlp": HeadConfig("mlp", hidden_size=16, bias=2.65),
}


def directions_of(case: dict[str, Any]) -> list[str]:
    """Those under which the formula has one value: ``scored_argmax`` ties at 0, and ties have no rank of their own."""
    ranks = "lambdaloss" in case["weight"]
    return [direction for direction in DIRECTIONS if not (ranks and direction == "scored_argmax")]


def head_states(
    seed: int, head: HeadConfig, *, graded: bool, num_answers: int = 2, num_positive: int = 1
) -> States:
    """Ragged groups in float64 with no, one and several positives, below a head whose weights are not special."""
    batch = random_batch(seed, graded=graded)
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(num_answers, WIDTH, generator=random, dtype=torch.float64) / 3
    built = head.build(rows).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    hidden = torch.randn(*batch.mask.shape, WIDTH, generator=random, dtype=torch.float64)
    hidden[~batch.mask] = 0.0
    return States(hidden, batch.labels, batch.mask, batch.teacher, built, rows, num_positive)


def gradients(scalar: Tensor, hidden: Tensor, head: torch.nn.Module) -> Tensor:
    """By hidden states and by the head's own parameters, as one vector."""
    wanted = [hidden, *head.parameters()]
    found = torch.autograd.grad(scalar, wanted, allow_unused=True, materialize_grads=True)
    return torch.cat([each.flatten() for each in found])


def relative(found: Tensor, expected: Tensor) -> float:
    norm = expected.double().norm()
    distance = (found.double() - expected.double()).norm()
    return float(distance / norm) if norm > 0 else float(distance)


def test_every_row_of_the_table_has_a_formula_written_anew() -> None:
    assert set(LOSSES) | {"interpolation"} == set(WEIGHTS)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_surrogate_has_the_gradient_of_the_formula_at_the_head_in_float64(
    case: dict[str, Any], head: str
) -> None:
    states = head_states(3, HEADS[head], graded=case["weight"] in GRADED)
    group = (states.labels, states.mask, states.teacher)
    hidden = states.hidden.clone().requires_grad_()
    for direction in DIRECTIONS:
        for reads in ("own", *directions_of(case)):
            surrogate = objective(case, reads=reads, direction=direction)(
                states.head(hidden, states.rows), *group
            )
            expected = expected_scalar(
                case, states.head(hidden, states.rows), *group, direction=direction, reads=reads
            )
            found = gradients(surrogate.surrogate, hidden, states.head)
            assert relative(found, gradients(expected, hidden, states.head)) <= 1e-10, (direction, reads)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_so_it_has_with_two_positive_and_two_negative_answers(case: dict[str, Any]) -> None:
    states = head_states(5, HeadConfig(), graded=case["weight"] in GRADED, num_answers=4, num_positive=2)
    group = (states.labels, states.mask, states.teacher)
    hidden = states.hidden.clone().requires_grad_()
    for direction in DIRECTIONS:
        built = objective({**case, "num_positive": 2}, direction=direction)
        found = gradients(built(states.head(hidden, states.rows), *group).surrogate, hidden, states.head)
        expected = expected_scalar(
            case, states.head(hidden, states.rows), *group, direction=direction, num_positive=2
        )
        assert relative(found, gradients(expected, hidden, states.head)) <= 1e-10, direction


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_closed_form_that_is_logged_is_the_formula(case: dict[str, Any]) -> None:
    states = head_states(7, HeadConfig(), graded=case["weight"] in GRADED)
    logits = states.head(states.hidden, states.rows)
    group = (logits, states.labels, states.mask, states.teacher)
    for readout in directions_of(case):
        ours = objective(case, reads=readout, direction=readout)(*group).loss
        expected = expected_scalar(case, *group, direction=readout, reads=readout)
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_probe_measures_what_weight_times_direction_predicts(case: dict[str, Any]) -> None:
    for name, head in HEADS.items():
        states = head_states(11, head, graded=case["weight"] in GRADED)
        for direction in directions_of(case):
            found = head_gradient(objective(case, reads=direction, direction=direction), states)
            assert found.distance <= 1e-10, (name, direction)


@cache
def qwen() -> tuple[Any, dict[str, Any], Tensor, dict[str, Tensor]]:
    """A tiny Qwen2.5-VL in float32, a batch of texts and pictures, its answer logits with a graph, all parameters."""
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", max_tokens=512)
    batch = collate(model, coloured_groups(pictures=True, num_queries=6, num_positives=1))
    rows = torch.cat([model(**part) for part in batch["passes"]])[batch["order"].argsort()]
    mask = batch["mask"].clone()
    mask[1, -2:] = False  # ragged, as groups with few negatives are
    logits = rows.new_zeros(*mask.shape, rows.shape[-1])
    logits[batch["mask"]] = rows
    random = torch.Generator().manual_seed(0)
    labels = batch["labels"].clone()
    labels[2, 1] = 1.0  # two positives
    labels[3, 0] = 0.0  # none
    others = {"labels": labels, "mask": mask, "teacher": torch.randn(mask.shape, generator=random)}
    return model, dict(model.named_parameters()), logits, others


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_so_it_has_at_every_parameter_of_a_tiny_qwen_in_float32(case: dict[str, Any], direction: str) -> None:
    if direction not in directions_of(case):
        pytest.skip("ties have no rank of their own")
    _, parameters, logits, others = qwen()
    labels, mask, teacher = others.values()
    if case["weight"] in GRADED:
        labels = labels * torch.tensor([3.0, 1.0, 2.0, 1.0, 2.0, 3.0])[:, None]
    surrogate = objective(case, reads=direction, direction=direction)(logits, labels, mask, teacher).surrogate
    expected = expected_scalar(
        case, logits.double(), labels.double(), mask, teacher.double(), direction=direction, reads=direction
    )
    found, wanted = (
        torch.cat(
            [
                each.flatten()
                for each in torch.autograd.grad(
                    scalar, parameters.values(), retain_graph=True, allow_unused=True, materialize_grads=True
                )
            ]
        )
        for scalar in (surrogate, expected)
    )
    assert wanted.norm() > 0
    assert relative(found, wanted) <= 1e-5
