"""Facts about the embedded suite: frozen, fair, and what it says it is."""

import hashlib
import unicodedata
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.items import Image, Text, images_of, item_key, modality, text_of
from gmr.core.nouns import TASK_TYPES
from gmr.suites.glyphs.characters import characters, parse_characters
from gmr.suites.glyphs.faces import (
    DESIGNS,
    NUM_PLACES,
    NUM_VARIANTS,
    SHAPES,
    SIZE_PX,
    TEST_FACES,
    TRAIN_FACES,
    glyph_image,
    page_image,
)
from gmr.suites.glyphs.items import item_of
from gmr.suites.glyphs.naming import NamingExamples
from gmr.suites.glyphs.neighbours import Neighbours
from gmr.suites.glyphs.operations import operations
from gmr.suites.glyphs.selection import family_key
from gmr.suites.glyphs.training import FACE_KINDS, training_set

CHECKSUMS = {
    "characters.tsv": "067e6e4538048fddfcaedac7495006dc21155ea901297aed95aed3b67dd8ddd9",
    "test.jsonl.gz": "ad33e76ad0ec3a6fa680912bea55c31134c351d23ea456a9646282e1a5e11596",
    "known.jsonl.gz": "6ccd93f10405f0ddc943fd19168140fe1bcc203bef8aadb301a67f83cf626c8f",
    "dev.jsonl.gz": "6425ae0471abaacea0bbdbba297eabf981e99b20a9fd9d5d91f42c935264c1af",
}
SIDES = {"t": "t", "i": "i", "vd": "i", "it": "it"}


@pytest.fixture(scope="module")
def test_tasks():
    return suites.load("glyphs")


def _shown(doc_id: str) -> list[int]:
    return [int(point, 16) for point in doc_id.split("-")[1].split(".")]


def _face(doc_id: str) -> str:
    return doc_id.split("-", 2)[2].partition("~")[0]


