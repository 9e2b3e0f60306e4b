"""Schemes of neighbouring papers on the same plane: graded answers, policy gradients, preferences.

Unlike those of ``WEIGHTS`` they ask for more than a group and its labels: an answer each for several grades, random
draws, or the logits of a frozen reference.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import Tensor

from gmr.objectives.directions import ANSWERS
from gmr.objectives.graded import grades_loss, grades_weights, taught_grades_loss, taught_grades_weights
from gmr.objectives.policy import policy_gradient_loss, policy_gradient_weights
from gmr.objectives.preference import (
    preference_loss,
    preference_weights,
    sft_preference_loss,
    sft_preference_weights,
)
from gmr.objectives.weights import WEIGHTS, Family, Option, Term, WeightFactory, WeightScheme


@dataclass(frozen=True)
class AnswerFamily:
    """A row of the table that weighs every answer: its two functions, its options, and what it needs.

    Attributes:
        name: as it is asked for.
        weights: gives ``(queries, docs, answers)``.
        loss: whose derivative by the answer logits they are.
        options: names of the options that both take.
        needs: what is needed, of the options.
    """

    name: str
    weights: Callable[..., Tensor]
    loss: Callable[..., Tensor]
    options: tuple[str, ...] = ()
    needs: Callable[[Mapping[str, Option]], tuple[str, ...]] = lambda _: ()

    def __call__(self, *, reads: str | None = None, num_positive: int = 1, **options: Option) -> WeightScheme:
        """The scheme with these options; it reads all answers, and none of them as positive."""
        del num_positive
        if set(options) != set(self.options):
            raise ValueError(f"the weight {self.name!r} takes {self.options}, not {tuple(options)}")
        if reads not in (None, ANSWERS):
            raise ValueError(f"the weight {self.name!r} reads all answers, not {reads!r}")
        weights, loss = (partial(function, **options) for function in (self.weights, self.loss))
        term = Term(self.name, weights, loss, ANSWERS, self.needs(options))
        return WeightScheme(self.name, (term,))


def _needs_of_policy(options: Mapping[str, Option]) -> tuple[str, ...]:
    is_anchored = bool(options["kl"]) or options["reward"] == "reciprocal_rank"
    return ("draws", "reference") if is_anchored else ("draws",)


_PREFERENCE = ("preference_scale",)
_FAMILIES: tuple[Family | AnswerFamily, ...] = (
    AnswerFamily("grades", grades_weights, grades_loss),
    AnswerFamily("taught_grades", taught_grades_weights, taught_grades_loss, needs=lambda _: ("teacher",)),
    AnswerFamily(
        "policy_gradient",
        policy_gradient_weights,
        policy_gradient_loss,
        options=("reward", "advantage", "num_rollouts", "kl"),
        needs=_needs_of_policy,
    ),
    Family("preference", preference_weights, preference_loss, options=_PREFERENCE, needs_reference=True),
    Family(
        "sft_preference",
        sft_preference_weights,
        sft_preference_loss,
        options=(*_PREFERENCE, "preference_share", "forgetting"),
        needs_reference=True,
    ),
)
NEIGHBOURS: Mapping[str, WeightFactory] = MappingProxyType({family.name: family for family in _FAMILIES})
ANSWER_WEIGHTS: frozenset[str] = frozenset(
    family.name for family in _FAMILIES if isinstance(family, AnswerFamily)
)
"""Those that weigh every answer, so that the direction must be ``answers``."""
SCHEMES: Mapping[str, WeightFactory] = MappingProxyType({**WEIGHTS, **NEIGHBOURS})
"""Every weight that an objective may name."""
