"""Facts about the table of suites: names without data, patterns, and what is said when something is missing."""

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES
from tests.suites import tiny

WITH_DATA = {"emoji": tiny.write_emoji, "stamps": tiny.write_stamps, "vaswani": tiny.write_vaswani}


def test_every_suite_says_what_it_is_and_its_splits_are_its_modules_own():
    assert set(suites.SUITES) == {"glyphs", "emoji", "stamps", "vaswani", "xquad"}
    for name, suite in suites.CATALOGUE.items():
        assert suites.splits(name) == tuple(suite.source().SPLITS), name
        assert suites.SUITES[name] == suite.description


@pytest.mark.parametrize("name", suites.CATALOGUE)
def test_task_names_are_known_without_data_and_begin_with_the_suite(name):
    for split in suites.splits(name):
        names = suites.task_names(name, split=split)
        assert len(names) == len(set(names)) > 0
        assert all(task.startswith(name) for task in names)


def test_emoji_has_all_nine_task_types():
    types = suites.CATALOGUE["emoji"].source().task_types("test")
    assert set(types.values()) == set(TASK_TYPES)


def test_names_are_patterns_and_keep_the_order_of_the_suite():
    names = suites.task_names("emoji", names=["emoji-it2it*", "emoji-t2t-de-ru"])
    assert names == ["emoji-t2t-de-ru", "emoji-it2it", "emoji-it2it-multilingual"]
    assert suites.task_names("glyphs", task_types=["i2t"], names=["glyphs-*"]) == ["glyphs-i2t"]


def test_a_split_is_part_of_the_name_unless_it_is_test():
    assert suites.task_names("stamps", split="dev", names=["stamps-i2i*"]) == ["stamps-i2i-dev"]


def test_an_unknown_suite_is_refused_with_the_nearest():
    with pytest.raises(
        DataError, match=r"unknown suite 'emojis'; there are glyphs, .*; did you mean 'emoji'"
    ):
        suites.load("emojis")


def test_an_unknown_task_is_refused_with_the_nearest():
    with pytest.raises(DataError, match=r"emoji has no task 'emoji-t2i-dee'; did you mean 'emoji-t2i-de'"):
        suites.load("emoji", names=["emoji-t2i-dee"])


def test_an_unknown_split_and_an_unknown_type_are_refused():
    with pytest.raises(DataError, match="xquad has no split 'dev'; it has test"):
        suites.load("xquad", split="dev")
    with pytest.raises(DataError, match="unknown task type 't2x'"):
        suites.load("emoji", task_types=["t2x"])


@pytest.mark.parametrize("name", ["emoji", "stamps", "vaswani", "xquad"])
def test_a_suite_without_its_data_says_what_it_needs(name, tmp_path):
    with pytest.raises(DataError, match=f"--data-root, the folder that holds {name}/"):
        suites.load(name)
    with pytest.raises(DataError, match=rf"{tmp_path}/{name}: no data of the suite '{name}'"):
        suites.load(name, data_root=tmp_path)


@pytest.mark.parametrize("name", ["vaswani", "xquad"])
def test_a_suite_without_training_examples_says_which_have_them(name):
    with pytest.raises(
        DataError, match=f"{name} has no training examples; these have: glyphs, emoji, stamps"
    ):
        suites.training_set(name)


def test_limit_keeps_the_first_queries_of_each_task():
    whole = suites.load("glyphs", names=["glyphs-t2t"])[0]
    part = suites.load("glyphs", names=["glyphs-t2t"], limit=3)[0]
    assert list(part.queries) == list(whole.queries)[:3]
    assert {name: whole.first_stage[name] for name in part.queries} == part.first_stage
