"""A group is a pure function of seed, epoch and index, and never trains a positive as a negative."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import ConfigError, DataError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import TrainingExample
from gmr.train.sampling import EpochSampler, GroupDataset, SamplingConfig, hard_share, sample_group, shuffled
from tests.train.data import training_set


def documents(*numbers: int) -> tuple[Document, ...]:
    return tuple(Document(f"d{number}", (Text(str(number)),)) for number in numbers)


def example(positives: int = 1, negatives: int = 4, scores: bool = False) -> TrainingExample:
    total = positives + negatives
    return TrainingExample(
        "e",
        Query("q", (Text("q"),)),
        documents(*range(positives)),
        documents(*range(100, 100 + negatives)),
        "pool",
        tuple(float(number) for number in range(total)) if scores else None,
    )


@given(
    positives=st.integers(1, 4),
    negatives=st.integers(0, 6),
    pool=st.sets(st.integers(0, 110), max_size=30),
    num_positives=st.integers(1, 3),
    num_negatives=st.integers(1, 8),
    ratio=st.sampled_from(["1:1", "0:1", "1:0", "2:1", "1:3"]),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_a_group_has_each_document_once_and_no_positive_among_its_negatives(
    positives, negatives, pool, num_positives, num_negatives, ratio, seed, epoch
) -> None:
    source = example(positives, negatives)
    config = SamplingConfig(num_positives, num_negatives, ratio)
    relevant = {document.doc_id for document in source.positives}
    available = {document.doc_id for document in (*source.negatives, *documents(*pool))} - relevant
    if not available:
        with pytest.raises(DataError, match="'e' has no negative"):
            sample_group(source, documents(*pool), config, seed=seed, epoch=epoch, index=0)
        return
    group = sample_group(source, documents(*sorted(pool)), config, seed=seed, epoch=epoch, index=0)
    ids = [document.doc_id for document in group.documents]
    assert len(set(ids)) == len(ids)
    chosen = [doc_id for doc_id, label in zip(ids, group.labels, strict=True) if label == 1.0]
    others = [doc_id for doc_id, label in zip(ids, group.labels, strict=True) if label == 0.0]
    assert set(chosen) <= relevant
    assert len(chosen) == min(num_positives, positives)
    assert set(others) <= available
    assert len(others) == min(num_negatives, len(available)), (
        "a shortage of one kind is filled from the other"
    )


def test_the_ratio_of_random_to_hard_holds_exactly_when_it_divides_and_on_average_when_not() -> None:
    pool = documents(*range(200, 300))
    for num_negatives, expected in ((8, {4}), (7, {3, 4})):
        config = SamplingConfig(1, num_negatives, "1:1")
        counts = [
            sum(
                document in example(1, 8).negatives
                for document in sample_group(
                    example(1, 8), pool, config, seed=0, epoch=0, index=index
                ).documents
            )
            for index in range(400)
        ]
        assert set(counts) == expected
        assert np.mean(counts) == pytest.approx(num_negatives / 2, abs=0.1)


def test_random_negatives_are_uniform_over_the_pool() -> None:
    pool = documents(*range(200, 210))
    config = SamplingConfig(1, 2, "1:0")
    drawn = Counter(
        document.doc_id
        for index in range(5000)
        for document in sample_group(example(1, 0), pool, config, seed=1, epoch=0, index=index).documents[1:]
    )
    # 5000 draws of 2 in 10: 1000 expected, standard deviation 28.
    assert all(abs(count - 1000) < 5 * 28 for count in drawn.values())
    assert len(drawn) == 10


def test_every_epoch_draws_anew_and_the_same_epoch_the_same() -> None:
    data = GroupDataset(training_set(), SamplingConfig(1, 3, "1:1"), seed=0)
    first = [data[0, index] for index in range(len(data))]
    assert [data[0, index] for index in range(len(data))] == first
    assert [data[1, index] for index in range(len(data))] != first
    assert GroupDataset(data.training_set, data.config, seed=1)[0, 0] != first[0]


def test_global_random_states_have_no_part_in_it() -> None:
    data = GroupDataset(training_set(), SamplingConfig(1, 3, "1:1"), seed=0)
    expected = [data[0, index] for index in range(len(data))]
    found = []
    for index in range(len(data)):
        random.seed(index)
        np.random.seed(index)
        torch.manual_seed(index)
        found.append(data[0, index])
    assert found == expected


def test_the_stream_is_frozen() -> None:
    # A change of these numbers changes every run: it belongs into the changelog.
    assert list(shuffled(8, random.Random("0/0/0"))) == [4, 3, 1, 6, 7, 5, 0, 2]


@given(size=st.integers(0, 60), seed=st.integers(0, 9))
def test_shuffled_is_a_permutation(size: int, seed: int) -> None:
    assert sorted(shuffled(size, random.Random(seed))) == list(range(size))


def test_the_sampler_goes_through_every_example_once_in_an_order_of_its_epoch() -> None:
    sampler = EpochSampler(50, seed=3)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {found for found, _ in keys} == {epoch}
        assert sorted(index for _, index in keys) == list(range(50))
        orders.append([index for _, index in keys])
    assert orders[0] != orders[1] != orders[2]


def test_teacher_scores_go_with_their_documents_and_random_negatives_stay_out() -> None:
    source = example(2, 5, scores=True)
    by_id = dict(
        zip([d.doc_id for d in (*source.positives, *source.negatives)], source.scores or (), strict=True)
    )
    group = sample_group(
        source, documents(*range(200, 250)), SamplingConfig(1, 4, "1:1"), seed=0, epoch=0, index=5
    )
    assert group.teacher is not None
    assert [by_id[document.doc_id] for document in group.documents] == list(group.teacher)
    assert len(group.documents) == 5


@pytest.mark.parametrize("ratio", ["", "1", "1:1:1", "-1:2", "a:b", "0:0"])
def test_a_ratio_that_is_none_is_refused_with_its_text(ratio: str) -> None:
    with pytest.raises(ConfigError, match="random_to_hard"):
        hard_share(ratio)


def test_without_planted_false_negatives_a_group_is_what_it_was() -> None:
    examples = training_set(num_hard=3)
    config, planted = SamplingConfig(1, 4), SamplingConfig(1, 4, "1:1", 0.5)
    for index, example in enumerate(examples.examples):
        plain = sample_group(example, examples.pools[example.pool], config, seed=1, epoch=0, index=index)
        other = sample_group(example, examples.pools[example.pool], planted, seed=1, epoch=0, index=index)
        positive = plain.documents[0].doc_id
        for one, two in zip(plain.documents, other.documents, strict=True):
            assert two.doc_id in (one.doc_id, positive)
        assert other.labels == plain.labels


def test_the_share_of_planted_false_negatives_is_the_one_asked_for() -> None:
    examples = training_set(num_hard=3)
    example = examples.examples[0]
    planted = total = 0
    for epoch in range(400):
        group = sample_group(
            example,
            examples.pools[example.pool],
            SamplingConfig(1, 5, "1:1", 0.3),
            seed=0,
            epoch=epoch,
            index=0,
        )
        negatives = [
            document for document, label in zip(group.documents, group.labels, strict=True) if not label
        ]
        planted += sum(document.doc_id == example.positives[0].doc_id for document in negatives)
        total += len(negatives)
    # Within four standard deviations of a binomial share.
    assert abs(planted / total - 0.3) < 4 * (0.3 * 0.7 / total) ** 0.5


def test_a_planted_false_negative_brings_its_own_teacher_score() -> None:
    examples = training_set(num_hard=2, teacher=True)
    example = examples.examples[0]
    group = sample_group(
        example, examples.pools[example.pool], SamplingConfig(1, 2, "1:1", 1.0), seed=0, epoch=0, index=0
    )
    assert {document.doc_id for document in group.documents} == {example.positives[0].doc_id}
    assert group.teacher == (0.0, 0.0, 0.0)
    assert group.labels == (1.0, 0.0, 0.0)


def test_a_share_of_false_negatives_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"false_negatives must be a share from 0 to 1, not 1\.5"):
        SamplingConfig(false_negatives=1.5)
