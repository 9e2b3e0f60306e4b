"""A run can end anywhere and go on: every pair is scored once, in the same company, to the same files."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gmr.bench.blocks import Shard
from gmr.bench.recheck import recheck
from gmr.bench.results import read_results
from gmr.bench.run import Bench, Policy, run_bench, run_shard
from gmr.bench.runner import score_tasks
from gmr.bench.store import ScoreStore
from gmr.bench.system import StoredSystem
from gmr.core.errors import DataError, ModelError
from gmr.core.nouns import Document
from tests.bench.suites import FACTS, HashSystem, hash_score, make_task

TASKS = [make_task("a", num_queries=70), make_task("bb", num_queries=60), make_task("ccc", num_queries=30)]


class Killed(BaseException):
    """Stands for whatever ends a process; nothing catches it."""


def files_of(folder: Path) -> dict[str, bytes]:
    """What a run leaves beside its store and its costs."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix not in (".sqlite", ".sqlite-wal", ".sqlite-shm")
        and path.name != "cost.json"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[list[tuple[str, str]]]]:
    """Files and calls of a run from end to end."""
    folder = tmp_path_factory.mktemp("whole")
    system = HashSystem()
    run_bench(Bench("s", TASKS), [lambda: system], folder)
    return files_of(folder), system.calls


def test_every_pair_is_scored_and_the_run_is_what_the_scores_say(tmp_path: Path) -> None:
    record = run_bench(Bench("s", TASKS), [HashSystem], tmp_path)
    for task, result in zip(TASKS, record.results["hash"], strict=True):
        assert result.run == {
            query_id: {
                doc_id: hash_score(task.queries[query_id], task.corpus[doc_id]) for doc_id in candidates
            }
            for query_id, candidates in task.first_stage.items()
        }


@pytest.mark.parametrize("call", range(7))
def test_a_run_that_ends_in_any_call_and_goes_on_makes_the_same_calls_and_files(
    tmp_path: Path, whole, call: int
) -> None:
    files, calls = whole
    assert len(calls) > 6

    def die(_: object) -> None:
        if len(system.calls) == call:
            raise Killed

    system = HashSystem(before=die)
    with pytest.raises(Killed):
        run_bench(Bench("s", TASKS), [lambda: system], tmp_path)
    after = HashSystem()
    run_bench(Bench("s", TASKS, policy=Policy(recheck_share=0)), [lambda: after], tmp_path)
    assert system.calls + after.calls == calls, "no call is lost, doubled or of other pairs"
    found = files_of(tmp_path)
    assert found.keys() == files.keys()
    # The policy is written down, and differs here by the share that is checked.
    assert [name for name in files if found[name] != files[name]] == ["results.json"]


def test_a_second_run_scores_nothing_but_its_share_to_check_and_gives_the_same_bytes(
    tmp_path: Path, whole
) -> None:
    files, calls = whole
    run_bench(Bench("s", TASKS), [HashSystem], tmp_path)
    again = HashSystem()
    run_bench(Bench("s", TASKS), [lambda: again], tmp_path)
    num_pairs = sum(map(len, calls))
    assert num_pairs / 100 <= again.num_scored <= num_pairs / 100 + 20
    assert files_of(tmp_path) == files


@pytest.mark.parametrize("count", [2, 3, 20])
def test_shards_in_any_order_into_one_store_or_several_give_the_files_of_one_process(
    tmp_path: Path, whole, count: int
) -> None:
    files, calls = whole
    bench = Bench("s", TASKS)
    parts = [HashSystem() for _ in range(count)]
    for index in reversed(range(count)):
        run_shard(
            bench,
            [lambda index=index: parts[index]],
            tmp_path / f"{index % 2}.sqlite",
            Shard(index + 1, count),
        )
    with ScoreStore(tmp_path / "all.sqlite") as store:
        for index in range(2):
            with ScoreStore(tmp_path / f"{index}.sqlite") as other:
                store.merge(other)
    assert sorted(call for part in parts for call in part.calls) == sorted(calls)
    stored = StoredSystem("hash", FACTS)
    run_bench(bench, [lambda: stored], tmp_path / "out", store_path=tmp_path / "all.sqlite")
    assert files_of(tmp_path / "out") == files


