"""Which groups a probe looks at, and where their candidates come from."""

from dataclasses import replace

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.objectives import build_objective
from gmr.probe.gradients.batch import HARD, POSITIVE, RANDOM, check_teacher, draw_groups, training_set_of
from gmr.train.sampling import EpochSampler, GroupDataset, SamplingConfig
from tests.probe.gradients.groups import coloured_groups
from tests.train.data import dev_task, training_set

SAMPLING = SamplingConfig(1, 4, "1:1")


def test_the_batch_is_what_training_with_this_seed_sees_first() -> None:
    data = training_set()
    drawn = draw_groups(data, SAMPLING, num_queries=5, seed=7)
    dataset = GroupDataset(data, SAMPLING, seed=7)
    keys = list(EpochSampler(len(dataset), seed=7))[:5]
    assert [each.group for each in drawn] == [dataset[key] for key in keys]


def test_every_candidate_is_of_the_kind_that_its_example_says() -> None:
    examples = {each.example_id: each for each in training_set().examples}
    seen = set()
    for drawn in coloured_groups(num_queries=8):
        example = examples[drawn.group.example_id]
        for document, kind in zip(drawn.group.documents, drawn.kinds, strict=True):
            assert (document in example.positives) is (kind == POSITIVE)
            assert (document in example.negatives) is (kind == HARD)
            seen.add(kind)
    assert seen == {POSITIVE, HARD, RANDOM}


def test_of_few_examples_all_are_taken() -> None:
    assert len(coloured_groups(num_queries=100)) == 8


def test_candidates_of_a_task_that_are_not_relevant_are_hard_negatives() -> None:
    task = dev_task()
    found = training_set_of([task])
    assert len(found.examples) == len(task.queries)
    example = found.examples[0]
    query_id = example.query.query_id
    judged = {doc_id for doc_id, grade in task.qrels[query_id].items() if grade > 0}
    assert {each.doc_id for each in example.positives} == judged
    assert {each.doc_id for each in example.negatives} == set(task.first_stage[query_id]) - judged


def test_tasks_of_a_suite_take_turns() -> None:
    tasks = suites.load("glyphs", split="dev", limit=2)
    found = training_set_of(tasks)
    names = [example.example_id.partition("/")[0] for example in found.examples]
    assert names == [task.name for task in tasks] * 2


def test_tasks_without_a_relevant_document_are_refused() -> None:
    task = dev_task()
    nothing = replace(task, qrels={query_id: dict.fromkeys(row, 0) for query_id, row in task.qrels.items()})
    with pytest.raises(DataError, match="colours-text: no query has a relevant document"):
        training_set_of([nothing])


def test_an_objective_with_a_teacher_needs_its_scores() -> None:
    teaching = [build_objective("sft"), build_objective("margin_mse")]
    check_teacher(teaching, coloured_groups(teacher=True))
    with pytest.raises(
        DataError, match=r"'text-.*' has no scores, but the objective margin_mse/yes_minus_no"
    ):
        check_teacher(teaching, coloured_groups())
