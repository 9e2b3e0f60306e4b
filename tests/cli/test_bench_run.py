"""``gmr bench``: a suite from the command line, in parts, with what is wrong named."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gmr.core.datasets import write_beir
from tests.bench.suites import make_task, png
from tests.cli.stubs import Outcome

Gmr = Callable[..., Outcome]
FEW = ("--suite", "glyphs", "--limit", 2, "--task-type", "t2t", "--task-type", "it2i")


def test_a_suite_is_measured_and_written_and_a_second_time_nothing_is_scored(
    real_gmr: Gmr, tmp_path: Path
) -> None:
    first = real_gmr("bench", *FEW, "--output", tmp_path)
    assert first.status == 0
    assert "glyphs: 2 tasks, 4 queries, 80 pairs for each of 1 model" in first.err
    for word in ("chance", "first stage", "gmr-nano", "glyphs-t2t"):
        assert word in first.out
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["suite"] == "glyphs"
    assert list(written["results"]) == ["chance", "first stage", "pixel cosine", "gmr-nano"]
    again = real_gmr("bench", *FEW, "--output", tmp_path)
    assert again.out == first.out
    assert "stored scores were computed again and agree" in again.err
    assert json.loads((tmp_path / "results.json").read_text()) == written
    page = tmp_path / "report.md"
    assert "No calibration of" not in page.read_text()
    written["systems"]["gmr-nano"]["readout"] = "expectation"
    (tmp_path / "results.json").write_text(json.dumps(written))
    assert real_gmr("bench", "report", tmp_path).status == 0
    assert "No calibration of gmr-nano: the scores are grades" in page.read_text()


def test_parts_on_stores_of_their_own_are_merged_and_give_the_whole(real_gmr: Gmr, tmp_path: Path) -> None:
    assert real_gmr("bench", *FEW, "--output", tmp_path / "whole").status == 0
    for part in (1, 2):
        done = real_gmr("bench", *FEW, "--shards", f"{part}/2", "--store", tmp_path / f"{part}.sqlite")
        assert re.search(rf"part {part}/2: its (39|40) pairs are in", done.err)
    merged = real_gmr(
        "bench",
        "merge",
        tmp_path / "1.sqlite",
        tmp_path / "2.sqlite",
        "--into",
        tmp_path / "parts" / "scores.sqlite",
    )
    assert re.search(r"scores\.sqlite has (79|80) scores\n$", merged.out)
    assert real_gmr("bench", *FEW, "--recheck", 0, "--output", tmp_path / "parts").status == 0
    for path in (tmp_path / "whole").rglob("*.trec"):
        assert (tmp_path / "parts" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_a_folder_with_a_broken_picture_stops_at_once_or_gives_it_the_last_place(
    real_gmr: Gmr, tmp_path: Path
) -> None:
    task = make_task("toy", num_queries=2, depth=4, num_documents=6, pictures={n: png(n) for n in range(6)})
    write_beir(task, tmp_path / "toy")
    broken = sorted((tmp_path / "toy" / "images").iterdir())
    for path in broken:
        path.write_bytes(path.read_bytes()[:-30])
    stopped = real_gmr("bench", "--folder", tmp_path / "toy", "--output", tmp_path / "out")
    assert stopped.status == 65
    assert "have pictures that cannot be used, and nothing was scored: toy: document" in stopped.err
    assert not (tmp_path / "out").exists()
    floored = real_gmr(
        "bench", "--folder", tmp_path / "toy", "--output", tmp_path / "out", "--bad-media", "floor"
    )
    assert floored.status == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["facts"]["floored"]["gmr-nano"]["toy"]["bad_media"] == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name what to measure on: --suite NAME or --folder FOLDER"),
        (("--suite", "glyphs", "--folder", "x"), "one of them"),
        (("--suite", "glyhps"), "unknown suite 'glyhps'"),
        (("--suite", "glyphs", "--model", "a", "--model", "a"), "--model: 'a' is given twice"),
        (("--suite", "glyphs", "--model", "chance"), "'chance' is the name of a baseline"),
        (("--suite", "glyphs", "--measure", "ndgc@10"), "--measure: unknown measure 'ndgc@10': did you mean"),
        (("--suite", "glyphs", "--bad-media", "skip"), "--bad-media is 'skip': stop or floor"),
        (("--suite", "glyphs", "--shards", "3/2"), "shard '3/2': give which of how many"),
        (("--suite", "glyphs", "--shards", "1/2", "--ray", 2), "--shards and --ray are two ways"),
        (("--suite", "glyphs", "--device", "gpu"), "--device is 'gpu'"),
        (("merge", "absent.sqlite", "--into", "x.sqlite"), "absent.sqlite: no such file"),
    ],
)
def test_what_cannot_be_used_is_named_before_a_model_is_loaded(
    real_gmr: Gmr, words: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--limit", 1, *words) if words[:1] == ("--suite",) else words
    outcome = real_gmr("bench", *words)
    # Without any word there is the help.
    assert (outcome.status, message in outcome.err) == (2, True) if words else "Usage" in outcome.out
