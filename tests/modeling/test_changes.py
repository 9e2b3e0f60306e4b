"""Other answers and random weights change what they say and nothing else, and last through saving."""

from pathlib import Path

import pytest
import torch

from gmr.core.errors import ModelError
from gmr.modeling.changes import change_answers, draw_weights
from gmr.modeling.loading import load_model
from gmr.modeling.saving import save_model
from gmr.reranker import Reranker
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import tiny_checkpoint


def test_more_answers_are_pooled_and_saved(tmp_path: Path) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"))
    rows = model.causal_model.get_output_embeddings().weight.detach()
    before = model.answer_ids
    change_answers(model, positive=["yes", "Yes"], negative=["no", "No"])
    assert model.num_positive == 2
    assert (model.answer_ids[0], model.answer_ids[2]) == before
    hidden = torch.randn(3, rows.shape[-1], generator=torch.Generator().manual_seed(0))
    logits = model.head(hidden, model.answer_rows())
    expected = hidden @ rows[list(model.answer_ids)].T
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(
        model.score_logits(logits), expected[:, :2].logsumexp(-1) - expected[:, 2:].logsumexp(-1)
    )
    pairs = pairs_for("qwen2_5_vl")[:4]
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.answer_ids == model.answer_ids
    scores = Reranker(tmp_path / "model").score(pairs)
    assert len(scores) == 4


@pytest.mark.parametrize(
    ("positive", "told"), [(["yes", "certainly so"], "must be one token"), (["yes", "no"], "share a token")]
)
def test_answers_that_are_none_are_refused(positive: list[str], told: str) -> None:
    model = load_model(tiny_checkpoint("qwen3"), self_check=False)
    with pytest.raises(ModelError, match=told):
        change_answers(model, positive=positive)


def test_random_weights_are_a_function_of_the_seed_and_leave_other_random_numbers_alone() -> None:
    first, second, third = (load_model(tiny_checkpoint("qwen3"), self_check=False) for _ in range(3))
    original = {name: p.detach().clone() for name, p in first.backbone.named_parameters()}
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    for model, seed in ((first, 1), (second, 1), (third, 2)):
        draw_weights(model, seed=seed)
    assert torch.equal(torch.rand(3), expected)
    found = [dict(model.backbone.named_parameters()) for model in (first, second, third)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in original)
    matrices = [name for name, p in original.items() if p.ndim == 2]
    assert all(not torch.equal(found[0][name], found[2][name]) for name in matrices)
    assert all(not torch.equal(found[0][name], original[name]) for name in matrices)


def test_the_small_model_keeps_its_ties_when_its_weights_are_drawn() -> None:
    model = load_model("gmr-nano-base", self_check=False)
    draw_weights(model, seed=0)
    backbone = model.causal_model
    assert backbone.get_output_embeddings().weight is backbone.get_input_embeddings().weight
    scores = model.backbone.get_input_embeddings().weight
    assert scores.std() < 0.1  # as an initial matrix is, not as a trained one
