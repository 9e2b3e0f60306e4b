"""The page on objectives says what the code does: its examples run, its tables name every weight."""

import re

import torch

from gmr.core.config import load_config
from gmr.objectives import SCHEMES, WEIGHTS, ObjectiveConfig
from gmr.readouts import READOUTS
from tests.conftest import REPOSITORY

from .batches import random_batch

PAGE = (REPOSITORY / "docs" / "objectives.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_tables_name_every_weight():
    named = set(re.findall(r"^\| `(\w+)`", PAGE, flags=re.MULTILINE))
    assert set(SCHEMES) <= named
    assert named <= {*SCHEMES, *READOUTS}


def test_every_function_that_the_tables_name_exists():
    from gmr.objectives import graded, orders, pairwise, pointwise, policy, preference, softmax

    modules = (pointwise, softmax, pairwise, orders, graded, policy, preference)
    known = {name for module in modules for name in vars(module)}
    stems = re.findall(r"`(\w+)_\*(?:\(.*?\))?`", PAGE)
    assert len(stems) >= len(WEIGHTS) - 3
    for stem in stems:
        assert {f"{stem}_loss", f"{stem}_weights"} <= known


def test_the_examples_run_and_the_weight_of_ones_own_has_its_gradient():
    logits, labels, mask, _ = random_batch(0)
    logits.requires_grad_()
    names = {"logits": logits, "labels": labels, "mask": mask}
    for block in blocks("python"):
        exec(block, names)  # the page of this repository
    logits.grad = None
    names["objective"](logits, labels, mask).surrogate.backward()
    expected = torch.autograd.grad(names["cubic_loss"](logits, labels, mask), logits)[0]
    torch.testing.assert_close(logits.grad, expected, rtol=0, atol=1e-12)


def test_the_recipe_section_loads(tmp_path):
    (section,) = blocks("toml")
    (tmp_path / "recipe.toml").write_text(section.removeprefix("[objective]\n"), encoding="utf-8")
    config = load_config(tmp_path / "recipe.toml", ObjectiveConfig)
    assert config == ObjectiveConfig(weight="uniform_masked", threshold=0.05)