@pytest.mark.parametrize("name", CHECKSUMS)
def test_the_frozen_tables_are_the_committed_ones(name):
    data = (files("gmr.suites.glyphs") / "data" / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == CHECKSUMS[name]


def test_names_are_those_of_unicode():
    for code_point, row in characters().items():
        assert row.name == unicodedata.name(chr(code_point)).lower()


def test_every_split_has_all_nine_types_and_the_test_split_over_a_hundred_queries_of_each():
    for split, least in (("test", 100), ("known", 100), ("dev", 30)):
        tasks = suites.load("glyphs", split=split)
        assert [task.task_type for task in tasks] == list(TASK_TYPES)
        assert all(len(task.queries) >= least for task in tasks)


def test_items_have_the_modalities_of_their_task_type(test_tasks):
    for task in test_tasks:
        query_side, document_side = task.task_type.split("2")
        assert {modality(query.item) for query in task.queries.values()} == {SIDES[query_side]}
        assert {modality(document.item) for document in task.corpus.values()} == {SIDES[document_side]}


def test_some_items_show_several_pictures_and_some_interleave(test_tasks):
    by_type = {task.task_type: task for task in test_tasks}
    two = [query for query in by_type["i2i"].queries.values() if len(images_of(query.item)) == 2]
    assert len(two) >= 10
    plus = [query.item for query in by_type["it2t"].queries.values() if len(query.item) == 3]
    assert plus
    assert all([type(part) for part in item] == [Image, Text, Image] for item in plus)
    assert any(len(images_of(document.item)) == 2 for document in by_type["t2it"].corpus.values())


def test_each_query_has_one_answer_among_twenty_candidates(test_tasks):
    for task in test_tasks:
        for query_id, judged in task.qrels.items():
            assert len(task.first_stage[query_id]) == 20
            assert [grade for doc_id, grade in judged.items() if doc_id in task.first_stage[query_id]] == [1]


@pytest.mark.parametrize("split", ["test", "known", "dev"])
def test_no_other_candidate_shows_what_the_answer_shows(split):
    for task in suites.load("glyphs", split=split):
        for query_id, candidates in task.first_stage.items():
            (answer,) = task.qrels[query_id]
            shown = item_key(task.corpus[answer].item)
            assert all(item_key(task.corpus[other].item) != shown for other in candidates if other != answer)


def test_no_family_and_no_lookalike_class_is_in_two_splits():
    rows = characters().values()
    for group in ("family", "lookalikes"):
        splits: dict[str, set[str]] = {}
        for row in rows:
            splits.setdefault(getattr(row, group), set()).add(row.split)
        assert all(len(found) == 1 for found in splits.values())


def test_case_pairs_and_compatibility_forms_share_a_family():
    table = characters()
    assert table[0x00E9].family == table[0x00C9].family
    assert family_key(ord("a")) == family_key(ord("A")) == family_key(0x00AA)
    assert family_key(ord("e")) != family_key(0x00E9)
    assert family_key(0x2190) == family_key(0x2192)


def test_right_answers_of_the_test_split_are_characters_and_faces_never_trained_on(test_tasks):
    table = characters()
    for task in test_tasks:
        for judged in task.qrels.values():
            (answer,) = judged
            if task.task_type != "t2vd":
                assert {table[point].split for point in _shown(answer)} == {"test"}
            if not answer.startswith("n-"):
                assert _face(answer) in TEST_FACES
        for query in task.queries.values():
            for image in images_of(query.item):
                assert image.key not in _training_picture_keys()


_KEYS: set[str] = set()


def _training_picture_keys() -> set[str]:
    if not _KEYS:
        for row in characters().values():
            if row.split == "train":
                _KEYS.update(
                    glyph_image(row.code_point, face).key for face in TRAIN_FACES if face in row.faces
                )
    return _KEYS


def test_training_shows_only_training_characters_in_training_faces():
    table = characters()
    examples = training_set().examples
    for number in range(0, len(examples), 97):
        example = examples[number]
        for document in (*example.positives, *example.negatives):
            assert {table[point].split for point in _shown(document.doc_id)} == {"train"}
            if not document.doc_id.startswith("n-"):
                assert _face(document.doc_id) in TRAIN_FACES


def test_training_examples_are_the_same_whenever_they_are_asked_for():
    first, again = training_set(limit=40), training_set.__wrapped__(limit=40)
    assert list(first.examples) == list(again.examples)
    assert first.fingerprint() == again.fingerprint() != training_set(limit=41).fingerprint()


def test_training_goes_through_all_task_types_alike():
    examples = training_set(limit=900).examples
    assert set(Counter(example.example_id.split("-")[0] for example in examples).values()) == {100}


def test_a_positive_is_never_a_hard_negative_nor_drawn_like_one():
    table = characters()
    examples = training_set(limit=600).examples
    for example in examples:
        (positive,) = example.positives
        if "style" in example.pool or example.pool.startswith("not "):
            continue
        if len(_shown(positive.doc_id)) > 1:
            continue
        target = table[_shown(positive.doc_id)[0]]
        for document in example.negatives:
            others = [table[point] for point in _shown(document.doc_id)]
            same = any(other.lookalikes == target.lookalikes for other in others)
            assert not same or _face(document.doc_id) != _face(positive.doc_id)


def test_operations_lead_to_one_answer_each():
    found = operations(characters().values())
    answers: dict[tuple[int, str, int | None], set[int]] = {}
    for change in found:
        answers.setdefault((change.source, change.words, change.mark), set()).add(change.target)
    assert all(len(targets) == 1 for targets in answers.values())
    e, e_acute, capital = ord("e"), 0x00E9, 0x00C9
    told = {(change.source, change.words, change.target) for change in found}
    assert {
        (e, "with acute", e_acute),
        (e_acute, "without acute", e),
        (e_acute, "in uppercase", capital),
    } <= told


def test_naming_examples_are_a_function_of_seed_and_number():
    first, again, other = NamingExamples(seed=1), NamingExamples(seed=1), NamingExamples(seed=2)
    assert [first.example(n) for n in range(30)] == [again.example(n) for n in range(30)]
    assert [first.example(n) for n in range(30)] != [other.example(n) for n in range(30)]


def test_naming_never_names_a_held_out_character():
    held_out = {row.name for row in characters().values() if row.split != "train"}
    examples = NamingExamples()
    assert held_out.isdisjoint(examples.example(number).answer for number in range(2000))
    assert held_out.isdisjoint(examples.texts())


def test_pictures_are_black_on_white_and_keep_inside():
    for face in (*TRAIN_FACES, *TEST_FACES):
        grey = np.asarray(glyph_image(ord("Å"), face).open().convert("L"))
        assert grey.shape == (32, 32)
        assert grey.min() < 64
        assert grey.max() == 255
        assert (np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]) > 128).all()


# Mean grey of three characters, measured once with Pillow 13 and FreeType 2; a rasteriser may move it a little.
MEAN_GREY = {
    (0x0041, "sans"): 228.01,
    (0x0041, "serif"): 231.74,
    (0x0041, "stix"): 235.82,
    (0x00E9, "sans"): 229.63,
    (0x00E9, "serif"): 235.62,
    (0x00E9, "stix"): 240.10,
    (0x2190, "sans"): 240.56,
    (0x2190, "serif"): 243.50,
    (0x2190, "stix"): 243.07,
}


@pytest.mark.parametrize(("code_point", "face"), MEAN_GREY)
def test_pixels_stay_within_a_rasterisers_difference(code_point, face):
    grey = np.asarray(glyph_image(code_point, face).open().convert("L"), dtype=float)
    assert abs(grey.mean() - MEAN_GREY[code_point, face]) < 3.0


