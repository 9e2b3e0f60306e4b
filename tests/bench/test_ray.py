"""Workers of Ray make the calls that one process makes: the same files to the last byte."""

from functools import partial
from pathlib import Path

import pytest

from gmr import suites
from gmr.bench.media import BadMedia
from gmr.bench.run import Bench, Policy, run_bench
from gmr.bench.system import load_system
from gmr.core.errors import DataError, ModelError
from gmr.core.items import Image
from gmr.core.nouns import Document
from tests.bench.kill import files_of
from tests.bench.suites import png
from tests.helpers.turns import alone

ray = pytest.importorskip("ray")
OPTIONS = {"device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with alone("ray"):  # two clusters on one small machine starve each other
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            namespace="gmr-tests",
        )
        yield
        ray.shutdown()


def run_on_ray(bench: Bench, folder: Path, *, workers: int) -> None:
    from gmr.bench import ray as ray_path

    store = folder / "scores.sqlite"
    systems, bad = ray_path.run_on_ray(bench, ["gmr-nano"], OPTIONS, store, num_workers=workers)
    run_bench(bench, [lambda system=system: system for system in systems], folder, store_path=store, bad=bad)


@pytest.mark.slow
def test_two_workers_give_the_files_of_one_process_and_then_find_nothing_to_do(tmp_path: Path) -> None:
    bench = Bench(
        "glyphs", suites.load("glyphs", limit=20, task_types=["t2t", "it2i"]), policy=Policy(recheck_share=0)
    )
    run_bench(bench, [partial(load_system, "gmr-nano", **OPTIONS)], tmp_path / "one")
    run_on_ray(bench, tmp_path / "two", workers=2)
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")
    run_on_ray(bench, tmp_path / "two", workers=1)
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


@pytest.mark.slow
def test_what_a_worker_finds_of_no_use_stops_the_run_or_takes_the_last_place(
    tmp_path: Path, monkeypatch
) -> None:
    (task,) = suites.load("glyphs", limit=4, task_types=["t2i"])
    doc_id = next(iter(task.first_stage[next(iter(task.queries))]))
    corpus = dict(task.corpus) | {doc_id: Document(doc_id, (Image(png(1)[:80]),))}
    object.__setattr__(task, "corpus", corpus)
    # The check beforehand is told that all is well, as where only decoding shows the fault.
    monkeypatch.setattr("gmr.bench.run.check_media", lambda *_, **__: BadMedia())
    with pytest.raises(DataError, match=f"document {doc_id!r}"):
        run_on_ray(Bench("s", [task]), tmp_path / "a", workers=1)
    run_on_ray(Bench("s", [task], policy=Policy(floors_bad_media=True)), tmp_path / "b", workers=1)
    assert (
        f'"bad_media": {sum(doc_id in scores for scores in task.first_stage.values())}'
        in (tmp_path / "b" / "results.json").read_text()
    )


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    from gmr.bench import ray as ray_path

    bench = Bench("glyphs", suites.load("glyphs", limit=1, task_types=["t2t"]))
    with pytest.raises(ModelError, match=r"^no-such-folder"):
        ray_path.run_on_ray(bench, ["no-such-folder"], OPTIONS, tmp_path / "a.sqlite", num_workers=1)
