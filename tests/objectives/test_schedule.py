"""A hybrid whose share of SFT changes in the course of training."""

import pytest

from gmr.core.errors import ConfigError
from gmr.objectives import ObjectiveConfig


def hybrid(**options: object) -> ObjectiveConfig:
    return ObjectiveConfig(weight="interpolation", reads="yes_minus_no", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "progress", "share"),
    [
        ("linear", 0.0, 0.8),
        ("linear", 0.25, 0.65),
        ("linear", 1.0, 0.2),
        ("switch", 0.49, 0.8),
        ("switch", 0.5, 0.2),
    ],
)
def test_the_share_is_where_the_schedule_says(schedule: str, progress: float, share: float) -> None:
    config = hybrid(interpolation=0.8, interpolation_end=0.2, interpolation_schedule=schedule)
    assert config.is_scheduled
    assert config.at(progress).interpolation == pytest.approx(share)
    assert not config.at(progress).is_scheduled


def test_without_an_end_nothing_changes() -> None:
    config = hybrid(interpolation=0.3)
    assert config.at(0.7) is config


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weight": "sft", "interpolation_end": 0.5}, "use interpolation"),
        ({"weight": "interpolation", "interpolation_end": 1.5}, "interpolation_end is 1.5"),
        ({"weight": "interpolation", "interpolation_schedule": "switch"}, "nothing to go to"),
        ({"weight": "interpolation", "interpolation_end": 0.0, "interpolation_schedule": "cosine"}, "cosine"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ObjectiveConfig(**options)  # type: ignore[arg-type]
