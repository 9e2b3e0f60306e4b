"""Which documents a query is trained on: a pure function of seed, epoch and index.

Nothing here touches a global random state, so a resumed run sees what a straight one would have seen.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gmr.core.errors import ConfigError, DataError
from gmr.core.nouns import Document, Query
from gmr.core.tasks import TrainingExample, TrainingSet

ReferenceTable = Mapping[tuple[int, str], tuple[float, ...]]


@dataclass(frozen=True)
class Group:
    """A query with the documents of one training step, positives first.

    Attributes:
        example_id: The example that the group was drawn from.
        query: The query.
        documents: Positives, then hard negatives, then random ones.
        labels: One per document, 1.0 for a positive and 0.0 for a negative.
        teacher: One teacher score per document, or None when the example brings none.
        reference: The base model's answer logits of each document, where the objective asks for them.
        draws: Random numbers in [0, 1) of each document, where the objective samples.
    """

    example_id: str
    query: Query
    documents: tuple[Document, ...]
    labels: tuple[float, ...]
    teacher: tuple[float, ...] | None = None
    reference: tuple[tuple[float, ...], ...] | None = None
    draws: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class SamplingConfig:
    """How a group is drawn.

    Attributes:
        num_positives: Positives per group; examples with fewer give all they have.
        num_negatives: Negatives per group; a shortage of one kind is filled from the other.
        random_to_hard: Ratio of random to hard negatives, such as ``"1:1"``. Where it does not divide
            ``num_negatives``, the odd one is random or hard by a coin that falls as the ratio says.
        false_negatives: Share of negatives, each by a coin of its own, in whose place one of the example's
            positives stands under the label of a negative: wrong labels on purpose.
    """

    num_positives: int = 1
    num_negatives: int = 7
    random_to_hard: str = "1:1"
    false_negatives: float = 0.0

    def __post_init__(self) -> None:
        if self.num_positives < 1:
            raise ConfigError(f"num_positives must be at least 1, not {self.num_positives}")
        if self.num_negatives < 1:
            raise ConfigError(f"num_negatives must be at least 1, not {self.num_negatives}")
        if not 0 <= self.false_negatives <= 1:
            raise ConfigError(f"false_negatives must be a share from 0 to 1, not {self.false_negatives}")
        hard_share(self.random_to_hard)


def hard_share(random_to_hard: str) -> float:
    """Share of hard negatives in a ratio ``"random:hard"``, between 0 and 1.

    Raises:
        ConfigError: The text is not two whole numbers of which one is above zero.
    """
    parts = random_to_hard.split(":")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"random_to_hard must be a ratio such as '1:1', not {random_to_hard!r}")
    num_random, num_hard = int(parts[0]), int(parts[1])
    if num_random + num_hard == 0:
        raise ConfigError(f"random_to_hard must have a number above zero, not {random_to_hard!r}")
    return num_hard / (num_random + num_hard)


def shuffled(size: int, rng: random.Random) -> Iterator[int]:
    """The numbers 0 to ``size - 1`` in random order, lazily: the first k cost k, however large the pool."""
    # Only random() is promised to give the same stream on every Python; sample() and shuffle() are not.
    moved: dict[int, int] = {}
    for position in range(size):
        chosen = position + int(rng.random() * (size - position))
        yield moved.get(chosen, chosen)
        moved[chosen] = moved.get(position, position)


def _draw(
    documents: Sequence[Document], rng: random.Random, *, wanted: int, taken: set[str]
) -> list[tuple[int, Document]]:
    """Up to ``wanted`` documents with ids that are not in ``taken``, and their positions; adds them there."""
    drawn: list[tuple[int, Document]] = []
    if wanted < 1:
        return drawn
    for position in shuffled(len(documents), rng):
        document = documents[position]
        if document.doc_id not in taken:
            taken.add(document.doc_id)
            drawn.append((position, document))
            if len(drawn) == wanted:
                break
    return drawn


def sample_group(
    example: TrainingExample,
    pool: Sequence[Document],
    config: SamplingConfig,
    *,
    seed: int,
    epoch: int,
    index: int,
) -> Group:
    """The group of one example in one epoch; the same arguments give the same group on every machine.

    A negative is never a positive of the example and never drawn twice, by document id, unless
    ``config.false_negatives`` plants one. An example with teacher scores gives scored documents only: hard
    negatives, no random ones.

    Raises:
        DataError: Neither the example nor its pool has a negative.
    """
    rng = random.Random(f"{seed}/{epoch}/{index}")
    positives = _draw(example.positives, rng, wanted=config.num_positives, taken=set())
    taken = {document.doc_id for document in example.positives}

    expected_hard = config.num_negatives * hard_share(config.random_to_hard)
    num_hard = int(expected_hard) + (rng.random() < expected_hard % 1)
    if example.scores is not None:
        num_hard, pool = config.num_negatives, ()
    hard = _draw(example.negatives, rng, wanted=num_hard, taken=taken)
    at_random = _draw(pool, rng, wanted=config.num_negatives - len(hard), taken=taken)
    missing = config.num_negatives - len(hard) - len(at_random)
    hard += _draw(example.negatives, rng, wanted=missing, taken=taken)
    if not hard and not at_random:
        raise DataError(
            f"training example {example.example_id!r} has no negative: it brings none, and its pool "
            f"{example.pool!r} holds nothing but its positives"
        )
    # Places as in the example's scores: positives first.
    first_negative = len(example.positives)
    negatives = [(first_negative + position, document) for position, document in hard] + at_random
    # Last of all draws: with a share of 0 the group is what it is without this option.
    if config.false_negatives:
        negatives = _plant(negatives, example.positives, config.false_negatives, rng)
    teacher = None
    if example.scores is not None:
        teacher = tuple(example.scores[place] for place, _ in (*positives, *negatives))
    documents = tuple(document for _, document in (*positives, *negatives))
    labels = (1.0,) * len(positives) + (0.0,) * len(negatives)
    return Group(example.example_id, example.query, documents, labels, teacher)


def _plant(
    negatives: Sequence[tuple[int, Document]],
    positives: Sequence[Document],
    share: float,
    rng: random.Random,
) -> list[tuple[int, Document]]:
    """The negatives with about that share of them replaced by positives; places are those of the positives."""
    planted = []
    for negative in negatives:
        is_false, place = rng.random() < share, int(rng.random() * len(positives))
        planted.append((place, positives[place]) if is_false else negative)
    return planted


class GroupDataset:
    """A training set as groups, indexed by ``(epoch, index)``.

    The epoch is part of the key, not a state of the data set, so dataloader workers that live through several
    epochs draw what a fresh one would.

    Args:
        training_set: The examples and their pools.
        config: How a group is drawn.
        seed: Of all that is drawn.
        num_draws: Random numbers that every document brings with it, for objectives that sample.

    Attributes:
        reference: Answer logits by example index and document id, for objectives that have a reference.
    """

    def __init__(
        self, training_set: TrainingSet, config: SamplingConfig, *, seed: int, num_draws: int = 0
    ) -> None:
        self.training_set = training_set
        self.config = config
        self.seed = seed
        self.num_draws = num_draws
        self.reference: ReferenceTable | None = None

    def __len__(self) -> int:
        return len(self.training_set.examples)

    def __getitem__(self, key: tuple[int, int]) -> Group:
        epoch, index = key
        example = self.training_set.examples[index]
        pool = self.training_set.pools[example.pool]
        group = sample_group(example, pool, self.config, seed=self.seed, epoch=epoch, index=index)
        if self.reference is not None:
            rows = [self.reference.get((index, document.doc_id)) for document in group.documents]
            # The loader draws a batch more than the run has steps, which nobody has computed and nobody will use;
            # an objective that met one without its reference would say so.
            known = tuple(row for row in rows if row is not None)
            group = replace(group, reference=known if len(known) == len(rows) else None)
        if self.num_draws:
            # A stream of its own: the documents are those of a run that samples nothing.
            rng = random.Random(f"{self.seed}/{epoch}/{index}/draws")
            draws = tuple(tuple(rng.random() for _ in range(self.num_draws)) for _ in group.documents)
            group = replace(group, draws=draws)
        return group


class EpochSampler:
    """The keys ``(epoch, index)`` of one epoch in an order that depends on seed and epoch alone."""

    def __init__(self, num_examples: int, *, seed: int) -> None:
        self.num_examples = num_examples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_examples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = random.Random(f"{self.seed}/{self.epoch}/order")
        for index in shuffled(self.num_examples, rng):
            yield self.epoch, index
