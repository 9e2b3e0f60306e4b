"""The groups that a probe looks at: those of the first steps of training, each candidate with its origin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask, TrainingExample, TrainingSet, ids_of
from gmr.objectives import Objective
from gmr.train.sampling import EpochSampler, Group, GroupDataset, SamplingConfig

POSITIVE, HARD, RANDOM = "positive", "hard", "random"
KINDS = (POSITIVE, HARD, RANDOM)
# Hard and random ones together, which no candidate is called.
NEGATIVE = "negative"


@dataclass(frozen=True)
class ProbeGroup:
    """A query with its candidates, and where each of them comes from.

    Attributes:
        group: as training draws it.
        kinds: of every document one of ``KINDS``: a positive, a negative that the example brings, or one from
            the pool.
    """

    group: Group
    kinds: tuple[str, ...]


def draw_groups(
    training_set: TrainingSet, sampling: SamplingConfig, *, num_queries: int, seed: int
) -> list[ProbeGroup]:
    """The first ``num_queries`` groups of a training run with this seed; all there are if they are fewer.

    A random negative that its example also brings as a hard one counts as hard.

    Raises:
        DataError: an example without any negative.
    """
    dataset = GroupDataset(training_set, sampling, seed=seed)
    drawn = []
    for epoch, index in islice(EpochSampler(len(dataset), seed=seed), num_queries):
        group = dataset[epoch, index]
        hard = set(ids_of(training_set.examples[index].negatives))
        kinds = tuple(
            POSITIVE if label > 0 else HARD if document.doc_id in hard else RANDOM
            for document, label in zip(group.documents, group.labels, strict=True)
        )
        drawn.append(ProbeGroup(group, kinds))
    return drawn


def check_teacher(objectives: Sequence[Objective], groups: Sequence[ProbeGroup]) -> None:
    """Make sure that every group brings teacher scores where an objective asks for them.

    Raises:
        DataError: one does not; it is named.
    """
    for objective in objectives:
        for drawn in groups:
            if objective.weight.needs_teacher and drawn.group.teacher is None:
                raise DataError(
                    f"training example {drawn.group.example_id!r} has no scores, but the objective "
                    f"{objective.name} learns from a teacher's: add them, or choose another objective"
                )


def training_set_of(tasks: Sequence[RerankTask]) -> TrainingSet:
    """Tasks as if they were trained on: a query's candidates that are not relevant are its hard negatives.

    Random negatives come from the task's corpus. Queries without a relevant document are left out; the tasks
    take turns.

    Raises:
        DataError: no query has a relevant document.
    """
    examples = [
        example
        for row in zip_longest(*(list(_examples(task)) for task in tasks))
        for example in row
        if example is not None
    ]
    if not examples:
        names = ", ".join(task.name for task in tasks)
        raise DataError(f"{names}: no query has a relevant document, so there is nothing to train on")
    pools = {task.name: tuple(task.corpus.values()) for task in tasks}
    return TrainingSet(tuple(examples), pools)


def _examples(task: RerankTask) -> Iterator[TrainingExample]:
    for query_id, grades in task.qrels.items():
        relevant = [doc_id for doc_id, grade in grades.items() if grade > 0]
        if relevant:
            negatives = [each for each in task.candidates(query_id) if grades.get(each.doc_id, 0) <= 0]
            yield TrainingExample(
                f"{task.name}/{query_id}",
                task.queries[query_id],
                tuple(task.corpus[doc_id] for doc_id in relevant),
                tuple(negatives),
                task.name,
            )
