"""An objective as a recipe or a table of the paper writes it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import inf
from typing import Literal, get_args

from gmr.core.errors import ConfigError
from gmr.objectives.directions import DIRECTIONS
from gmr.objectives.objective import Objective
from gmr.objectives.pairwise import GAINS, Gains
from gmr.objectives.softmax import POSITIVES, Positives
from gmr.objectives.weights import WEIGHTS, weighted_sum

Schedule = Literal["linear", "switch"]


@dataclass(frozen=True)
class ObjectiveConfig:
    """One objective as a recipe writes it. An option that the weight does not take must keep its default.

    Attributes:
        weight: a key of ``WEIGHTS``, or several joined by ``+``.
        direction: a key of ``DIRECTIONS``: what is pushed.
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

    def __post_init__(self) -> None:
        for name in self.weight_names:
            _check_choice("weight", name, WEIGHTS)
        _check_choice("direction", self.direction, DIRECTIONS)
        _check_choice("reads", self.reads, ("own", *DIRECTIONS))
        _check_choice("positives", self.positives, POSITIVES)
        _check_choice("gains", self.gains, GAINS)
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
        self._check_that_options_are_taken()

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
            factory = WEIGHTS[name]
            options = {option: getattr(self, option) for option in factory.options}
            reads = None if self.reads == "own" else self.reads
            parts.append((1.0, factory(reads=reads, num_positive=self.num_positive, **options)))
        scheme = weighted_sum("+".join(self.weight_names), parts)
        return Objective(scheme, self.direction, self.num_positive, self.temperature)

    def _check_that_options_are_taken(self) -> None:
        taken = {option for name in self.weight_names for option in WEIGHTS[name].options}
        options = {option for factory in WEIGHTS.values() for option in factory.options}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in options - taken and value != field.default:
                takers = ", ".join(name for name, factory in WEIGHTS.items() if field.name in factory.options)
                raise ConfigError(
                    f"{field.name} is {value!r}, but the weight {self.weight!r} does not take it: "
                    f"leave it out or use one of {takers}"
                )


def build_objective(spec: str, **options: float | str | bool) -> Objective:
    """The objective that ``weight`` or ``weight/direction`` names, as in the tables of the paper.

    A weight alone pushes the readout that it is computed from: ``sft`` is ``sft/yes_minus_no`` and
    ``contrastive`` is ``contrastive/yes``. Where its terms read several, it pushes ``yes_minus_no``.

    Args:
        spec: a key of ``WEIGHTS`` or several joined by ``+``, then, if wanted, a slash and a key of
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
