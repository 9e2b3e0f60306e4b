"""Objectives as they are typed."""

import pytest

from gmr.core.errors import ConfigError
from gmr.objectives import ObjectiveConfig
from gmr.probe.gradients.specs import parse_spec, refuse_twins, spec_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sft", "sft/yes_minus_no"),
        ("contrastive", "contrastive/yes"),
        ("contrastive/yes_minus_no", "contrastive/yes_minus_no"),
        ("contrastive, temperature=0.5", "contrastive/yes,temperature=0.5"),
        ("uniform+sft/yes", "uniform+sft/yes"),
        ("contrastive,positives=separate", "contrastive/yes,positives=separate"),
        ("listmle,position_aware=true", "listmle/yes_minus_no,position_aware=True"),
        ("contrastive/yes_minus_no,reads=yes_minus_no", "contrastive/yes_minus_no,reads=yes_minus_no"),
    ],
)
def test_an_objective_is_called_by_its_full_name(text: str, name: str) -> None:
    spec = parse_spec(text)
    assert spec.name == name
    assert name.startswith(spec.build().name)


@pytest.mark.parametrize(
    "config",
    [
        ObjectiveConfig(),
        ObjectiveConfig(weight="contrastive", direction="yes", temperature=0.05),
        ObjectiveConfig(weight="interpolation", interpolation=0.25, positives="separate"),
        ObjectiveConfig(weight="listmle", direction="yes", position_aware=True, reads="yes"),
    ],
)
def test_the_objective_of_a_recipe_has_the_name_that_one_would_type(config: ObjectiveConfig) -> None:
    spec = spec_of(config)
    assert parse_spec(spec.name.replace("True", "true")).name == spec.name
    assert spec.build().name == config.build().name


def test_a_default_is_taken_by_those_that_have_the_option_and_do_not_give_it() -> None:
    defaults = {"temperature": 0.1}
    assert parse_spec("sft", defaults=defaults).options == {}
    assert parse_spec("contrastive", defaults=defaults).options == {"temperature": 0.1}
    assert parse_spec("contrastive,temperature=2", defaults=defaults).options == {"temperature": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sfd", "objective 'sfd': weight 'sfd' is unknown: did you mean 'sft'"),
        ("sft/no", "objective 'sft/no': direction 'no' is unknown"),
        (
            "contrastive,temprature=1",
            "objective .*: 'temprature=1' is no option=value; options are advantage, focusing",
        ),
        ("contrastive,0.1", "objective .*: '0.1' is no option=value"),
        ("contrastive,temperature=hot", "objective .*: temperature is 'hot': it must be a number"),
        ("contrastive,temperature=0", "objective .*: temperature is 0.0: it must be above 0"),
        ("listmle,position_aware=yes", "objective .*: position_aware is 'yes': it must be true or false"),
        ("sft,temperature=0.1", "objective .*: temperature is 0.1, but the weight 'sft' does not take it"),
        ("sft/answers", "objective .*: sft/answers weighs every answer, and a probe looks at one weight"),
        ("grades", "objective .*: grades/answers weighs every answer"),
        ("policy_gradient", "objective .*: policy_gradient/answers weighs every answer"),
        ("preference", "objective .*: preference/yes_minus_no needs a reference: .*; a probe has none"),
        ("sft,weight=focal", "objective .*: 'weight=focal' is no option=value"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_spec(text)


def test_the_objective_of_a_recipe_that_a_probe_cannot_look_at_is_refused() -> None:
    with pytest.raises(ConfigError, match="sft_preference/yes_minus_no needs a reference"):
        spec_of(ObjectiveConfig(weight="sft_preference"))


def test_one_objective_is_not_asked_for_twice() -> None:
    with pytest.raises(ConfigError, match="objective 'sft/yes_minus_no' is given twice"):
        refuse_twins([parse_spec("sft"), parse_spec("sft/yes_minus_no")])
