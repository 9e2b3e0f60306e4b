"""An objective as a recipe or a table of the paper writes it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import inf
from typing import Literal, get_args

from gmr.core.errors import ConfigError
from gmr.objectives.directions import ANSWERS, DIRECTIONS
from gmr.objectives.neighbours import ANSWER_WEIGHTS, SCHEMES
from gmr.objectives.objective import Objective
from gmr.objectives.pairwise import GAINS, Gains
from gmr.objectives.policy import ADVANTAGES, Advantage, Reward
from gmr.objectives.rewards import REWARDS
from gmr.objectives.softmax import POSITIVES, Positives
from gmr.objectives.weights import weighted_sum

Schedule = Literal["linear", "switch"]


@dataclass(frozen=True)
class ObjectiveConfig:
    """One objective as a recipe writes it. An option that the weight does not take must keep its default.

    Attributes:
        weight: a key of ``WEIGHTS`` or ``NEIGHBOURS``, or several joined by ``+``.
        direction: a key of ``DIRECTIONS``: what is pushed; or ``answers``, every answer's row on its own.
        reads: readout that the weight is computed from, or ``own`` for the one its source says.
        num_positive: how many answer logits, from the first, are positive.
        temperature: τ that divides scores (contrastive, listnet, ranknet, lambdaloss, distillation,
            interpolation).
        positives: what several positives mean to contrastive weights, ``average`` or ``separate``.
        margin: additive margin, in units of the score (sft_margin, contrastive_margin).
        threshold: probability of ``uniform_masked`` past which a candidate is left alone.
        focusing: exponent of ``focal``.
        positive_weight: how many times ``bce`` counts a positive.
        interpolation: share of ``sft`` in ``interpolation``, from 0 to 1.
        interpolation_end: that share at the end of training; None for the same all the way.
        interpolation_schedule: how it gets there: ``linear``, a little with every step, or ``switch``, all at
            once when half of the steps are done.
        gains: what a pair is worth to ``lambdaloss``: ``ndcg_loss2++``, ``ndcg_loss2`` or ``lambdarank``.
        position_aware: whether ``listmle`` counts the top more.
        reward: what ``policy_gradient`` rewards: ``ndcg`` of the sampled ranking or ``reciprocal_rank``.
        advantage: how its roll-outs are compared: ``normalised``, ``leave_one_out`` or ``raw``.
        num_rollouts: how often it samples every candidate's grade in a step.
        kl: coefficient of its divergence from the base model.
        preference_scale: β of ``preference`` and ``sft_preference``.
        preference_share: how much the preference counts in ``sft_preference`` while nothing is forgotten.
        forgetting: how fast that fades where the base model's answers get lost, 0 for never.

    Raises:
        ConfigError: an unknown name, a value out of range, or an option that the weight does not take.
    """

    weight: str = "sft"
    direction: str = "yes_minus_no"
    reads: str = "own"
    num_positive: int = 1
    temperature: float = 1.0
    positives: Positives = "average"
    margin: float = 1.0
    threshold: float = 0.1
    focusing: float = 2.0
    positive_weight: float = 1.0
    interpolation: float = 0.5
    interpolation_end: float | None = None
    interpolation_schedule: Schedule = "linear"
    gains: Gains = "ndcg_loss2++"
    position_aware: bool = False
    reward: Reward = "ndcg"
    advantage: Advantage = "normalised"
    num_rollouts: int = 5
    kl: float = 0.001
    preference_scale: float = 0.1
    preference_share: float = 1.0
    forgetting: float = 1.0

    def __post_init__(self) -> None:
        for name in self.weight_names:
            _check_choice("weight", name, SCHEMES)
        _check_choice("direction", self.direction, (*DIRECTIONS, ANSWERS))
        _check_choice("reads", self.reads, ("own", *DIRECTIONS))
        _check_choice("positives", self.positives, POSITIVES)
        _check_choice("gains", self.gains, GAINS)
        _check_choice("reward", self.reward, REWARDS)
        _check_choice("advantage", self.advantage, ADVANTAGES)
        _check_range("num_positive", self.num_positive, self.num_positive >= 1, "1 or more")
        _check_range("temperature", self.temperature, 0 < self.temperature < inf, "above 0")
        _check_range("margin", self.margin, 0 <= self.margin < inf, "0 or more")
        _check_range("threshold", self.threshold, 0 < self.threshold < 0.5, "between 0 and 0.5")
        _check_range("focusing", self.focusing, 0 <= self.focusing < inf, "0 or more")
        _check_range("positive_weight", self.positive_weight, 0 < self.positive_weight < inf, "above 0")
        _check_range("interpolation", self.interpolation, 0 <= self.interpolation <= 1, "from 0 to 1")
        _check_choice("interpolation_schedule", self.interpolation_schedule, get_args(Schedule))
        if self.interpolation_end is not None:
            end = self.interpolation_end
            _check_range("interpolation_end", end, 0 <= end <= 1, "from 0 to 1")
        elif self.interpolation_schedule != "linear":
            raise ConfigError("interpolation_schedule without interpolation_end: there is nothing to go to")
        if self.is_scheduled and "interpolation" not in self.weight_names:
            raise ConfigError(
                f"interpolation_end is {self.interpolation_end}, but the weight {self.weight!r} has no share to "
                "change: use interpolation"
            )
        for name in ("kl", "preference_share", "forgetting"):
            value = getattr(self, name)
            _check_range(name, value, 0 <= value < inf, "0 or more")
        _check_range("preference_scale", self.preference_scale, 0 < self.preference_scale < inf, "above 0")
        least = 1 if self.advantage == "raw" else 2
        _check_range("num_rollouts", self.num_rollouts, self.num_rollouts >= least, f"{least} or more")
        self._check_that_options_are_taken()
        self._check_that_answers_are_pushed()

    @property
    def is_scheduled(self) -> bool:
        """Whether the objective changes in the course of training."""
        return self.interpolation_end is not None

    def at(self, progress: float) -> "ObjectiveConfig":
        """What holds when that share of the steps, from 0 to 1, is done, without a schedule of its own."""
        if self.interpolation_end is None:
            return self
        moved = progress if self.interpolation_schedule == "linear" else float(progress >= 0.5)
        share = self.interpolation + moved * (self.interpolation_end - self.interpolation)
        return replace(self, interpolation=share, interpolation_end=None, interpolation_schedule="linear")

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The schemes that are summed."""
        return tuple(name.strip() for name in self.weight.split("+"))

    def build(self) -> Objective:
        """The objective that this describes, as it is when training begins."""
        parts = []
        for name in self.weight_names:
            factory = SCHEMES[name]
            options = {option: getattr(self, option) for option in factory.options}
            reads = None if self.reads == "own" else self.reads
            parts.append((1.0, factory(reads=reads, num_positive=self.num_positive, **options)))
        scheme = weighted_sum("+".join(self.weight_names), parts)
        return Objective(scheme, self.direction, self.num_positive, self.temperature)

    def _check_that_answers_are_pushed(self) -> None:
        names = [name for name in self.weight_names if name in ANSWER_WEIGHTS]
        if names and self.direction != ANSWERS:
            raise ConfigError(
                f"the weight {names[0]!r} weighs every answer, and the direction {self.direction!r} is one for all: "
                f"set direction = {ANSWERS!r}"
            )
        if names and self.reads != "own":
            raise ConfigError(f"the weight {names[0]!r} reads all answers: leave out reads = {self.reads!r}")

    def _check_that_options_are_taken(self) -> None:
        taken = {option for name in self.weight_names for option in SCHEMES[name].options}
        options = {option for factory in SCHEMES.values() for option in factory.options}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in options - taken and value != field.default:
                takers = ", ".join(name for name, factory in SCHEMES.items() if field.name in factory.options)
                raise ConfigError(
                    f"{field.name} is {value!r}, but the weight {self.weight!r} does not take it: "
                    f"leave it out or use one of {takers}"
                )


