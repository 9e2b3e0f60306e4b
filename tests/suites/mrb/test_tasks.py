"""Test sets of every layout become the same task; what differs from the table is said, what is missing refused."""

import hashlib
import logging

import pytest

from gmr.core.beir import write_beir
from gmr.core.errors import DataError, UsageError
from gmr.core.items import images_of
from gmr.core.nouns import TASK_TYPES
from gmr.core.task_source import sampled
from gmr.core.trec import write_run
from gmr.suites.depth import at_depth
from gmr.suites.mrb.spec import load_specs
from gmr.suites.mrb.tasks import LoadOptions, load_task, load_tasks
from tests.helpers.layouts import write_mbeir, write_mteb
from tests.helpers.toy_sets import toy_task

REVISION = "0123456789abcdef0123456789abcdef01234567"


def write_set(
    root, *, task_type="it2i", layout="mteb", extra="", name="toy", folder="data", pinned=True, **facts
):
    """A TOML file with one set that lies in ``root/data/someone/toy``; the toy task in the layout."""
    counts = {"num_queries": 4, "num_documents": 7, "num_relevant": 4} | facts
    lines = [f"[tasks.{name}]", f'task_type = "{task_type}"', f'format = "{layout}"']
    lines += ['dataset = "someone/toy"', f'revision = "{REVISION}"' if pinned else ""]
    lines += ['instruction = "Find it."', *(f"{key} = {value}" for key, value in counts.items()), extra]
    (root / "sets.toml").write_text("\n".join(lines))
    place = root / folder / "someone/toy"
    prefix = "8:" if layout == "mbeir" else ""
    task = toy_task(task_type, prefix=prefix)
    if layout == "mbeir":
        write_mbeir(task, place, config="cirr_task7")
    elif layout == "beir":
        write_beir(task, place)
    else:
        write_mteb(task, place, ranked=False)
    return root / "sets.toml", task


def load(path, **options):
    return load_tasks(path, data_root=path.parent / "data", **options)[0]


@pytest.mark.parametrize("layout", ["beir", "mteb", "mbeir"])
def test_every_layout_gives_the_same_task(tmp_path, layout):
    extra = 'config = "cirr_task7"' if layout == "mbeir" else ""
    path, task = write_set(tmp_path, layout=layout, extra=extra)
    write_run(task.first_stage, tmp_path / "runs/toy.trec")
    assert load(path, runs_root=tmp_path / "runs") == at_depth(task, 100)


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_every_type_of_task_is_loaded(tmp_path, task_type):
    path, task = write_set(tmp_path, task_type=task_type)
    write_run(task.first_stage, tmp_path / "runs/toy.trec")
    assert load(path, runs_root=tmp_path / "runs") == task


def test_a_folder_beside_the_file_is_a_suite(tmp_path):
    write_beir(toy_task(), tmp_path / "mine")
    (tmp_path / "sets.toml").write_text('[tasks.toy]\ntask_type = "it2i"\nformat = "beir"\nfolder = "mine"\n')
    assert load_tasks(tmp_path / "sets.toml") == [toy_task()]
    assert load_tasks(str(tmp_path / "sets.toml")) == [toy_task()]


def test_without_a_first_stage_the_error_says_how_to_make_one(tmp_path):
    path, _ = write_set(tmp_path)
    with pytest.raises(
        DataError, match=r"toy: no first stage; make one with `gmr first-stage`.*RUNS/toy\.trec"
    ):
        load(path)
    with pytest.raises(DataError, match=rf"{tmp_path}/runs/toy\.trec \(--runs-root\)"):
        load(path, runs_root=tmp_path / "runs")


def test_a_task_whose_first_stage_is_yet_to_be_made_has_its_whole_corpus(tmp_path):
    path, task = write_set(tmp_path)
    loaded = load(path, needs_first_stage=False)
    assert loaded.corpus == task.corpus
    assert loaded.first_stage == {}


def freeze(tmp_path, sha256=None, run_path="frozen/toy.trec"):
    task = toy_task()
    write_run(task.first_stage, tmp_path / "runs/frozen/toy.trec")
    sha256 = sha256 or hashlib.sha256((tmp_path / "runs/frozen/toy.trec").read_bytes()).hexdigest()
    path, _ = write_set(tmp_path, extra=f'first_stage = {{ path = "{run_path}", sha256 = "{sha256}" }}')
    return path, task