def test_an_incomplete_run_is_no_result(tmp_path: Path) -> None:
    run_shard(Bench("s", TASKS), [HashSystem], tmp_path / "a.sqlite", Shard(1, 2))
    with pytest.raises(ModelError, match=r"hash is not loaded here, and \d+ pairs of it are not stored"):
        run_bench(
            Bench("s", TASKS),
            [lambda: StoredSystem("hash", FACTS)],
            tmp_path / "out",
            store_path=tmp_path / "a.sqlite",
        )
    assert not (tmp_path / "out" / "results.json").exists()


def test_equal_documents_of_a_task_are_scored_once(tmp_path: Path) -> None:
    task = make_task(num_queries=40)
    corpus = {doc_id: Document(doc_id, task.corpus["d000"].item) for doc_id in task.corpus}
    object.__setattr__(task, "corpus", corpus)
    system = HashSystem()
    record = run_bench(Bench("s", [task]), [lambda: system], tmp_path)
    assert system.num_scored == 40
    assert all(
        len(scores) == 20 and len(set(scores.values())) == 1
        for scores in record.results["hash"][0].run.values()
    )


def test_more_depth_scores_only_what_is_new(tmp_path: Path) -> None:
    task = make_task(num_queries=20)
    shallow = make_task(num_queries=20)
    first_stage = {query_id: dict(list(scores.items())[:5]) for query_id, scores in task.first_stage.items()}
    object.__setattr__(shallow, "first_stage", first_stage)
    run_bench(Bench("s", [shallow]), [HashSystem], tmp_path)
    system = HashSystem()
    run_bench(Bench("s", [task], policy=Policy(recheck_share=0)), [lambda: system], tmp_path)
    assert system.num_scored == 20 * 15


def test_a_changed_part_of_the_key_scores_everything_again(tmp_path: Path) -> None:
    run_bench(Bench("s", TASKS[:1]), [HashSystem], tmp_path)
    for part in FACTS:
        system = HashSystem(facts=FACTS | {part: "other"})
        run_bench(Bench("s", TASKS[:1]), [lambda system=system: system], tmp_path)
        assert system.num_scored == 70 * 20


def test_a_store_that_lies_is_found_out(tmp_path: Path) -> None:
    store_path = tmp_path / "a.sqlite"
    # Scores under the key of this system that another one made: as if a part of the key were forgotten.
    with ScoreStore(store_path) as store:
        score_tasks(HashSystem(change=lambda score: score + 0.01), TASKS, store)
    with pytest.raises(
        DataError, match=r"the store says .* and hash says .*; these scores are of something else"
    ):
        run_bench(Bench("s", TASKS), [HashSystem], tmp_path / "out", store_path=store_path)


def test_460_wrong_rows_that_are_anywhere_are_found(tmp_path: Path) -> None:
    # 1 % of single rows would miss 460 wrong ones with probability 0.99 ** 460 < 0.01; whole queries are as good.
    for seed in range(20):
        generator = np.random.default_rng(seed)
        wrong = set(generator.choice(160 * 20, size=460, replace=False).tolist())
        counter = iter(range(160 * 20))
        facts = FACTS | {"weights": f"{seed}"}
        liar = HashSystem(facts=facts, change=lambda s, c=counter, w=wrong: s + 0.01 * (next(c) in w))
        with ScoreStore(tmp_path / f"{seed}.sqlite") as store:
            score_tasks(liar, TASKS, store)
            with pytest.raises(DataError, match="these scores are of something else"):
                recheck(HashSystem(facts=facts), TASKS, store)


