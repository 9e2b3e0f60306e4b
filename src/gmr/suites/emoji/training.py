"""Training examples of the suite: the tasks asked of the training split, without OpenMoji's pictures."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from gmr.core.tasks import TrainingSet
from gmr.suites.emoji.data import read_emoji
from gmr.suites.emoji.scope import Roles, Scope
from gmr.suites.emoji.tasks import PLANS
from gmr.suites.planning import make_plans
from gmr.suites.training import planned_training_set

ROLES = Roles(("noto", "twemoji"), query="noto", document="twemoji", change="twemoji")
# They need a third vendor.
NOT_TRAINED = ("emoji-i2i-openmoji", "emoji-i2i-two")
NUM_QUERIES, NUM_PER_LANGUAGE = 600, 300


def training_set(data_root: Path, *, limit: int | None = None) -> TrainingSet:
    """Examples of all tasks in turn, from training concepts by Noto and Twemoji.

    Hard negatives are the picture that was not changed, the answer's family (other skin tones and genders) and its
    neighbours in Unicode's order.

    Args:
        data_root: folder that holds ``emoji``.
        limit: number of examples to keep, all tasks alike; all by default.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    emoji = read_emoji(data_root)
    scope = Scope(
        emoji, "train", ROLES, num_queries=NUM_QUERIES, num_per_language=NUM_PER_LANGUAGE, max_depth=1
    )
    families: dict[str, list[str]] = defaultdict(list)
    for concept_id in scope.ids:
        families[scope.concept(concept_id).family].append(concept_id)
    place = {concept_id: number for number, concept_id in enumerate(scope.ids)}

    def near(concept_id: str) -> Iterator[str]:
        if concept_id not in place:  # a source of another split has no document here
            return
        start = place[concept_id]
        family = [other for other in families[scope.concept(concept_id).family] if other != concept_id]
        around = [*scope.ids[max(start - 8, 0) : start][::-1], *scope.ids[start + 1 : start + 9]]
        for pair in zip_longest(family, around):
            yield from (other for other in pair if other is not None)

    folder = data_root / "emoji"
    files = [path for path in sorted(folder.iterdir()) if path.name.endswith((".jsonl", ".jsonl.gz", ".zip"))]
    makers = {name: maker for name, maker in PLANS.items() if name not in NOT_TRAINED}
    return planned_training_set(make_plans(makers, scope), emoji.albums, near=near, files=files, limit=limit)
