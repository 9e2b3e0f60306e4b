"""Bad input ends with one line that names what is at fault, and never with a traceback or a lost document."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gmr.modeling.loading import load_model
from gmr.modeling.saving import save_model
from tests.cli.stubs import Outcome, WordOverlap
from tests.helpers.tiny_checkpoints import build_tiny_checkpoint

Gmr = Callable[..., Outcome]


def refused(outcome: Outcome, *parts: object) -> None:
    """The outcome is exit status 65, nothing on stdout, and one line that holds the parts."""
    assert outcome.status == 65, outcome
    assert outcome.out == ""
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, outcome.err
    assert "Traceback" not in outcome.err
    for part in parts:
        assert str(part) in errors[0]


def jsonl(path: Path, *records: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records)
    )
    return path


GOOD = {"_id": "good", "text": "a good one"}


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        ({"_id": "bad", "image": "missing.png"}, ["documents.jsonl:2", "missing.png"]),
        ({"_id": "bad", "image": "corrupt.png"}, ["documents.jsonl:2", "bad", "corrupt.png"]),
        ({"_id": "bad", "image": "text.png"}, ["documents.jsonl:2", "bad", "text.png"]),
        ({"_id": "bad", "image": "../outside.png"}, ["documents.jsonl:2", "outside.png"]),
        ({"_id": "bad", "text": ""}, ["documents.jsonl:2", "bad"]),
        ({"_id": "bad", "text": " "}, ["documents.jsonl:2", "bad"]),
        ({"_id": "bad", "content": []}, ["documents.jsonl:2"]),
        ({"_id": "bad"}, ["documents.jsonl:2"]),
        ({"_id": "bad", "txet": "x"}, ["documents.jsonl:2", "txet"]),
        ({"_id": "bad", "text": 7}, ["documents.jsonl:2", "7"]),
        ({"_id": "good", "text": "again"}, ["documents.jsonl:2", "good"]),
        ({"_id": "bad", "image": "https://example.org/x.png"}, ["documents.jsonl:2", "example.org"]),
        ("{not json", ["documents.jsonl:2"]),
        ("[1]", ["documents.jsonl:2"]),
    ],
    ids=str,
)
def test_a_bad_document_is_named_and_nothing_is_ranked(
    gmr: Gmr, tmp_path: Path, record: object, parts: list[str]
) -> None:
    picture = tmp_path / "whole.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(picture)
    folder = tmp_path / "in"
    documents = jsonl(folder / "documents.jsonl", GOOD, record)
    (folder / "corrupt.png").write_bytes(picture.read_bytes()[:20])
    (folder / "text.png").write_text("no picture")
    refused(gmr("rank", "-q", "x", "-d", documents, "--html", tmp_path / "page.html"), *parts)
    assert not (tmp_path / "page.html").exists()


def test_a_truncated_picture_is_an_error_of_a_real_model(real_gmr: Gmr, tmp_path: Path) -> None:
    picture = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(picture)
    picture.write_bytes(picture.read_bytes()[:-400])
    model = build_tiny_checkpoint(tmp_path / "model", "qwen2_5_vl")
    documents = jsonl(tmp_path / "documents.jsonl", GOOD, {"_id": "cut", "image": "cut.png"})
    refused(real_gmr("rank", "-m", model, "-q", "x", "-d", documents), "document 'cut'", "cut.png")


def test_a_query_picture_that_cannot_be_read_is_named_before_any_model_is_loaded(
    gmr: Gmr, tmp_path: Path
) -> None:
    documents = jsonl(tmp_path / "documents.jsonl", GOOD)
    refused(gmr("rank", "--query-image", tmp_path / "none.png", "-d", documents), "--query-image", "none.png")
    (tmp_path / "text.png").write_text("no picture")
    refused(gmr("rank", "--query-image", tmp_path / "text.png", "-d", documents), "--query-image", "text.png")
    assert not WordOverlap.made


def test_a_score_that_is_no_number_is_an_error_with_the_document(
    gmr: Gmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = beir(tmp_path / "task")
    monkeypatch.setattr(
        WordOverlap, "score", lambda self, pairs: np.full(len(pairs), np.nan, dtype=np.float32)
    )
    refused(gmr("evaluate", "--model", "m", "--task", folder), "q1", "d1", "nan")


def beir(folder: Path, *, corpus: object = None, queries: object = None, qrels: str = "q1\td1\t1\n") -> Path:
    documents = [{"_id": "d1", "text": "one"}, {"_id": "d2", "text": "two"}]
    jsonl(folder / "corpus.jsonl", *documents, *([corpus] if corpus else []))
    jsonl(folder / "queries.jsonl", queries or {"_id": "q1", "text": "one"})
    jsonl(folder / "top_ranked.jsonl", {"query-id": "q1", "corpus-ids": ["d1", "d2"]})
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    return folder


def test_the_folder_of_the_tests_below_is_a_good_one_unless_spoiled(gmr: Gmr, tmp_path: Path) -> None:
    assert gmr("evaluate", "--model", "m", "--task", beir(tmp_path / "task")).status == 0


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        ({"qrels": "q1\td9\t1\n"}, ["d9"]),
        ({"qrels": "q9\td1\t1\n"}, ["q9"]),
        ({"qrels": "q1\td1\tmany\n"}, ["test.tsv:2", "many"]),
        ({"qrels": "q1\td1\n"}, ["test.tsv:2"]),
        ({"qrels": "q1\td1\t1\nq1\td1\t0\n"}, ["test.tsv:3", "d1"]),
        ({"corpus": {"_id": "d1", "text": "again"}}, ["corpus.jsonl:3", "d1"]),
        ({"corpus": {"_id": "d3", "txet": "wrong column"}}, ["corpus.jsonl:3", "txet"]),
        ({"queries": {"_id": "q1", "txet": "one"}}, ["queries.jsonl:1"]),
        ({"queries": {"_id": "q1", "text": "one", "instruction": 5}}, ["queries.jsonl:1", "5"]),
    ],
    ids=str,
)
def test_a_bad_task_folder_is_named_by_file_line_and_id(
    gmr: Gmr, tmp_path: Path, spoil: dict[str, object], parts: list[str]
) -> None:
    refused(gmr("evaluate", "--model", "m", "--task", beir(tmp_path / "task", **spoil)), *parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("q1 Q0 d1 1 0.5", ["run.trec:2", "5"]),
        ("q1 Q0 d1 1 nan t", ["run.trec:2", "nan"]),
        ("q1 Q0 d0 2 1 t", ["d0"]),
    ],
)
def test_a_bad_run_is_named_by_file_and_line(gmr: Gmr, tmp_path: Path, line: str, parts: list[str]) -> None:
    (tmp_path / "run.trec").write_text(f"q1 Q0 d0 1 1.0 t\n{line}\n")
    (tmp_path / "qrels").write_text("q1 0 d0 1\n")
    refused(gmr("evaluate", "--run", tmp_path / "run.trec", "--qrels", tmp_path / "qrels"), *parts)


def rank_with(real_gmr: Gmr, model: Path, tmp_path: Path) -> Outcome:
    return real_gmr("rank", "-m", model, "-q", "x", "-d", jsonl(tmp_path / "d.jsonl", GOOD))


def test_a_missing_model_is_named(real_gmr: Gmr, tmp_path: Path) -> None:
    refused(rank_with(real_gmr, tmp_path / "nothing", tmp_path), tmp_path / "nothing")


def test_a_folder_that_is_no_model_is_named(real_gmr: Gmr, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(rank_with(real_gmr, tmp_path / "empty", tmp_path), tmp_path / "empty")
    refused(real_gmr("info", tmp_path / "empty"), tmp_path / "empty")


def test_pickled_weights_are_refused_and_not_executed(real_gmr: Gmr, tmp_path: Path) -> None:
    model = build_tiny_checkpoint(tmp_path / "model", "qwen2_5_vl")
    (model / "model.safetensors").unlink()
    executed = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (executed,)  # type: ignore[return-value]

    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Trap()}))
    refused(rank_with(real_gmr, model, tmp_path), model)
    assert not executed.exists()


def test_a_broken_weight_file_is_named(real_gmr: Gmr, tmp_path: Path) -> None:
    model = build_tiny_checkpoint(tmp_path / "model", "qwen2_5_vl")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused(rank_with(real_gmr, model, tmp_path), "model.safetensors")


def test_weights_that_are_no_numbers_do_not_rank(real_gmr: Gmr, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = build_tiny_checkpoint(tmp_path / "model", "qwen2_5_vl")
    weights = load_file(model / "model.safetensors")
    broken = {name: tensor * float("nan") if "norm" in name else tensor for name, tensor in weights.items()}
    save_file(broken, model / "model.safetensors", metadata={"format": "pt"})
    refused(rank_with(real_gmr, model, tmp_path))


def test_an_answer_of_two_tokens_is_named_with_the_model(real_gmr: Gmr, tmp_path: Path) -> None:
    model = save_model(
        load_model(build_tiny_checkpoint(tmp_path / "plain", "qwen2_5_vl"), device="cpu", self_check=False),
        tmp_path / "model",
    )
    settings = json.loads((model / "gmr.json").read_text())
    (model / "gmr.json").write_text(
        json.dumps(settings | {"answers": {"positive": ["yesno"], "negative": ["no"]}})
    )
    refused(rank_with(real_gmr, model, tmp_path), model, "'yesno' must be one token", "gmr.json")
    (model / "gmr.json").write_text(json.dumps(settings | {"max_token": 7}))
    refused(rank_with(real_gmr, model, tmp_path), model, "max_token")


def test_an_id_that_a_trec_run_cannot_hold_is_said_before_scoring(gmr: Gmr, tmp_path: Path) -> None:
    documents = jsonl(tmp_path / "d.jsonl", GOOD, {"_id": "my photo.png", "text": "x"})
    refused(gmr("rank", "-q", "x", "-d", documents, "--trec"), "--trec", "my photo.png", "--json")
    assert not WordOverlap.made
    assert gmr("rank", "-q", "x", "-d", documents, "--json").status == 0


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--suite", "glyfs"], ["--suite", "glyfs", "glyphs"]),
        (["--suite", "glyphs", "--split", "train"], ["--split", "train", "known"]),
        (["--suite", "glyphs", "--device", "gpu"], ["--device", "gpu", "cuda"]),
        (["--suite", "glyphs", "--engine", "fast"], ["fast", "packed"]),
    ],
    ids=str,
)
def test_a_word_that_is_none_is_an_error_of_usage(gmr: Gmr, options: list[str], parts: list[str]) -> None:
    outcome = gmr("evaluate", *options)
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err
