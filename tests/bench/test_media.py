"""Pictures are checked before anything is scored: each broken one is named, or takes the last place and is counted."""

from pathlib import Path

import numpy as np
import pytest

from gmr.bench.media import BadMedia, check_media, find_undecodable, refuse_bad_media
from gmr.bench.run import Bench, Policy, run_bench
from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.metrics.measures import evaluate
from tests.bench.suites import HashSystem, hash_score, make_task, png

WHOLE = png(0)
BROKEN = {
    "cut short": WHOLE[:-40],
    "no image": b"GIF87b" + bytes(50),
    "empty of pixels": WHOLE[:16] + (0).to_bytes(4, "big") + WHOLE[20:],
}


def with_pictures(bad: dict[int, bytes]) -> dict[int, bytes]:
    return {number: png(number) for number in range(50)} | bad


@pytest.mark.parametrize("kind", BROKEN)
def test_every_kind_of_broken_picture_is_found_by_its_document(kind: str) -> None:
    task = make_task(pictures=with_pictures({3: BROKEN[kind], 7: BROKEN[kind]}))
    assert set(check_media(task).documents) == {"d003", "d007"}
    assert not check_media(task).queries


def test_a_picture_that_goes_missing_is_found_and_one_that_nobody_ranks_is_not_looked_at(
    tmp_path: Path,
) -> None:
    task = make_task(num_queries=2, depth=5, pictures=with_pictures({}))
    used = {doc_id for scores in task.first_stage.values() for doc_id in scores}
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE)
    unused = next(doc_id for doc_id in task.corpus if doc_id not in used)
    corpus = dict(task.corpus)
    for doc_id in (min(used), unused):
        corpus[doc_id] = Document(doc_id, (Image(path),))
    object.__setattr__(task, "corpus", corpus)
    assert not check_media(task)
    path.unlink()
    assert list(check_media(task).documents) == [min(used)]
    assert "no such file" in check_media(task).documents[min(used)]


def test_the_error_lists_all_of_them_up_to_a_page_and_says_what_to_do() -> None:
    refuse_bad_media({"a": BadMedia()})
    bad = BadMedia({"q1": "broken"}, {f"d{number}": "broken" for number in range(30)})
    with pytest.raises(DataError) as refusal:
        refuse_bad_media({"emoji": bad})
    message = str(refusal.value)
    assert message.startswith(
        "31 queries and documents have pictures that cannot be used, and nothing was scored"
    )
    assert "emoji: query 'q1': broken; emoji: document 'd0': broken" in message
    assert "and 11 more" in message
    assert message.endswith("(--bad-media floor)")


def test_by_default_nothing_is_scored_where_a_picture_is_broken(tmp_path: Path) -> None:
    system = HashSystem()
    bench = Bench("s", [make_task("a"), make_task("b", pictures=with_pictures({0: WHOLE[:-40]}))])
    with pytest.raises(DataError, match=r"b: document 'd000': .*image is cut short"):
        run_bench(bench, [lambda: system], tmp_path)
    assert not system.calls


def test_one_percent_of_corrupt_pictures_at_the_floor_gives_the_value_computed_by_hand(
    tmp_path: Path,
) -> None:
    task = make_task(
        num_documents=200,
        num_queries=60,
        pictures={n: png(n) for n in range(200)} | {5: WHOLE[:50], 77: b"x"},
    )
    system = HashSystem()
    record = run_bench(Bench("s", [task], policy=Policy(floors_bad_media=True)), [lambda: system], tmp_path)
    bad = {"d005", "d077"}
    run = {}
    for query_id, candidates in task.first_stage.items():
        scores = {
            doc_id: hash_score(task.queries[query_id], task.corpus[doc_id])
            for doc_id in candidates
            if doc_id not in bad
        }
        low = min(scores.values()) - 1
        run[query_id] = scores | {doc_id: low for doc_id in candidates if doc_id in bad}
    expected = evaluate(run, task.qrels, ["ndcg@10"])["ndcg@10"]
    found = record.results["hash"][0].values()
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), [expected[query_id] for query_id in found], atol=1e-9)
    count = sum(doc_id in bad for candidates in task.first_stage.values() for doc_id in candidates)
    assert count > 0
    assert record.facts["floored"] == {
        "hash": {"b" if task.name == "b" else task.name: {"bad_media": count, "non_finite": 0}}
    }
    assert not {doc_id for call in system.calls for _, doc_id in call} & bad
    assert record.tasks[task.name]["num_bad_media"] == {"queries": 0, "documents": 2}


def test_a_query_whose_picture_is_broken_has_all_its_candidates_at_the_floor(tmp_path: Path) -> None:
    task = make_task(num_queries=3)
    queries = dict(task.queries) | {"q001": Query("q001", (Image(WHOLE[:-30]), Text("a")))}
    object.__setattr__(task, "queries", queries)
    record = run_bench(Bench("s", [task], policy=Policy(floors_bad_media=True)), [HashSystem], tmp_path)
    assert set(record.results["hash"][0].run["q001"].values()) == {0.0}
    assert record.facts["floored"]["hash"]["words"] == {"bad_media": 20, "non_finite": 0}


def test_a_picture_whose_fault_shows_only_when_it_is_decoded_is_found_then(tmp_path: Path) -> None:
    owners = [Document("a", (Text("t"),)), Document("b", (Image(WHOLE),)), Query("c", (Image(WHOLE[:60]),))]
    assert find_undecodable(owners) == BadMedia({"c": find_undecodable(owners).queries["c"]}, {})

    task = make_task(num_queries=30)
    doc_id = next(iter(task.first_stage["q000"]))

    def refuse(pairs: object) -> None:
        if any(document.doc_id == doc_id for _, document in pairs):  # type: ignore[attr-defined]
            raise DataError(f"document {doc_id!r}: image cannot be decoded")

    corpus = dict(task.corpus) | {doc_id: Document(doc_id, (Image(WHOLE[:60]),))}
    object.__setattr__(task, "corpus", corpus)
    system = HashSystem(before=refuse)
    # The check before is told that all is well: the fault shows while scoring.
    bench = Bench("s", [task], policy=Policy(floors_bad_media=True))
    record = run_bench(bench, [lambda: system], tmp_path / "a", bad={})
    count = sum(doc_id in candidates for candidates in task.first_stage.values())
    assert record.facts["floored"]["hash"]["words"]["bad_media"] == count
    with pytest.raises(DataError, match=f"words: document {doc_id!r}: .*nothing was scored|words: document"):
        run_bench(Bench("s", [task]), [lambda: HashSystem(before=refuse)], tmp_path / "b", bad={})
