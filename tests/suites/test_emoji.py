"""Facts about the suite ``emoji``: on a made-up folder everywhere, on the real one where it is."""

import json
import logging
from collections import Counter

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.items import Image, images_of, text_of
from gmr.core.nouns import TASK_TYPES, check_pictures
from gmr.suites.emoji.data import LANGUAGES, VENDORS, read_emoji
from gmr.suites.emoji.tasks import PLANS, SPLITS, plans, retriever, task_types
from gmr.suites.frozen import FrozenRuns
from gmr.suites.tasks import search_digest
from tests.conftest import shared_data
from tests.suites import tiny
from tests.suites.checks import check_items, count_missed, digest_of_judgments, read_frozen

JUDGMENTS = "a3d4c0e867bfcbf4c37cbe85c3b1214436f706e4bc645da00e6d9ab055851df0"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return tiny.write_emoji(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def made_up_tasks(made_up):
    pytest.importorskip("bm25s")
    return {task.name: task for task in suites.load("emoji", data_root=made_up)}


@pytest.fixture(scope="module")
def real():
    return read_emoji(shared_data("emoji").parent)


@pytest.fixture(scope="module")
def real_plans(real):
    return {plan.name: plan for split in SPLITS for plan in plans(real, split, list(task_types(split)))}


# A made-up folder


def test_all_nine_types_are_made_and_their_items_are_of_that_type(made_up_tasks):
    assert {task.task_type for task in made_up_tasks.values()} == set(TASK_TYPES)
    check_items(made_up_tasks.values())


def test_data_that_no_first_stage_was_frozen_for_is_warned_of(made_up, caplog):
    pytest.importorskip("bm25s")
    with caplog.at_level(logging.WARNING, logger="gmr.suites.frozen"):
        (task,) = suites.load("emoji", data_root=made_up, names=["emoji-t2t"])
    assert "emoji-t2t: the frozen first stage was made for other data" in caplog.text
    assert set(task.first_stage) == set(task.queries)


def test_two_loads_are_equal(made_up, made_up_tasks):
    (again,) = suites.load("emoji", data_root=made_up, names=["emoji-it2i"])
    assert again == made_up_tasks["emoji-it2i"]


def test_pictures_that_look_alike_are_all_relevant(made_up_tasks):
    # pink and purple balls are one picture in OpenMoji
    both = {"openmoji:pink-ball": 1, "openmoji:purple-ball": 1}
    assert made_up_tasks["emoji-t2i"].qrels["t2i:pink-ball"] == both
    assert made_up_tasks["emoji-i2i-two"].qrels["i2i-two:purple-ball"] == both
    assert made_up_tasks["emoji-t2it"].qrels["t2it:pink-ball"] == {
        "entry:pink-ball": 1,
        "entry:purple-ball": 1,
    }
    # shown by OpenMoji, either may be meant
    assert made_up_tasks["emoji-i2i-openmoji"].qrels["i2i-openmoji:pink-ball"] == {
        f"{vendor}:{name}-ball": 1 for vendor in ("noto", "twemoji") for name in ("pink", "purple")
    }
    # shown by Noto, only one is
    assert made_up_tasks["emoji-i2t"].qrels["i2t:pink-ball"] == {"en:pink-ball": 1}
    # and where the name stands beside the picture, it tells them apart
    assert list(made_up_tasks["emoji-t2it-multilingual"].qrels["t2it-multilingual:pink-ball"]) == [
        "named:pink-ball"
    ]


def test_a_page_answers_when_it_shows_the_picture_and_a_captioned_one_when_it_has_the_name(
    real_or_made_up_pages,
):
    for shows, plan, concept in real_or_made_up_pages:
        relevant = set(plan.relevant[f"{plan.name.removeprefix('emoji-')}:{concept}"])
        assert (
            relevant == {doc_id for doc_id, cells in shows.items() if cells & {concept}}
            or plan.name == "emoji-t2vd"
        )


@pytest.fixture
def real_or_made_up_pages(made_up):
    emoji = read_emoji(made_up)
    found = []
    for plan in plans(emoji, "test", ["emoji-t2vd", "emoji-t2vd-captions"]):
        shows = {
            doc_id: {cell.name for cell in page.cells} for doc_id, (page,) in plan.search.documents.items()
        }
        for query_id in plan.search.queries:
            found.append((shows, plan, query_id.partition(":")[2]))
    return found


def test_a_plain_page_answers_for_a_look_alike_as_well(made_up):
    (plan,) = plans(read_emoji(made_up), "test", ["emoji-t2vd"])
    shows = {doc_id: {cell.name for cell in page.cells} for doc_id, (page,) in plan.search.documents.items()}
    expected = {doc_id for doc_id, cells in shows.items() if cells & {"pink-ball", "purple-ball"}}
    assert set(plan.relevant["t2vd:pink-ball"]) == expected


def test_composed_queries_are_pictures_and_words_in_order(made_up_tasks):
    query = made_up_tasks["emoji-it2i-compose"].queries["it2i-compose:pink-ball+pink-box>pink-bar"]
    assert [type(part).__name__ for part in query.item] == ["Image", "Text", "Image"]
    assert text_of(query.item) == "plus"
    change = made_up_tasks["emoji-it2t"].queries["it2t:pink-box>pink-ball"]
    assert [type(part).__name__ for part in change.item] == ["Image", "Text"]
    assert text_of(change.item) == "rounded"
    assert made_up_tasks["emoji-it2t"].qrels[change.query_id] == {"en:pink-ball": 1}


def test_two_pictures_in_order_differ_from_the_same_two_the_other_way_round(made_up_tasks):
    task = made_up_tasks["emoji-t2it-change"]
    there, back = (task.corpus[f"change:pink-{a}>pink-{b}"] for a, b in (("box", "ball"), ("ball", "box")))
    assert images_of(there.item) == images_of(back.item)[::-1]
    assert task.qrels["t2it-change:pink-box>pink-ball"] == {there.doc_id: 1}


def test_a_change_that_cannot_be_seen_is_not_asked_for(made_up, tmp_path):
    root = tiny.write_emoji(tmp_path)
    path = root / "emoji" / "lookalikes.jsonl"
    row = {"a": "teal-ball", "b": "teal-box", "mean_abs_diff": {"noto": 0.1}, "same_family": True}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    for plan in plans(read_emoji(root), "test", ["emoji-it2i", "emoji-t2it-change", "emoji-i2i-compose"]):
        assert not any("teal" in query_id for query_id in plan.search.queries), plan.name
        assert any("pink" in query_id for query_id in plan.search.queries), plan.name


@pytest.mark.parametrize(
    ("file", "find", "put", "message"),
    [
        ("concepts.jsonl", '"split": "dev"', '"split": "deb"', r"concepts\.jsonl:10: unknown split 'deb'"),
        (
            "concepts.jsonl",
            '"id": "red-box"',
            '"id": "red-ball"',
            r"concepts\.jsonl:2: concept 'red-ball' is given twice",
        ),
        (
            "concepts.jsonl",
            '"sw": "redsw ballsw", ',
            "",
            r"concepts\.jsonl:1: concept 'red-ball' has no name in sw",
        ),
        (
            "concepts.jsonl",
            '"name": "red ball"',
            '"name": 7',
            r"concepts\.jsonl:1: name must be a non-empty string, this is 7",
        ),
        (
            "concepts.jsonl",
            '"keywords": ["red", "ball"]',
            '"keywords": "red"',
            r"concepts\.jsonl:1: keywords must be a list",
        ),
        (
            "concepts.jsonl",
            '"family": "red", "split": "train"',
            '"family": "red", "split": "test"',
            r"family 'red' lies in",
        ),
        ("concepts.jsonl", '{"id": "red-box"', '{"id" "red-box"', r"concepts\.jsonl:2: not valid JSON"),
        (
            "relations.jsonl",
            '"type": "compose"',
            '"type": "join"',
            r"relations\.jsonl:3: unknown relation 'join'",
        ),
        (
            "relations.jsonl",
            '"target": "red-ball"',
            '"target": "red-bull"',
            r"relations\.jsonl:1: 'red-bull' is no concept",
        ),
        (
            "relations.jsonl",
            '"word": null',
            '"word": "rounded"',
            r"relations\.jsonl:3: a relation 'compose' with the word",
        ),
        ("lookalikes.jsonl", '"openmoji"', '"sony"', r"lookalikes\.jsonl:1: mean_abs_diff must be by vendor"),
        ("lookalikes.jsonl", "pink-ball", "pank-ball", r"lookalikes\.jsonl:1: 'pank-ball' is no concept"),
    ],
)
def test_damaged_data_is_named_by_file_and_line(tmp_path, file, find, put, message):
    root = tiny.write_emoji(tmp_path)
    path = root / "emoji" / file
    text = path.read_text(encoding="utf-8")
    assert find in text
    path.write_text(text.replace(find, put, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        suites.load("emoji", data_root=root)


def test_a_missing_archive_is_named(tmp_path):
    root = tiny.write_emoji(tmp_path)
    (root / "emoji" / "images-noto.zip").unlink()
    with pytest.raises(DataError, match=r"images-noto\.zip: no such file"):
        suites.load("emoji", data_root=root, names=["emoji-i2t"])


# The real folder


def test_the_counts_are_those_of_the_readme(real):
    assert Counter(c.split for c in real.concepts.values()) == {"train": 2940, "dev": 277, "test": 447}
    assert len({c.family for c in real.concepts.values()}) == 1339 + 133 + 197
    assert all(set(c.names) == set(LANGUAGES) for c in real.concepts.values())
    kinds = Counter((r.split, r.kind) for r in real.relations)
    assert kinds["test", "skin"] == 135
    assert kinds["test", "gender"] == 172
    assert kinds["test", "compose"] == 122
    pairs = {frozenset((a, b)) for alike in real.alike.values() for a in alike for b in alike[a]}
    assert len(pairs) == 547
    assert sum(len({real.concepts[name].family for name in pair}) == 2 for pair in pairs) == 36


def test_splits_are_disjoint_by_family(real, real_plans):
    families = {
        split: {c.family for c in real.concepts.values() if c.split == split}
        for split in ("train", "dev", "test")
    }
    assert not families["train"] & families["test"]
    assert not families["train"] & families["dev"]
    assert not families["dev"] & families["test"]
    for plan in real_plans.values():
        split = "dev" if plan.name.endswith("-dev") else "test"
        for doc_id in plan.search.documents:
            if not doc_id.startswith(("page:", "change:")):
                assert real.concepts[doc_id.partition(":")[2]].split == split, (plan.name, doc_id)


def test_every_task_has_its_frozen_first_stage_and_was_made_for_this_data(real, real_plans):
    frozen = FrozenRuns("emoji")
    assert set(frozen.table) == set(real_plans)
    assert len(real_plans) > 2 * len(PLANS) - 3
    for name, plan in real_plans.items():
        row = frozen.table[name]
        assert row.made_for == search_digest(plan.search, real.albums), name
        assert row.queries == len(plan.search.queries)
        assert row.candidates == sum(
            min(plan.search.depth, len(plan.search.documents)) for _ in plan.search.queries
        )


def test_the_judgments_are_frozen(real_plans):
    assert digest_of_judgments(real_plans) == JUDGMENTS


def test_positives_are_not_added_to_the_candidates(real_plans):
    assert count_missed("emoji", real_plans) > 2000


def test_look_alikes_of_the_real_data_are_relevant(real, real_plans):
    plan = real_plans["emoji-t2i"]
    for query_id, relevant in plan.relevant.items():
        asked = query_id.partition(":")[2]
        inside = {
            name for name in real.alike["openmoji"].get(asked, ()) if real.concepts[name].split == "test"
        }
        assert set(relevant) == {f"openmoji:{name}" for name in inside | {asked}}


def test_the_same_concepts_are_asked_for_in_every_language(real_plans):
    asked = [
        [query_id.partition(":")[2] for query_id in plan.search.queries]
        for name, plan in real_plans.items()
        if plan.task_type in ("t2i", "i2t") and not name.endswith(("-dev", "-multilingual"))
    ]
    assert len(asked) == 2 * len(LANGUAGES)
    for names in asked:
        assert names[:100] == asked[0][:100]


def test_a_real_task_loads_whole_and_opens():
    root = shared_data("emoji").parent
    for task in suites.load("emoji", data_root=root, names=["emoji-it2it", "emoji-t2vd-captions"], limit=5):
        check_pictures(*task.queries.values(), *task.corpus.values())
        assert len(task.queries) == 5


def test_every_picture_of_the_real_archives_that_a_task_shows_is_whole(real):
    test = [c.concept_id for c in real.concepts.values() if c.split != "train"]
    from gmr.suites.pieces import Picture

    for vendor in VENDORS:
        for concept_id in test:
            assert real.albums.image(Picture(vendor, concept_id)).open().size == (72, 72)


def test_candidates_found_anew_are_the_frozen_ones(real, real_plans):
    pytest.importorskip("bm25s")
    stage = retriever(real)
    for name in ("emoji-t2t", "emoji-t2t-zh-en"):
        plan = real_plans[name]
        assert stage.run(plan.search) == read_frozen("emoji", plan)


@pytest.mark.slow
def test_candidates_found_anew_by_looks_are_the_frozen_ones(real, real_plans):
    pytest.importorskip("bm25s")
    stage = retriever(real)
    for name in ("emoji-i2i-noto", "emoji-t2i-de", "emoji-it2i"):
        plan = real_plans[name]
        assert stage.run(plan.search) == read_frozen("emoji", plan)


def test_pictures_are_bytes_of_the_archives(made_up_tasks):
    (image,) = images_of(next(iter(made_up_tasks["emoji-i2t"].queries.values())).item)
    assert isinstance(image, Image)
    assert isinstance(image.source, bytes)
