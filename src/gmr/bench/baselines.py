"""What stands beside every model on the same tasks: chance, the first stage, and the cosine of pixels."""

from collections.abc import Sequence

from gmr.core.items import images_of
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult, evaluate_run, evaluate_task
from gmr.suites.baselines import (
    CHANCE,
    FIRST_STAGE,
    PIXEL_COSINE,
    PixelCosine,
    chance_run,
    first_stage_run,
)


def baseline_results(
    tasks: Sequence[RerankTask], measures: Sequence[str] | None = None, *, with_pixels: bool = True
) -> dict[str, list[TaskResult]]:
    """Results of the baselines by name; of pixels only where both sides of some task have pictures.

    Args:
        tasks: with candidates.
        measures: None for each task's own.
        with_pixels: whether pictures can be opened at all.
    """
    results = {
        CHANCE: [
            evaluate_run(chance_run(task), task, measures=measures, expected_under_ties=True)
            for task in tasks
        ],
        FIRST_STAGE: [evaluate_run(first_stage_run(task), task, measures=measures) for task in tasks],
    }
    if with_pixels and any(map(_has_pictures_on_both_sides, tasks)):
        # Where one side has no picture all its scores are equal, and the expectation is chance.
        pixels = PixelCosine()
        results[PIXEL_COSINE] = [
            evaluate_task(pixels, task, measures=measures, expected_under_ties=True) for task in tasks
        ]
    return results


def _has_pictures_on_both_sides(task: RerankTask) -> bool:
    return any(images_of(query.item) for query in task.queries.values()) and any(
        images_of(document.item) for document in task.corpus.values()
    )
