"""Training examples of the suite: the tasks asked of the training split."""

from collections.abc import Iterator
from pathlib import Path

from gmr.core.tasks import TrainingSet
from gmr.suites.planning import make_plans
from gmr.suites.stamps.data import read_stamps
from gmr.suites.stamps.plans import Scope
from gmr.suites.stamps.tasks import PLANS
from gmr.suites.training import planned_training_set

NUM_QUERIES, NUM_PER_LANGUAGE = 700, 350


def training_set(data_root: Path, *, limit: int | None = None) -> TrainingSet:
    """Examples of all tasks in turn, from training stamps; hard negatives are their neighbours in the collection.

    Args:
        data_root: folder that holds ``stamps``.
        limit: number of examples to keep, all tasks alike; all by default.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    stamps = read_stamps(data_root)
    scope = Scope(stamps, "train", num_queries=NUM_QUERIES, num_per_language=NUM_PER_LANGUAGE, max_depth=1)
    place = {stamp_id: number for number, stamp_id in enumerate(scope.ids)}

    def near(stamp_id: str) -> Iterator[str]:
        start = place[stamp_id]
        yield from scope.ids[max(start - 8, 0) : start][::-1]
        yield from scope.ids[start + 1 : start + 9]

    files = [data_root / "stamps" / name for name in ("captions.jsonl.gz", "images.zip")]
    return planned_training_set(make_plans(PLANS, scope), stamps.albums, near=near, files=files, limit=limit)
