"""The gradient at the head: the paper's weights, the directions' cosines, sums and invariances."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.modeling.heads import HeadConfig
from gmr.objectives import build_objective
from gmr.probe.gradients.head import HeadGradient, head_gradient, relative_distance, row_cosines
from gmr.probe.gradients.states import States

WIDTH, QUERIES, DOCS = 12, 3, 5
ALL = ("sft", "contrastive", "sft/yes", "contrastive/yes_minus_no", "listnet", "ranknet", "uniform", "focal")
COMPARING = ("contrastive", "ranknet", "lambdaloss", "listnet")


def states(seed: int = 0, *, scale: float = 1.0) -> States:
    """Ragged groups with one positive, the first candidate of each."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, WIDTH, generator=random, dtype=torch.float64)
    hidden = scale * torch.randn(QUERIES, DOCS, WIDTH, generator=random, dtype=torch.float64)
    labels = torch.zeros(QUERIES, DOCS, dtype=torch.float64)
    labels[:, 0] = 1.0
    mask = torch.arange(DOCS) < torch.tensor([[DOCS], [3], [2]])
    hidden[~mask] = 0.0
    return States(hidden, labels, mask, None, HeadConfig().build(rows).double(), rows)


def probe(objective: str, found: States, **options: float) -> HeadGradient:
    return head_gradient(build_objective(objective, **options), found)


def paper_weights(found: States, query: int) -> tuple[list[float], list[float]]:
    """Signed weights of SFT and of CL as the paper writes them, positive first."""
    real = int(found.mask[query].sum())
    yes, no = ([math.exp(row @ h) for h in found.hidden[query, :real]] for row in found.rows)
    sft = [-no[0] / (yes[0] + no[0])] + [yes[i] / (yes[i] + no[i]) for i in range(1, real)]
    negatives = sum(yes[1:])
    cl = [-negatives / (yes[0] + negatives)] + [yes[i] / (yes[0] + negatives) for i in range(1, real)]
    return sft, cl


@pytest.mark.parametrize("query", range(QUERIES))
def test_measured_gradients_are_the_papers_weights_times_the_papers_directions(query: int) -> None:
    found = states()
    yes, no = found.rows
    for name, weights, direction in zip(
        ("sft", "contrastive"), paper_weights(found, query), (yes - no, yes), strict=True
    ):
        measured = probe(name, found).measured[query, : len(weights)]
        expected = torch.tensor(weights, dtype=torch.float64)[:, None] * direction
        torch.testing.assert_close(measured, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_every_gradient_lies_on_its_direction(name: str) -> None:
    found = states()
    gradient = probe(name, found)
    cosines = row_cosines(gradient.measured, gradient.directions)[found.mask]
    torch.testing.assert_close(cosines.abs(), torch.ones_like(cosines), rtol=0, atol=1e-12)
    torch.testing.assert_close(cosines.sign(), gradient.weights[found.mask].sign().double())
    assert gradient.distance <= 1e-14


@pytest.mark.parametrize("name", ALL)
def test_padding_has_neither_gradient_nor_weight(name: str) -> None:
    found = states()
    gradient = probe(name, found)
    assert gradient.measured[~found.mask].abs().max() == 0
    assert gradient.weights[~found.mask].abs().max() == 0


def test_a_crossed_objective_has_the_weights_of_one_and_the_direction_of_the_other() -> None:
    found = states()
    crossed, sft, cl = (probe(name, found) for name in ("contrastive/yes_minus_no", "sft", "contrastive"))
    torch.testing.assert_close(crossed.measured, cl.weights[..., None] * sft.directions, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", COMPARING)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 4.0))
def test_weights_of_objectives_that_compare_sum_to_zero_in_every_query(
    name: str, seed: int, scale: float
) -> None:
    gradient = probe(name, states(seed, scale=scale))
    assert gradient.weights.sum(dim=-1).abs().max() <= 1e-13 * gradient.weights.abs().max()
    assert gradient.measured.sum(dim=-2).abs().max() <= 1e-12 * max(1.0, float(gradient.measured.abs().max()))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5))
def test_what_all_candidates_of_a_query_share_is_nothing_to_an_objective_that_compares(
    seed: int, shift: float
) -> None:
    """A step of all hidden states of a query along any vector moves all scores alike."""
    found = states(seed)
    step = shift * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = States(
        (found.hidden + step).masked_fill(~found.mask[..., None], 0.0),
        found.labels,
        found.mask,
        None,
        found.head,
        found.rows,
    )
    for name in COMPARING:
        assert relative_distance(probe(name, moved).measured, probe(name, found).measured) <= 1e-9, name


def test_sft_sees_such_a_step_unless_yes_and_no_move_alike() -> None:
    found = states()
    yes, no = found.rows
    along = (yes + no) - ((yes + no) @ (yes - no)) / (yes - no).square().sum() * (yes - no)
    for step, is_same in ((along, True), (yes, False)):
        moved = States(found.hidden + step, found.labels, found.mask, None, found.head, found.rows)
        distance = relative_distance(probe("sft", moved).measured, probe("sft", found).measured)
        assert (distance < 1e-12) is is_same


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.05, 10.0))
def test_contrastive_weights_are_at_most_one_over_the_temperature(seed: int, temperature: float) -> None:
    weights = probe("contrastive", states(seed), temperature=temperature).weights
    assert weights.abs().max() <= 1 / temperature + 1e-12
    assert (weights[:, 0] <= 0).all()
    assert (weights[:, 1:] >= 0).all()


def test_float32_measures_the_same_to_its_rounding() -> None:
    found = states()
    for name in ALL:
        exact, rounded = probe(name, found), probe(name, found.to(torch.float32))
        assert rounded.measured.dtype == torch.float32
        assert 0 < relative_distance(rounded.measured, exact.measured) < 1e-5 or name == "uniform"


def test_cosines_of_zero_are_not_a_number_and_of_tiny_rows_are_right() -> None:
    a = torch.tensor([[0.0, 0.0], [1e-200, 0.0], [1.0, 1.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, 0.0], [-3e-250, 0.0], [1.0, -1.0]], dtype=torch.float64)
    cosines = row_cosines(a, b).tolist()
    assert math.isnan(cosines[0])
    assert cosines[1:] == [-1.0, 0.0]


def test_a_distance_is_relative_to_the_larger_norm() -> None:
    one, two = torch.tensor([1.0]), torch.tensor([2.0])
    assert relative_distance(one, two) == relative_distance(two, one) == 0.5
    assert relative_distance(0 * one, 0 * one) == 0.0
    assert relative_distance(0 * one, one) == 1.0