def build_objective(spec: str, **options: float | str | bool) -> Objective:
    """The objective that ``weight`` or ``weight/direction`` names, as in the tables of the paper.

    A weight alone pushes the readout that it is computed from: ``sft`` is ``sft/yes_minus_no`` and
    ``contrastive`` is ``contrastive/yes``. Where its terms read several, it pushes ``yes_minus_no``, and a weight of
    graded answers pushes ``answers``.

    Args:
        spec: a key of ``WEIGHTS`` or ``NEIGHBOURS`` or several joined by ``+``, then, if wanted, a slash and a key of
            ``DIRECTIONS``.
        options: fields of ``ObjectiveConfig``.

    Raises:
        ConfigError: an unknown name, a value out of range, or an option that the weight does not take.
    """
    weight, slash, direction = spec.partition("/")
    if slash:
        if "direction" in options:
            raise ConfigError(
                f"{spec!r} names a direction, so does direction={options['direction']!r}: give one"
            )
        options["direction"] = direction
    elif "direction" not in options and any(name.strip() in ANSWER_WEIGHTS for name in weight.split("+")):
        options["direction"] = ANSWERS
    objective = ObjectiveConfig(weight=weight, **options).build()  # type: ignore[arg-type]
    if "direction" in options or len(objective.weight.reads) > 1:
        return objective
    (own,) = objective.weight.reads
    return replace(objective, direction=own)


def _check_choice(field: str, value: str, known: Iterable[str]) -> None:
    known = tuple(known)
    if value not in known:
        nearest = get_close_matches(value, known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"use one of {', '.join(known)}"
        raise ConfigError(f"{field} {value!r} is unknown: {hint}")


def _check_range(field: str, value: float, holds: bool, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{field} is {value}: it must be {wanted}")