def test_a_frozen_first_stage_is_taken_when_its_hash_is_right(tmp_path):
    path, task = freeze(tmp_path)
    assert load(path, runs_root=tmp_path / "runs").first_stage == task.first_stage


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sha256": "ab" * 32}, "not the frozen first stage"),
        ({"run_path": "gone.trec"}, "gone.trec: no such file"),
        ({"run_path": "../secret.trec"}, "leaves"),
        ({"run_path": "/etc/passwd"}, "is absolute"),
    ],
)
def test_another_first_stage_is_refused(tmp_path, options, message):
    path, _ = freeze(tmp_path, **options)
    with pytest.raises(DataError, match=message):
        load(path, runs_root=tmp_path / "runs")


def test_a_frozen_first_stage_needs_the_folder_of_runs(tmp_path):
    path, _ = freeze(tmp_path)
    with pytest.raises(DataError, match=r"its first stage frozen/toy\.trec is looked for below --runs-root"):
        load(path)


def with_run(tmp_path, **options):
    path, task = write_set(tmp_path, **options)
    write_run(task.first_stage, tmp_path / "runs/toy.trec")
    return path, {"runs_root": tmp_path / "runs"}


@pytest.mark.parametrize("count", ["num_queries", "num_documents", "num_relevant"])
def test_a_count_that_is_not_as_stated_is_an_error_unless_allowed(tmp_path, count, caplog):
    path, options = with_run(tmp_path, **{count: 5})
    found = {"num_queries": 4, "num_documents": 7, "num_relevant": 4}[count]
    with pytest.raises(DataError, match=f"toy: {count} {found}, not 5: not the data set.*--allow-counts"):
        load(path, **options)
    with caplog.at_level(logging.WARNING):
        load(path, allow_counts=True, **options)
    assert f"toy: {count} {found}, not 5" in caplog.text


def test_counts_that_nobody_knows_are_not_checked(tmp_path):
    path, options = with_run(tmp_path)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("num_")))
    assert load(path, **options) == toy_task()


def test_judged_documents_that_are_not_there_must_be_stated(tmp_path, caplog):
    path, options = with_run(tmp_path, num_documents=6)
    place = tmp_path / "data/someone/toy"
    task = toy_task(num_documents=7)
    corpus = {doc_id: document for doc_id, document in task.corpus.items() if doc_id != "d0"}
    object.__setattr__(task, "corpus", corpus)
    object.__setattr__(task, "first_stage", {})
    write_mteb(task, place, ranked=False)
    run = {q: {d: s for d, s in scores.items() if d != "d0"} for q, scores in toy_task().first_stage.items()}
    write_run(run, tmp_path / "runs/toy.trec")
    with pytest.raises(DataError, match=r"num_absent 1, not 0 \(the corpus lacks the judged 'd0'\)"):
        load(path, **options)
    text = path.read_text()
    path.write_text(text + "\nnum_absent = 1\n")
    with caplog.at_level(logging.WARNING):
        loaded = load(path, **options)
    assert "q0" not in loaded.queries  # its one relevant document cannot be found
    assert "toy: 1 judged documents are not in the corpus and are left out" in caplog.text
    assert "toy: 1 queries have no relevant document in the corpus" in caplog.text
    path.write_text(text + '\nnum_absent = "none"\n')
    assert load(path, **options) == loaded


def test_an_unpinned_set_needs_to_be_allowed_and_its_counts_only_warn(tmp_path, caplog):
    path, options = with_run(tmp_path, pinned=False, num_documents=8)
    with pytest.raises(DataError, match="--allow-unpinned"):
        load(path, **options)
    with caplog.at_level(logging.WARNING):
        assert load(path, allow_unpinned=True, **options) == toy_task()
    assert "num_documents 7, not 8" in caplog.text


