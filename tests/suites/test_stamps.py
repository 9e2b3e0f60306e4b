"""Facts about the suite ``stamps``: on a made-up folder everywhere, on the real one where it is."""

import gzip
from collections import Counter

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.items import text_of
from gmr.suites.frozen import FrozenRuns
from gmr.suites.stamps.data import read_stamps
from gmr.suites.stamps.plans import LANGUAGE_NAMES
from gmr.suites.stamps.tasks import ALL_LANGUAGES, SPLITS, plans, retriever, task_types
from gmr.suites.tasks import search_digest
from tests.conftest import shared_data
from tests.suites import tiny
from tests.suites.checks import check_items, count_missed, digest_of_judgments, read_frozen

JUDGMENTS = "aa6238f9fdd27879e911e874a57e4e84a39c826681610817be58251cc91d8797"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return tiny.write_stamps(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def made_up_tasks(made_up):
    pytest.importorskip("bm25s")
    return {task.name: task for task in suites.load("stamps", data_root=made_up)}


@pytest.fixture(scope="module")
def real():
    return read_stamps(shared_data("stamps").parent)


@pytest.fixture(scope="module")
def real_plans(real):
    return {plan.name: plan for split in SPLITS for plan in plans(real, split, list(task_types(split)))}


# A made-up folder


def test_items_are_of_the_type_of_their_task_and_open(made_up_tasks):
    check_items(made_up_tasks.values())


def test_languages_without_captions_have_no_task(made_up_tasks):
    assert {"stamps-t2i", "stamps-t2i-de", "stamps-t2i-ru", "stamps-t2i-ja"} <= set(made_up_tasks)
    assert "stamps-t2i-hi" not in made_up_tasks


def test_equal_captions_are_all_relevant_on_both_sides(made_up_tasks):
    # the pink box is captioned "A pink ball." as the pink ball is
    both = {"image:ball/pink": 1, "image:box/pink": 1}
    asked = [name for name, judged in made_up_tasks["stamps-t2i"].qrels.items() if judged == both]
    assert len(asked) == 1  # one text is asked once
    captions = [text_of(document.item) for document in made_up_tasks["stamps-i2t"].corpus.values()]
    assert len(captions) == len(set(captions))
    judged = [made_up_tasks["stamps-i2t"].qrels[f"i2t:{shape}/pink"] for shape in ("ball", "box")]
    assert judged[0] == judged[1]


def test_a_picture_that_is_asked_about_is_no_document(made_up_tasks):
    task = made_up_tasks["stamps-i2i"]
    ((query_id, judged),) = task.qrels.items()
    shown = query_id.removeprefix("i2i:")
    assert f"image:{shown}" not in task.corpus
    assert set(judged) | {f"image:{shown}"} == {"image:ball/pink", "image:box/pink"}


def test_the_language_that_is_asked_for_is_the_one_that_answers(made_up_tasks):
    task = made_up_tasks["stamps-it2t-language"]
    for query_id, query in task.queries.items():
        language = task.metadata[query_id]["document_language"]
        assert text_of(query.item) == f"in {LANGUAGE_NAMES[language]}"
        assert all(doc_id.startswith(f"{language}:") for doc_id in task.qrels[query_id])


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ('"split": "dev"', '"split": "deb"', r"captions\.jsonl\.gz:10: unknown split 'deb'"),
        ('"id": "box/red"', '"id": "ball/red"', r"captions\.jsonl\.gz:2: stamp 'ball/red' is given twice"),
        (
            '"image": "ball/red.webp"',
            '"image": "../red.webp"',
            r"captions\.jsonl\.gz:1: image '\.\./red\.webp'",
        ),
        (
            '"en": "A red ball."',
            '"xx": "A red ball."',
            r"captions\.jsonl\.gz:1: stamp 'ball/red' has no English",
        ),
        (
            '"en": "A red box."',
            '"en": "A pink ball."',
            r"captions\.jsonl\.gz:\d+: caption 'A pink ball\.' is in",
        ),
        (
            '"captions": {"en": "A red ball."',
            '"captions": {"en": 1',
            r"captions\.jsonl\.gz:1: captions must map",
        ),
    ],
)
def test_damaged_data_is_named_by_file_and_line(tmp_path, find, put, message):
    root = tiny.write_stamps(tmp_path)
    path = root / "stamps" / "captions.jsonl.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert find in text
    path.write_bytes(gzip.compress(text.replace(find, put, 1).encode()))
    with pytest.raises(DataError, match=message):
        suites.load("stamps", data_root=root)


def test_a_cut_file_is_named(tmp_path):
    root = tiny.write_stamps(tmp_path)
    path = root / "stamps" / "captions.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"captions\.jsonl\.gz:\d+: the gzip data is damaged or cut short"):
        suites.load("stamps", data_root=root)


# The real folder


def test_the_counts_are_those_of_the_readme(real):
    assert Counter(s.split for s in real.stamps.values()) == {"train": 693, "dev": 72, "test": 185}
    assert len({s.captions["en"] for s in real.stamps.values()}) == 804
    assert len({s.category for s in real.stamps.values()}) == 16
    assert max(len(real.same(name)) for name in real.stamps) == 6


def test_all_languages_are_those_with_captions_for_900_stamps(real):
    counts = Counter(language for stamp in real.stamps.values() for language in stamp.captions)
    known = {language for language, count in counts.items() if count >= 900}
    assert list(ALL_LANGUAGES) == sorted(known - {"en", "en_AU", "en_GB"})
    assert len(ALL_LANGUAGES) == 55


def test_splits_are_disjoint_by_english_caption(real):
    split_of = {}
    for stamp in real.stamps.values():
        assert split_of.setdefault(stamp.captions["en"], stamp.split) == stamp.split


def test_every_task_has_its_frozen_first_stage_and_was_made_for_this_data(real, real_plans):
    frozen = FrozenRuns("stamps")
    assert set(frozen.table) == set(real_plans)
    for name, plan in real_plans.items():
        assert frozen.table[name].made_for == search_digest(plan.search, real.albums), name
        assert all(plan.relevant.values()), name


def test_positives_are_not_added_to_the_candidates(real_plans):
    assert count_missed("stamps", real_plans) > 1000


def test_the_judgments_are_frozen(real_plans):
    assert digest_of_judgments(real_plans) == JUDGMENTS


def test_every_real_picture_opens(real):
    for stamp in real.stamps.values():
        assert max(real.albums.image(stamp.picture).open().size) <= 128


def test_candidates_found_anew_are_the_frozen_ones(real, real_plans):
    pytest.importorskip("bm25s")
    stage = retriever(real)
    for name in ("stamps-i2i", "stamps-t2i-ja", "stamps-i2t"):
        plan = real_plans[name]
        assert stage.run(plan.search) == read_frozen("stamps", plan)
