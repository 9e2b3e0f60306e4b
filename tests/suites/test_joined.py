"""Facts about several suites taken as one."""

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.suites.joined import shares
from tests.suites import tiny

JOINED = "glyphs+emoji+stamps"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.write_stamps(root)
    return tiny.write_emoji(root)


def test_the_names_of_joined_suites_are_those_of_each_in_turn():
    apart = [task for name in JOINED.split("+") for task in suites.task_names(name)]
    assert suites.task_names(JOINED) == apart
    assert list(suites.task_types(JOINED)) == apart
    assert suites.splits(JOINED) == ("test", "dev")  # glyphs alone has a split "known"


def test_patterns_choose_among_all_of_them(made_up):
    tasks = suites.load("emoji+stamps", data_root=made_up, names=["emoji-t2t", "stamps-i2i"], limit=2)
    assert [task.name for task in tasks] == ["emoji-t2t", "stamps-i2i"]
    alone = suites.load("stamps", data_root=made_up, names=["stamps-i2i"], limit=2)[0]
    assert tasks[1].first_stage == alone.first_stage


def test_no_data_is_read_of_a_suite_that_nothing_is_taken_of(tmp_path):
    assert suites.load("glyphs+emoji", data_root=tmp_path / "nowhere", names=["glyphs-t2t"], limit=1)


def test_joined_training_sets_have_the_examples_and_pools_of_each(made_up):
    parts = [suites.training_set(name, data_root=made_up, limit=30) for name in JOINED.split("+")]
    joined = suites.training_set(JOINED, data_root=made_up, limit=90)
    assert len(joined.examples) == 90
    wanted = [example.query.query_id for part in parts for example in part.examples]
    assert [example.query.query_id for example in joined.examples] == wanted
    assert joined.examples[-1].query == parts[2].examples[29].query
    assert [each.pool for each in joined.examples[28:32]] == [joined.examples[n].pool for n in range(28, 32)]
    assert set(joined.pools) == {pool for part in parts for pool in part.pools}
    with pytest.raises(IndexError):
        joined.examples[90]


def test_no_two_examples_have_the_same_id(made_up):
    joined = suites.training_set(JOINED, data_root=made_up, limit=1500)
    ids = [example.example_id for example in joined.examples]
    assert len(set(ids)) == len(ids)


def test_the_fingerprint_is_made_of_theirs(made_up):
    first = suites.training_set("emoji+stamps", data_root=made_up).fingerprint()
    assert first == suites.training_set("emoji+stamps", data_root=made_up).fingerprint()
    assert first != suites.training_set("stamps+emoji", data_root=made_up).fingerprint()
    assert first != suites.training_set("emoji+stamps", data_root=made_up, limit=20).fingerprint()


@pytest.mark.parametrize(
    ("limit", "wanted"), [(None, [None] * 3), (7, [3, 2, 2]), (9, [3, 3, 3]), (1, [1, 0, 0])]
)
def test_a_limit_is_shared_out(limit, wanted):
    assert shares(limit, 3) == wanted


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("glyphs+emojis", "unknown suite 'emojis'; .*did you mean 'emoji'"),
        ("glyphs+glyphs", "suite 'glyphs' is named twice in 'glyphs\\+glyphs'"),
        ("emoji+", "unknown suite ''"),
    ],
)
def test_a_wrong_name_is_told(name, told):
    with pytest.raises(DataError, match=told):
        suites.task_names(name)


def test_a_suite_without_training_examples_or_data_is_told_by_its_name(tmp_path):
    with pytest.raises(DataError, match="xquad has no training examples"):
        suites.training_set("glyphs+xquad")
    with pytest.raises(DataError, match="emoji is read from files"):
        suites.training_set("glyphs+emoji")