def test_the_share_that_is_checked_is_spread_over_tasks_and_is_the_same_each_time(tmp_path: Path) -> None:
    with ScoreStore(tmp_path / "a.sqlite") as store:
        score_tasks(HashSystem(), TASKS, store)
        first, second = HashSystem(), HashSystem()
        found = recheck(first, TASKS, store, share=0.2)
        assert recheck(second, TASKS, store, share=0.2) == found
        assert first.calls == second.calls
        assert found.num_stored == 160 * 20
        assert found.num_checked == 32 * 20
        assert found.largest_difference == 0.0
        assert {len(call) for call in first.calls} == {20}
        other = HashSystem(facts={"weights": "w2", "dtype": "float32"})
        assert recheck(other, TASKS, store).num_checked == 0


def test_scores_that_are_not_finite_are_refused_or_take_the_last_place(tmp_path: Path) -> None:
    task = make_task(num_queries=10)

    def nan_above_seven(score: float) -> float:
        return float("nan") if score > 6 else score

    with pytest.raises(DataError, match=r"hash on words: \d+ scores are not finite .*--dtype float32"):
        run_bench(Bench("s", [task]), [lambda: HashSystem(change=nan_above_seven)], tmp_path)
    system = HashSystem(change=nan_above_seven)
    record = run_bench(
        Bench("s", [task], policy=Policy(floors_non_finite=True, recheck_share=0)), [lambda: system], tmp_path
    )
    assert not system.calls, "that a score is not finite is stored as well"
    run = record.results["hash"][0].run
    count = 0
    for query_id, scores in run.items():
        plain = {doc_id: hash_score(task.queries[query_id], task.corpus[doc_id]) for doc_id in scores}
        bad = {doc_id for doc_id, score in plain.items() if score > 6}
        count += len(bad)
        low = min(score for doc_id, score in plain.items() if doc_id not in bad) - 1
        assert scores == {doc_id: low if doc_id in bad else score for doc_id, score in plain.items()}
    assert record.facts["floored"]["hash"]["words"] == {"bad_media": 0, "non_finite": count}


def test_a_system_that_gives_another_number_of_scores_is_refused(tmp_path: Path) -> None:
    system = HashSystem()
    system.score = lambda pairs: (HashSystem().score(pairs)[0][:-1], None)  # type: ignore[method-assign,assignment]
    with pytest.raises(ModelError, match=r"hash on a: 520 pairs were scored with \(519,\) numbers"):
        run_bench(Bench("s", TASKS), [lambda: system], tmp_path)


def test_systems_and_tasks_of_one_name_and_tasks_without_candidates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the task 'a' is there twice"):
        Bench("s", [TASKS[0], TASKS[0]])
    with pytest.raises(DataError, match="no task is left"):
        Bench("s", [])
    with pytest.raises(DataError, match="two systems are called 'hash'"):
        run_bench(Bench("s", TASKS[:1]), [HashSystem, HashSystem], tmp_path)
    empty = make_task("e", num_queries=1)
    object.__setattr__(empty, "first_stage", {"q000": {}})
    with pytest.raises(
        DataError, match=r"1 tasks have no candidates to rerank \(first: 'e'\); gmr first-stage"
    ):
        Bench("s", [empty])


def test_damaged_rows_are_scored_again_and_the_files_are_the_same(tmp_path: Path, whole) -> None:
    files, _ = whole
    run_bench(Bench("s", TASKS), [HashSystem], tmp_path)
    with sqlite3.connect(tmp_path / "scores.sqlite") as database:
        keys = [key for (key,) in database.execute("SELECT key FROM scores ORDER BY key LIMIT 7")]
        database.executemany("UPDATE scores SET score = 99.0 WHERE key = ?", [(key,) for key in keys])
    database.close()
    run_bench(Bench("s", TASKS), [HashSystem], tmp_path)
    assert files_of(tmp_path) == files


def test_costs_are_of_what_was_scored(tmp_path: Path) -> None:
    record = run_bench(Bench("s", TASKS), [HashSystem], tmp_path)
    assert {task: cost.num_pairs for task, cost in record.costs["hash"].items()} == {
        "a": 1400,
        "bb": 1200,
        "ccc": 600,
    }
    assert read_results(tmp_path).costs == record.costs
