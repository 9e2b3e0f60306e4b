"""Tables of test sets: read strictly, errors name the table and the key."""

import pytest

from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES
from gmr.suites.mrb.loaders import FORMATS, LOADERS
from gmr.suites.mrb.spec import OWN_FILE, load_specs, read_specs, suite_specs

REVISION = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32
SET = f"""
[tasks.mine]
task_type = "t2i"
format = "mteb"
dataset = "someone/something"
revision = "{REVISION}"
"""


def write(folder, text):
    path = folder / "sets.toml"
    path.write_text(text)
    return path


def test_a_table_is_a_task(tmp_path):
    spec = load_specs(write(tmp_path, SET + 'measure = "hit@5"\nnum_queries = 3\n'))["mine"]
    assert (spec.name, spec.task_type, spec.measure, spec.num_queries) == ("mine", "t2i", "hit@5", 3)
    assert spec.origins[""].dataset == "someone/something"
    assert spec.is_pinned


def test_a_folder_is_relative_to_the_file(tmp_path):
    text = '[tasks.a]\ntask_type = "t2t"\nformat = "beir"\nfolder = "sets/a"\n'
    (tmp_path / "below").mkdir()
    spec = load_specs(write(tmp_path / "below", text))["a"]
    assert spec.folder == str(tmp_path / "below/sets/a")
    assert spec.is_pinned


def test_a_set_without_revision_is_unpinned(tmp_path):
    spec = load_specs(write(tmp_path, SET.replace(f'revision = "{REVISION}"', "")))["mine"]
    assert not spec.is_pinned


def test_one_part_without_revision_makes_the_whole_unpinned(tmp_path):
    text = '[tasks.a]\ntask_type = "t2t"\nformat = "mteb"\n'
    text += f'parts.x = {{dataset = "a/x", revision = "{REVISION}"}}\nparts.y = {{dataset = "a/y"}}\n'
    spec = load_specs(write(tmp_path, text))["a"]
    assert list(spec.origins) == ["x", "y"]
    assert not spec.is_pinned


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SET + 'mesure = "ndcg@10"', "unknown key 'tasks.mine.mesure'; did you mean 'tasks.mine.measure'"),
        (SET + "[tasks.mine]", "not valid TOML"),
        (SET + "[tasks.mine.first_stage]\npath = 'a'\nsha = 'b'", "unknown key 'tasks.mine.first_stage.sha'"),
        (SET + "num_queries = 'three'", "tasks.mine.num_queries must be an integer"),
        (SET + "measure = 10", "tasks.mine.measure must be a string"),
        (SET + 'measure = "map"', r"\[tasks.mine\] unknown measure 'map'"),
        (SET + 'umrb_measure = "hit"', r"\[tasks.mine\] measure 'hit' needs a cutoff"),
        (SET.replace("t2i", "t2x"), r"\[tasks.mine\] unknown task type 't2x'"),
        (
            SET.replace('"mteb"', '"csv"'),
            r"\[tasks.mine\] unknown format 'csv'; there are beir, mbeir, mteb, vidore",
        ),
        (SET.replace('task_type = "t2i"', ""), "key 'tasks.mine.task_type' is missing"),
        (SET.replace(REVISION, "main"), r"\[tasks.mine\] revision 'main' is not a commit"),
        (SET.replace(REVISION, REVISION[:7]), "is not a commit"),
        (SET + 'folder = "a"', r"\[tasks.mine\] give either dataset or folder"),
        (SET.replace("someone/something", "../x"), r"dataset '\.\./x' is no id"),
        (SET.replace("someone/something", "a/b/c"), "dataset 'a/b/c' is no id"),
        (SET + 'name = "other"', "unknown key 'tasks.mine.name'"),
        (SET.replace("tasks.mine", 'tasks."a b"'), "'a b' is no name of a task"),
        (SET.replace("tasks.mine", 'tasks."../x"'), r"'\.\./x' is no name of a task"),
        (SET.replace('"mteb"', '"mbeir"'), r"\[tasks.mine\] format 'mbeir' needs config"),
        (SET.replace('"mteb"', '"vidore"') + 'config = "a"', r"\[tasks.mine\] format 'vidore' has no config"),
        (SET + 'parts.x = {dataset = "a/b"}', "give dataset or folder, or parts, not both"),
        (SET + 'first_stage = {path = "a.trec", sha256 = "12"}', "sha256 '12' is not 64 hexadecimal digits"),
        (SET + '[suites.s]\nabout = "a"\ntasks = ["yours"]', r"\[suites.s\] lists yours: no such task"),
        (
            SET + '[suites.s]\nabout = "a"\ntasks = ["mine", "mine"]',
            r"\[suites.s\] tasks are listed twice: mine",
        ),
        (SET + '[suites.s]\nabout = "a"\ntasks = []', "no tasks"),
        (SET + '[suites.s]\nabout = "a"\ntasks = ["mine"]\ndepth = 0', "depth is 0; the least is 1"),
        ("tasks = 3", "tasks must be a table"),
        ("", "key 'tasks' is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_table_and_key(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"sets\.toml.*{message}"):
        read_specs(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.toml: no such file"):
        load_specs(tmp_path / "gone.toml")


def test_an_unknown_suite_is_named_with_the_known_ones():
    with pytest.raises(DataError, match="unknown suite 'mrb'; there are mrb-umrb, mrb-open, mrb-open-mini"):
        suite_specs("mrb")


def test_every_format_has_a_reader_and_the_other_way_round():
    assert FORMATS.keys() == LOADERS.keys()


def test_every_set_of_ours_says_what_it_is():
    specs = load_specs()
    assert {spec.task_type for spec in specs.values()} == set(TASK_TYPES)
    for spec in specs.values():
        assert spec.instruction, spec.name
        assert spec.source.startswith("http"), spec.name
        assert spec.num_queries, spec.name
        assert spec.num_documents, spec.name
        assert spec.licence, spec.name
        assert spec.mteb, spec.name
    assert OWN_FILE.is_file()
