"""The report of a model: what it counts, what it leaves alone, what follows from what."""

import pytest
import torch

from gmr.core.errors import ConfigError, DataError
from gmr.inference.scoring import score_pairs
from gmr.probe.gradients import GradientReport, parse_spec, probe_model
from tests.probe.gradients.groups import coloured_groups
from tests.probe.gradients.models import adapted_model, tiny_model

SPECS = [
    parse_spec(text) for text in ("sft", "contrastive", "contrastive/yes_minus_no", "listnet", "uniform")
]


def report(**options: object) -> GradientReport:
    return probe_model(
        tiny_model(), coloured_groups(pictures=True, num_queries=6), SPECS, name="tiny", **options
    )


def test_it_counts_what_is_in_the_batch() -> None:
    found, groups = report(), coloured_groups(pictures=True, num_queries=6)
    kinds = [kind for drawn in groups for kind in drawn.kinds]
    assert found.num_queries == 6
    assert found.kinds == {kind: kinds.count(kind) for kind in ("positive", "hard", "random")}
    assert [each.kind for each in found.candidates] == kinds
    assert [each.doc_id for each in found.candidates] == [
        document.doc_id for drawn in groups for document in drawn.group.documents
    ]


def test_scores_are_those_that_the_model_ranks_by() -> None:
    groups = coloured_groups(pictures=True, num_queries=6)
    pairs = [(drawn.group.query, document) for drawn in groups for document in drawn.group.documents]
    expected = score_pairs(tiny_model(), pairs)
    assert [each.score for each in report().candidates] == pytest.approx(expected.tolist(), abs=1e-4)


def test_weight_times_direction_is_measured_to_rounding() -> None:
    for each in report().objectives:
        assert each.distance_float64 <= 1e-10
        assert each.distance_float32 <= 1e-5
        assert each.rounding <= 1e-5
        assert each.has_closed_form is (each.name != "contrastive/yes_minus_no")


def test_summaries_follow_from_the_candidates() -> None:
    found = report()
    for each in found.objectives:
        rows = [(candidate, candidate.gradients[each.name]) for candidate in found.candidates]
        total = sum(gradient.norm for _, gradient in rows)
        for kind in ("positive", "hard", "random"):
            chosen = [gradient for candidate, gradient in rows if candidate.kind == kind]
            mean = sum(abs(gradient.weight) for gradient in chosen) / len(chosen)
            assert each.mean_weight[kind].mean == pytest.approx(mean)
            assert each.share[kind].mean == pytest.approx(sum(gradient.norm for gradient in chosen) / total)
        assert sum(each.quarter_share) == pytest.approx(1.0)
        assert each.net_weight.mean == pytest.approx(
            sum(gradient.weight for _, gradient in rows) / 6, abs=1e-12
        )
        for _, gradient in rows:
            assert gradient.measured_weight == pytest.approx(gradient.weight, abs=1e-12)


def test_pairs_follow_from_the_candidates() -> None:
    found = report()
    assert len(found.pairs) == 10
    for pair in found.pairs:
        rows = [(each.gradients[pair.a], each.gradients[pair.b]) for each in found.candidates]
        opposite = sum(a.weight * b.weight < 0 for a, b in rows)
        assert pair.num_both == len(rows)
        assert pair.conflict == pytest.approx(opposite / len(rows))
        positives = [
            abs(each.gradients[pair.a].weight) - abs(each.gradients[pair.b].weight)
            for each in found.candidates
            if each.kind == "positive"
        ]
        assert pair.difference["positive"].mean == pytest.approx(sum(positives) / len(positives))
    assert found.pairs[-1].conflict > 0  # listnet raises low negatives, uniform lowers all


def test_queries_in_another_order_give_the_same_numbers() -> None:
    groups = coloured_groups(pictures=True, num_queries=6)
    one = probe_model(tiny_model(), groups, SPECS, name="tiny")
    other = probe_model(tiny_model(), groups[::-1], SPECS, name="tiny")
    for a, b in zip(one.objectives, other.objectives, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
        assert a.effective_candidates == pytest.approx(b.effective_candidates, rel=1e-5)
        assert a.mean_weight["hard"].mean == pytest.approx(b.mean_weight["hard"].mean, rel=1e-4)
    for a, b in zip(one.parts, other.parts, strict=True):
        assert list(a.norms.values()) == pytest.approx(list(b.norms.values()), rel=1e-4)


def test_the_same_question_has_the_same_answer() -> None:
    assert report(seed=3) == report(seed=3)


def test_the_model_is_left_alone_and_dropout_is_off() -> None:
    model = adapted_model()
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    model.train()
    first, second = (probe_model(model, coloured_groups(), SPECS, name="tiny") for _ in range(2))
    assert first == second
    assert all(torch.equal(each, before[name]) for name, each in model.named_parameters())


def test_objectives_are_built_for_the_models_answers() -> None:
    assert parse_spec("sft").build(num_positive=2).num_positive == 2
    with pytest.raises(ConfigError, match="num_positive is 0"):
        parse_spec("sft").build(num_positive=0)


def test_a_teacher_is_asked_for_and_taken() -> None:
    specs = [parse_spec("margin_mse"), parse_spec("distillation")]
    with pytest.raises(DataError, match="has no scores"):
        probe_model(tiny_model(), coloured_groups(), specs, name="tiny")
    found = probe_model(tiny_model(), coloured_groups(teacher=True), specs, name="tiny")
    assert max(each.distance_float64 for each in found.objectives) <= 1e-10
    assert found.kinds["random"] == 0


def test_text_only_models_are_probed_too() -> None:
    found = probe_model(tiny_model("qwen3"), coloured_groups(), SPECS, name="tiny")
    assert "vision" not in [part.part for part in found.parts]
    assert max(each.distance_float64 for each in found.objectives) <= 1e-10
