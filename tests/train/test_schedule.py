"""An objective that changes with the steps is trained as it says, and resumed as it was."""

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from gmr.objectives import ObjectiveConfig
from tests.train.runs import assert_bitwise_equal, run, tiny_recipe, weights


def hybrid(**options: Any) -> ObjectiveConfig:
    return ObjectiveConfig(weight="interpolation", reads="yes_minus_no", **options)


class Stop(RuntimeError):
    """Stands in for whatever ends a process."""


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise Stop


def test_a_switch_trains_each_half_by_its_own_objective(tmp_path: Path) -> None:
    """Steps before the switch are those of the first objective alone; after it the weights part."""
    switched = hybrid(interpolation=1.0, interpolation_end=0.0, interpolation_schedule="switch")
    both = run(tiny_recipe(objective=switched), tmp_path / "both")
    first = run(tiny_recipe(objective=hybrid(interpolation=1.0)), tmp_path / "first")
    losses = [[line["loss"] for line in result.history if "loss" in line] for result in (both, first)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2:] != losses[1][2:]


def test_a_resumed_schedule_goes_on_where_it_was(tmp_path: Path) -> None:
    recipe = tiny_recipe(objective=hybrid(interpolation=1.0, interpolation_end=0.0))
    straight = run(recipe, tmp_path / "straight")
    with pytest.raises(Stop):
        run(recipe, tmp_path / "stopped", callbacks=[StopAt(3)])
    assert_bitwise_equal(weights(run(recipe, tmp_path / "stopped")), weights(straight))
