"""What the plans of neighbouring papers promise of their cells."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from gmr.modeling.folders import resolve_folder
from gmr.probe.sweep.cells import cells_of, recipe_of
from gmr.probe.sweep.plan import load_plan
from gmr.probe.sweep.runs import reported_runs, tuning_runs
from gmr.train.recipe import EvaluationSection
from gmr.train.run import train


def test_the_untouched_cell_of_the_second_stage_leaves_every_weight_as_it_was(tmp_path: Path) -> None:
    plan = load_plan("neighbours-second-stage")
    moved = {}
    for name in ("untouched", "sft"):
        # The same short run with the other cell's warm-up moves the weights: the test could fail.
        recipe = recipe_of(plan, cells_of(plan)[name], learning_rate=max(plan.tuning.learning_rates), seed=0)
        recipe = replace(
            recipe,
            data=replace(recipe.data, dev="", limit=16),
            evaluation=EvaluationSection(),
            training={
                **recipe.training,
                "max_steps": 1 if name == "untouched" else 2,
                "per_device_train_batch_size": 4,
            },
        )
        result = train(recipe, output_dir=tmp_path / name, progress=False)
        assert result.model_dir is not None
        before = load_file(resolve_folder("gmr-nano") / "model.safetensors")
        after = load_file(result.model_dir / "model.safetensors")
        assert before.keys() == after.keys()
        moved[name] = [key for key in before if not torch.equal(before[key].float(), after[key].float())]
    assert moved["untouched"] == []
    assert len(moved["sft"]) > 10


def test_sft_and_contrastive_learning_beside_grades_are_the_runs_of_the_paper_s_table() -> None:
    ours, paper = (load_plan(name) for name in ("neighbours-graded", "paper-combinations"))
    for mine, theirs in (("sft", "sft/yes_minus_no"), ("contrastive", "contrastive/yes")):
        cells = cells_of(ours)[mine], cells_of(paper)[theirs]
        for rate in ours.tuning.learning_rates:
            keys = [
                {spec.seed: spec.key for spec in reported_runs(plan, cell, learning_rate=rate)}
                for plan, cell in zip((ours, paper), cells, strict=True)
            ]
            assert keys[0].items() <= keys[1].items()
        tried = [
            {spec.key for spec in tuning_runs(plan, {cell.name: cell})}
            for plan, cell in zip((ours, paper), cells, strict=True)
        ]
        assert tried[0] == tried[1]


def test_tuning_of_the_encoder_on_english_is_shared_by_the_plans_that_read_it() -> None:
    encoder, text = (load_plan(name) for name in ("open-encoder", "open-text"))
    for mine, theirs in (("sft", "sft/yes_minus_no"), ("contrastive", "contrastive/yes")):
        one = recipe_of(encoder, cells_of(encoder)[mine], learning_rate=1e-4, seed=1000)
        other = recipe_of(text, cells_of(text)[theirs], learning_rate=1e-4, seed=1000)
        assert replace(one, name="") == replace(other, name="")
        assert one.data.path == "text/en/train.jsonl"
