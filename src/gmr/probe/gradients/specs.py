"""Objectives as the command line names them: ``weight/direction,option=value``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from gmr.core.errors import ConfigError
from gmr.objectives import ANSWERS, WEIGHTS, Objective, ObjectiveConfig, build_objective
from gmr.objectives.weights import NEEDS, Option

DEFAULT_SPECS = ("sft", "contrastive")
_TYPES = {field.name: type(field.default) for field in fields(ObjectiveConfig)}
# These stand before the comma, or follow from the model.
_NOT_OPTIONS = ("weight", "direction", "num_positive")


@dataclass(frozen=True)
class Spec:
    """An objective to probe.

    Attributes:
        name: What tables call it.
        objective: ``weight`` or ``weight/direction``.
        options: Fields of ``ObjectiveConfig``.
    """

    name: str
    objective: str
    options: Mapping[str, Option]

    def build(self, *, num_positive: int = 1) -> Objective:
        """The objective, for a model with so many positive answers.

        Raises:
            ConfigError: an unknown name, a value out of range, or an option that the weight does not take.
        """
        return build_objective(self.objective, num_positive=num_positive, **self.options)


def parse_spec(text: str, *, defaults: Mapping[str, Option] | None = None) -> Spec:
    """The objective that ``text`` names.

    Args:
        text: ``weight`` or ``weight/direction``, then any number of ``,option=value``.
        defaults: options for weights that take them and whose text does not give them.

    Raises:
        ConfigError: an unknown name or option, a value that cannot be read or is out of range, or an objective that is
            more than one weight for a candidate and one direction, or that needs more than a teacher.
    """
    objective, *pairs = (part.strip() for part in text.split(","))
    options: dict[str, Option] = {}
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or name not in _TYPES or name in _NOT_OPTIONS:
            known = ", ".join(sorted(_TYPES.keys() - set(_NOT_OPTIONS)))
            raise ConfigError(f"objective {text!r}: {pair!r} is no option=value; options are {known}")
        options[name] = _read(value, _TYPES[name], where=f"objective {text!r}: {name}")
    taken = {
        option
        for weight in objective.partition("/")[0].split("+")
        if weight.strip() in WEIGHTS
        for option in WEIGHTS[weight.strip()].options
    }
    for name, default in (defaults or {}).items():
        if name in taken and name not in options:
            options[name] = default
    try:
        return _spec(objective, options)
    except ConfigError as error:
        raise ConfigError(f"objective {text!r}: {error}") from None


def spec_of(config: ObjectiveConfig) -> Spec:
    """The objective of a recipe, by the same name as if it had been typed.

    Raises:
        ConfigError: a probe cannot look at it, as for `parse_spec`.
    """
    options: dict[str, Option] = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in _NOT_OPTIONS and getattr(config, field.name) != field.default
    }
    return _spec(f"{config.weight}/{config.direction}", options)


def refuse_twins(specs: Sequence[Spec]) -> None:
    """Stop when two objectives are one.

    Raises:
        ConfigError: naming it.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"objective {name!r} is given twice")


def _spec(objective: str, options: dict[str, Option]) -> Spec:
    # The full name: with the direction that a weight alone pushes, and the options that are given.
    built = build_objective(objective, **options)
    name = built.name
    if built.direction == ANSWERS:
        raise ConfigError(f"{name} weighs every answer, and a probe looks at one weight for each candidate")
    lacking = sorted(built.weight.needs - {"teacher"})
    if lacking:
        raise ConfigError(f"{name} needs {NEEDS[lacking[0]]}; a probe has none")
    return Spec(
        ",".join([name, *(f"{option}={value}" for option, value in options.items())]), objective, options
    )


def _read(value: str, wanted: type, *, where: str) -> Option:
    if wanted is bool:
        if value not in ("true", "false"):
            raise ConfigError(f"{where} is {value!r}: it must be true or false")
        return value == "true"
    if wanted is str:
        return value
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{where} is {value!r}: it must be a number") from None
