"""What the test is worth without a model: the candidates in random order, and in the order that they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, parse_json_object, read_text
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run
from gmr.suites.baselines import chance_run, first_stage_run

LEVELS = "levels.json"


@dataclass(frozen=True)
class Levels:
    """Means on the test, from 0 to 1, by task.

    Attributes:
        chance: Exact expectation of the candidates in random order.
        first_stage: The candidates as they came.
    """

    chance: Mapping[str, float]
    first_stage: Mapping[str, float]


def levels_of(tasks: Sequence[RerankTask], *, measure: str) -> Levels:
    """Both levels of every task."""
    chance, first_stage = (
        {
            task.name: evaluate_run(order(task), task, measures=[measure], expected_under_ties=True).mean()
            for task in tasks
        }
        for order in (chance_run, first_stage_run)
    )
    return Levels(chance, first_stage)


def write_levels(levels: Levels, folder: Path) -> None:
    """Keep them in the folder of a sweep."""
    atomic_write_json(
        folder / LEVELS, {"chance": dict(levels.chance), "first_stage": dict(levels.first_stage)}
    )


def read_levels(folder: Path) -> Levels | None:
    """Those of a sweep; None where it was made before there were any.

    Raises:
        DataError: The file says something else.
    """
    path = folder / LEVELS
    if not path.is_file():
        return None
    record = parse_json_object(read_text(path), where=str(path))
    try:
        return Levels(**record)
    except TypeError as error:
        raise DataError(f"{path}: the levels chance and first_stage are needed ({error})") from None