def test_limit_and_depth_bound_what_is_read(tmp_path):
    path, options = with_run(tmp_path)
    loaded = load(path, limit=2, depth=1, **options)
    assert set(loaded.queries) == sampled(toy_task().queries, 2)
    assert {len(scores) for scores in loaded.first_stage.values()} == {1}
    best = {query_id: toy_task().candidates(query_id)[0] for query_id in loaded.queries}
    assert {q: loaded.candidates(q)[0] for q in loaded.queries} == best
    needed = {d for q in loaded.queries for d in loaded.qrels[q]} | {d.doc_id for d in best.values()}
    assert set(loaded.corpus) == needed
    with pytest.raises(UsageError, match="depth 0"):
        load(path, depth=0, **options)


def test_unpacked_pictures_are_equal_and_lie_in_files_once(tmp_path):
    path, options = with_run(tmp_path)
    held = load(path, **options)
    for _ in range(2):
        filed = load(path, picture_root=str(tmp_path / "pictures"), **options)
        assert filed == held
        files = [
            image.source
            for owner in (*filed.queries.values(), *filed.corpus.values())
            for image in images_of(owner.item)
        ]
        assert set(files) == set((tmp_path / "pictures/images").iterdir())
        assert len(files) == 4 + 7


def test_parts_become_one_task(tmp_path):
    for part in ("android", "unix"):
        write_mteb(toy_task("t2t"), tmp_path / "data/someone" / part)
    (tmp_path / "sets.toml").write_text(
        '[tasks.forums]\ntask_type = "t2t"\nformat = "mteb"\nnum_queries = 8\nnum_documents = 14\n'
        + "".join(
            f'parts.{p} = {{ dataset = "someone/{p}", revision = "{REVISION}" }}\n'
            for p in ("android", "unix")
        )
    )
    task = load(tmp_path / "sets.toml")
    assert list(task.queries)[::4] == ["android/q0", "unix/q0"]
    assert task.qrels["unix/q1"] == {"unix/d1": 1, "unix/d2": 0}
    assert {task.metadata[query_id]["part"] for query_id in task.queries} == {"android", "unix"}
    assert len(load(tmp_path / "sets.toml", limit=3).queries) == 3


def test_the_record_says_what_was_loaded(tmp_path):
    path, _ = with_run(tmp_path)
    options = LoadOptions(data_root=tmp_path / "data", runs_root=tmp_path / "runs")
    _, record = load_task(load_specs(path)["toy"], options)
    assert record.counts == {"num_queries": 4, "num_documents": 7, "num_relevant": 4, "num_absent": 0}
    assert record.differences == {}
    assert record.first_stage == tmp_path / "runs/toy.trec"
    assert record.first_stage_sha256 == hashlib.sha256(record.first_stage.read_bytes()).hexdigest()
    assert [(s.kind, s.dataset, s.revision) for s in record.snapshots] == [("mirror", "someone/toy", None)]


def test_pictures_that_are_not_there_are_missed(tmp_path):
    path, options = with_run(tmp_path, task_type="t2t")
    path.write_text(path.read_text().replace('"t2t"', '"t2vd"'))
    with pytest.raises(DataError, match="toy: no document has a picture, and the task is t2vd"):
        load(path, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mrb", {}, "unknown suite 'mrb'; there are mrb-umrb"),
        (
            "mrb-open",
            {"names": ["vidore-*", "sifact"]},
            "mrb-open has no task 'sifact'; did you mean 'scifact'",
        ),
        ("mrb-open", {"task_types": ["t2x"]}, "unknown task type 't2x'"),
        ("mrb-open", {"names": ["scifact"], "task_types": ["i2i"]}, "no task of type i2i among those named"),
        ("gone.toml", {}, "gone.toml: no such file"),
    ],
)
def test_what_cannot_be_selected_is_named(name, options, message):
    with pytest.raises(DataError, match=message):
        load_tasks(name, **options)


def test_a_suite_of_a_file_brings_its_limits(tmp_path):
    path, options = with_run(tmp_path)
    path.write_text(
        path.read_text() + '\n[suites.quick]\nabout = "a"\ntasks = ["toy"]\nlimit = 1\ndepth = 2\n'
    )
    quick = load(path, suite="quick", **options)
    assert (len(quick.queries), {len(s) for s in quick.first_stage.values()}) == (1, {2})
    assert len(load(path, suite="quick", limit=3, **options).queries) == 3
    assert len(load(path, **options).queries) == 4
    with pytest.raises(DataError, match="unknown suite 'slow'; there are quick"):
        load(path, suite="slow", **options)
