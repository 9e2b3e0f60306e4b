"""Development tasks are bounded evenly, and the processes' shares make the whole."""

import pytest

from gmr.modeling.loading import load_model
from gmr.train.dev import bounded, evaluate_dev
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import COLOURS, dev_task


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [0]), (2, [0, 4]), (3, [0, 2, 5]), (8, range(8)), (99, range(8))]
)
def test_a_bounded_task_has_queries_from_all_over_it(limit: int, expected: list[int]) -> None:
    names = list(COLOURS)
    task = bounded(dev_task(), max_queries=limit)
    wanted = [f"q-text-{names[number]}" for number in expected]
    assert list(task.qrels) == list(task.queries) == list(task.first_stage) == wanted
    assert task.corpus == dev_task().corpus


def test_queries_without_a_relevant_document_are_not_scored() -> None:
    import dataclasses

    whole = dev_task()
    task = dataclasses.replace(whole, qrels={**whole.qrels, "q-text-red": {"text-red": 0}})
    assert "q-text-red" not in bounded(task, max_queries=99).queries


@pytest.mark.parametrize("num_processes", [2, 3, 10])
def test_the_shares_of_all_processes_are_the_result_of_one(num_processes: int) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), max_tokens=512, device="cpu", self_check=False)
    options = {"measure": "ndcg@10", "max_queries": 5}
    (whole,) = evaluate_dev(model, [dev_task()], **options)
    shares: list[object] = []
    for rank in range(num_processes):
        # What each process hands in; a result of a share alone may lack queries, so it is not looked at.
        evaluate_dev(
            model,
            [dev_task()],
            process=(rank, num_processes),
            gather=lambda share: shares.extend(share) or [whole.run],
            **options,
        )
    (joined,) = evaluate_dev(model, [dev_task()], gather=lambda share: shares, **options)
    assert joined.per_query["ndcg@10"] == pytest.approx(whole.per_query["ndcg@10"])
    assert {query_id: row.keys() for query_id, row in joined.run.items()} == {
        query_id: row.keys() for query_id, row in whole.run.items()
    }
    assert sum(len(share) for share in shares) == 5, "each query is scored by one process"  # type: ignore[arg-type]