def test_a_page_shows_its_four_characters_in_reading_order():
    points = (ord("A"), ord("B"), ord("C"), ord("D"))
    page = np.asarray(page_image(points, "sans").open().convert("L"))
    for place, point in enumerate(points):
        top, left = 32 * (place // 2), 32 * (place % 2)
        expected = np.asarray(glyph_image(point, "sans").open().convert("L"))
        assert np.array_equal(page[top : top + 32, left : left + 32], expected)


def test_neighbours_by_block_are_sorted_by_distance_and_by_words_agree_with_sets():
    rows = [row for row in characters().values() if row.split == "test"]
    neighbours = Neighbours(rows)
    point = rows[len(rows) // 2].code_point
    distances = [abs(row.code_point - point) for row in neighbours.by_block(point)]
    assert len(distances) == len(rows)
    assert distances == sorted(distances)
    target = set(neighbours.rows[neighbours.position[point]].name.split())
    first, *_, last = neighbours.by_words(point)
    assert first.code_point == point
    assert len(target & set(last.name.split())) <= 1


def test_ids_say_what_they_show():
    assert text_of(item_of("n-00e9")) == "latin small letter e with acute"
    caption, picture = item_of("e-00e9-serif")
    assert caption == Text("latin small")
    assert picture == glyph_image(0xE9, "serif")


@pytest.mark.parametrize("wrong", ["", "n", "x-00e9", "g-00e9", "g-00e9-comic", "n-zz"])
def test_an_id_of_another_form_is_an_error_that_names_it(wrong):
    with pytest.raises(DataError, match=f"'{wrong}' is not the id"):
        item_of(wrong)


def test_a_face_without_the_character_is_an_error_not_an_empty_box():
    with pytest.raises(DataError, match="face 'serif' has no glyph for 'black chess queen'"):
        item_of("g-265b-serif")


def test_unknown_suites_splits_and_types_are_errors_that_list_what_there_is():
    with pytest.raises(
        DataError, match=r"unknown suite 'glyph'; there are glyphs, .*; did you mean 'glyphs'\?"
    ):
        suites.load("glyph")
    with pytest.raises(DataError, match="no split 'train'; it has test, known, dev"):
        suites.load("glyphs", split="train")
    with pytest.raises(DataError, match="unknown task type 't2x'"):
        suites.load("glyphs", task_types=["t2x"])


def test_a_broken_table_names_file_and_line():
    with pytest.raises(DataError, match=r"somewhere.tsv:2: 2 columns, expected 7"):
        parse_characters("head\n0041\tx\n", where="somewhere.tsv")


def test_designs_are_made_of_faces():
    assert {face for row in DESIGNS.values() for face in row} <= {*TRAIN_FACES, *TEST_FACES}


def test_a_reshaped_picture_is_another_picture_of_the_same_size():
    shown = {
        variant: np.asarray(glyph_image(ord("A"), f"sans~{variant}").open())
        for variant in range(0, NUM_VARIANTS, NUM_PLACES)
    }
    assert len(shown) == len(SHAPES)
    assert {pixels.shape for pixels in shown.values()} == {(SIZE_PX, SIZE_PX, 3)}
    assert len({pixels.tobytes() for pixels in shown.values()}) == len(SHAPES)
    ink = {SHAPES[variant // NUM_PLACES]: (255 - pixels).sum() for variant, pixels in shown.items()}
    assert ink["light"] < ink["plain"] < ink["heavy"]
    assert ink["narrow"] < ink["plain"] < ink["wide"]
    plain = np.asarray(glyph_image(ord("A"), "sans").open())
    assert np.array_equal(shown[0], plain)


def test_no_picture_is_reshaped_where_the_face_is_asked_for():
    examples = training_set().examples
    seen = set()
    for source, number in zip(examples._sources, range(4000), strict=False):
        if source.plan.kind in FACE_KINDS:
            example = examples[number]
            ids = [document.doc_id for document in example.positives] + list(example.negatives.doc_ids)
            variants = {int(doc_id.partition("~")[2] or 0) for doc_id in ids}
            assert max(variants) < NUM_PLACES
            seen |= variants
    assert len(seen) > 1, "moved and scaled they are"


def test_random_negatives_are_varied_as_often_as_hard_ones():
    training = training_set()
    pool = training.pools["t2i"].doc_ids
    hard = [
        doc_id
        for example in training.examples[:900]
        if example.example_id.startswith("t2i-")
        for doc_id in example.negatives.doc_ids
    ]
    shares = [sum("~" in doc_id for doc_id in ids) / len(ids) for ids in (pool, hard)]
    assert all(0.33 < share < 0.47 for share in shares), shares
