"""Facts about training examples of ``emoji`` and ``stamps``: the training split alone, and no wrong negative."""

import pytest

from gmr import suites
from gmr.core.nouns import TASK_TYPES, check_pictures
from gmr.suites.build import build
from gmr.suites.emoji.data import read_emoji
from gmr.suites.frozen import FrozenRuns
from gmr.suites.stamps.data import read_stamps
from gmr.train.sampling import GroupDataset, SamplingConfig
from tests.conftest import shared_data
from tests.suites import tiny


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.write_stamps(root)
    return tiny.write_emoji(root)


@pytest.mark.parametrize("name", ["emoji", "stamps"])
def test_examples_have_ids_of_their_own_and_hard_negatives_that_are_not_positive(made_up, name):
    found = suites.training_set(name, data_root=made_up)
    assert len({example.example_id for example in found.examples}) == len(found.examples) > 50
    for example in found.examples:
        assert example.pool in found.pools
        assert not set(example.negatives.doc_ids) & {document.doc_id for document in example.positives}
        check_pictures(example.query, *example.positives, *example.negatives)


def test_what_a_change_starts_from_is_the_first_hard_negative(made_up):
    found = suites.training_set("emoji", data_root=made_up)
    examples = {example.example_id: example for example in found.examples}
    assert examples["it2i:red-box>red-ball"].negatives.doc_ids[0] == "twemoji:red-box"
    assert examples["it2t:red-box>red-ball"].negatives.doc_ids[0] == "en:red-box"


def test_limit_takes_all_tasks_alike(made_up):
    found = suites.training_set("emoji", data_root=made_up, limit=60)
    assert len(found.examples) == 60
    assert len({example.pool for example in found.examples}) > 50


def test_the_fingerprint_follows_data_and_limit(made_up, tmp_path):
    first = suites.training_set("stamps", data_root=made_up).fingerprint()
    assert first == suites.training_set("stamps", data_root=made_up).fingerprint()
    assert first != suites.training_set("stamps", data_root=made_up, limit=5).fingerprint()
    other = tiny.write_stamps(tmp_path)
    data = (other / "stamps" / "images.zip").read_bytes()
    (other / "stamps" / "images.zip").write_bytes(data + b"\0")
    assert first != suites.training_set("stamps", data_root=other).fingerprint()


def test_groups_are_drawn_from_them(made_up):
    found = suites.training_set("emoji", data_root=made_up)
    groups = GroupDataset(found, SamplingConfig(num_negatives=4), seed=1)
    for index in range(0, len(groups), 17):
        group = groups[0, index]
        assert group.labels[0] == 1.0
        assert 1 < len(group.labels) <= 5
        assert not any(group.labels[1:])


@pytest.mark.slow
def test_real_examples_show_training_concepts_by_two_vendors_and_answer_no_test():
    root = shared_data("emoji").parent
    emoji = read_emoji(root)
    found = suites.training_set("emoji", data_root=root)
    assert len(found.examples) > 20_000
    assert {pool.removeprefix("emoji-").split("-")[0] for pool in found.pools} == set(TASK_TYPES)
    for pool, documents in found.pools.items():
        for doc_id in documents.doc_ids:
            kind, _, rest = doc_id.partition(":")
            assert kind != "openmoji", pool
            if kind not in ("page", "change"):
                assert emoji.concepts[rest].split == "train", (pool, doc_id)
    for index in range(0, len(found.examples), 997):
        example = found.examples[index]
        check_pictures(example.query, *example.positives, *example.negatives)


def test_real_stamps_are_training_stamps():
    root = shared_data("stamps").parent
    stamps = read_stamps(root)
    found = suites.training_set("stamps", data_root=root)
    assert len(found.examples) > 9_000
    for documents in found.pools.values():
        assert {stamps.stamps[doc_id.partition(":")[2]].split for doc_id in documents.doc_ids} == {"train"}


def test_a_build_writes_what_loading_finds_by_itself(made_up, tmp_path):
    pytest.importorskip("bm25s")
    build("stamps", made_up, tmp_path)
    frozen = FrozenRuns("stamps", tmp_path)
    tasks = suites.load("stamps", data_root=made_up) + suites.load("stamps", data_root=made_up, split="dev")
    assert set(frozen.table) == {task.name for task in tasks}
    for task in tasks:
        row = frozen.table[task.name]
        read = frozen.read(task.name, row.made_for, query_ids=list(task.queries), doc_ids=sorted(task.corpus))
        assert read == task.first_stage
