"""How much work a run is, and how long it may take."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gmr.core.config import load_config
from gmr.core.tasks import RerankTask
from gmr.probe.sweep.runs import RunSpec
from gmr.train.dev import bounded
from gmr.train.recipe import Recipe

NANO = ("gmr-nano-base", "gmr-nano")
TRAINED_PER_S, SCORED_PER_S, START_S = 200.0, 950.0, 3.0
"""Of gmr-nano by one of two processes that share two virtual cores: prompts, pairs, and seconds to load things."""


@dataclass(frozen=True)
class Work:
    """What a run does.

    Attributes:
        num_steps: Optimizer steps.
        num_trained: Prompts that go forward and backward.
        num_scored: Pairs that are scored, on development tasks and test.
        is_known: Whether the rates above are those of its model.
    """

    num_steps: int
    num_trained: int
    num_scored: int
    is_known: bool

    @property
    def seconds(self) -> float:
        """Processor seconds; of another model than the small one, in proportion only."""
        return START_S + self.num_trained / TRAINED_PER_S + self.num_scored / SCORED_PER_S

    @property
    def trained_share(self) -> float:
        """Share of the seconds that is training."""
        return self.num_trained / TRAINED_PER_S / self.seconds


class Estimator:
    """Counts the work of runs; tasks are loaded once, to count their pairs.

    Args:
        load_test: The tasks of a run's ``test`` table.
        load_dev: The development tasks of a recipe.
    """

    def __init__(
        self,
        *,
        load_test: Callable[[Mapping[str, object]], Sequence[RerankTask]],
        load_dev: Callable[[Recipe], Sequence[RerankTask]],
    ) -> None:
        self._load_test = load_test
        self._load_dev = load_dev
        self._counts: dict[str, int] = {}
        self._works: dict[str, Work] = {}

    def work(self, spec: RunSpec) -> Work:
        """Of one run; asked again, it is remembered."""
        if spec.name not in self._works:
            self._works[spec.name] = self._work(spec)
        return self._works[spec.name]

    def _work(self, spec: RunSpec) -> Work:
        recipe = load_config(spec.recipe, Recipe, where=spec.name)
        steps = num_steps(recipe)
        data = recipe.data
        per_step = int(recipe.training.get("per_device_train_batch_size", 8))
        per_step *= int(recipe.training.get("gradient_accumulation_steps", 1))
        trained = steps * per_step * (data.num_positives + data.num_negatives)
        scored = num_evaluations(recipe) * self._num_dev(recipe)
        if spec.test is not None:
            scored += self._num_test(spec.test)
        return Work(steps, trained, scored, recipe.model.base in NANO)

    def _num_dev(self, recipe: Recipe) -> int:
        if not recipe.data.dev:
            return 0
        queries = recipe.evaluation.max_queries
        key = f"dev {recipe.data.suite} {recipe.data.dev} {queries}"
        if key not in self._counts:
            tasks = [bounded(task, max_queries=queries) for task in self._load_dev(recipe)]
            self._counts[key] = _num_pairs(tasks)
        return self._counts[key]

    def _num_test(self, test: Mapping[str, object]) -> int:
        key = f"test {sorted(test.items())}"
        if key not in self._counts:
            self._counts[key] = _num_pairs(self._load_test(test))
        return self._counts[key]


def num_steps(recipe: Recipe) -> int:
    """Optimizer steps of a recipe; 0 where it counts epochs, whose length only the data knows."""
    return max(int(recipe.training.get("max_steps", 0)), 0)


def num_evaluations(recipe: Recipe) -> int:
    """How often the development tasks are scored, the end included."""
    every = recipe.evaluation.every
    return math.ceil(num_steps(recipe) / every) if every > 0 else 1


def _num_pairs(tasks: Sequence[RerankTask]) -> int:
    return sum(len(row) for task in tasks for row in task.first_stage.values())
