"""``gmr rank``: documents in, the same documents in order out, in every form."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

from gmr.core.nouns import probability
from gmr.core.trec import read_run
from gmr.modeling.loading import load_model
from gmr.modeling.saving import save_model
from gmr.reranker import Reranker
from tests.cli.stubs import Outcome, WordOverlap
from tests.helpers.tiny_checkpoints import tiny_checkpoint

Gmr = Callable[..., Outcome]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Three texts, two pictures and one of both, with ids that a terminal should not obey."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, colour in (("red", "red"), ("blue", "blue")):
        PIL.Image.new("RGB", (12, 8), colour).save(folder / f"{name}.png")
    records = [
        {"_id": "one", "text": "black chess queen"},
        {"_id": "two", "text": "white chess queen"},
        {"_id": "thr\x1b[31mee", "text": "a pawn \x1b[2J"},
        {"_id": "red", "image": "red.png"},
        {"_id": "blue", "image": "blue.png"},
        {"_id": "both", "image": "red.png", "text": "black"},
    ]
    path = folder / "documents.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


EXPECTED = ["one", "two", "both", "red", "blue", "thr\x1b[31mee"]


def test_the_table_holds_every_document_in_order(gmr: Gmr, documents: Path) -> None:
    outcome = gmr("rank", "--query", "black chess queen", "--documents", documents)
    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines() if re.match(r"\s+\d", line)]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[0][1:3] == ["+2.000", f"{probability(2.0):.3f}"]
    assert "picture + text" in outcome.out
    assert "\x1b" not in outcome.out
    assert "thr\\x1b[31mee" in outcome.out


def test_json_lines_are_n_in_n_out(gmr: Gmr, documents: Path) -> None:
    outcome = gmr("rank", "--query", "black chess queen", "--documents", documents, "--json")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert [record["doc_id"] for record in records] == EXPECTED
    assert [record["rank"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record["modality"] for record in records] == ["t", "t", "it", "i", "i", "t"]
    for record in records:
        assert record["probability"] == pytest.approx(probability(record["score"]))
    assert "\x1b" not in outcome.out


def test_a_grade_has_no_probability(real_gmr: Gmr, documents: Path, tmp_path: Path) -> None:
    model = load_model(
        tiny_checkpoint("qwen2_5_vl"), answers="grades_0_9", readout="expectation", device="cpu"
    )
    save_model(model, tmp_path / "graded")
    words = ("rank", "-m", tmp_path / "graded", "-q", "queen", "-d", documents)
    page = tmp_path / "ranking.html"
    table = real_gmr(*words, "--html", page)
    assert table.status == 0
    assert "probability" not in table.out
    assert "score" in table.out
    assert "probability" not in page.read_text(encoding="utf-8")
    records = [json.loads(line) for line in real_gmr(*words, "--json").out.splitlines()]
    assert len(records) == 6
    assert {record["probability"] for record in records} == {None}
    assert all(0 <= record["score"] <= 9 for record in records)


def test_top_k_shows_the_first_and_says_so(gmr: Gmr, documents: Path) -> None:
    outcome = gmr("rank", "--query", "black chess queen", "--documents", documents, "--top-k", 2)
    assert len(re.findall(r"^\s+\d", outcome.out, flags=re.MULTILINE)) == 2
    assert "2 of 6 documents shown" in outcome.err


def test_trec_output_reads_back_as_the_run(gmr: Gmr, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a b\nb c\nc d\n")
    outcome = gmr("rank", "-q", "b c", "-d", texts, "--trec", "--query-id", "q7", "--run-tag", "mine")
    run = tmp_path / "out.trec"
    run.write_text(outcome.out)
    assert read_run(run) == {"q7": {"1": 0.0, "2": 1.0, "3": 0.0}}
    assert [line.split()[2] for line in outcome.out.splitlines()] == ["2", "3", "1"]
    assert {line.split()[5] for line in outcome.out.splitlines()} == {"mine"}


def test_an_id_that_trec_cannot_hold_is_an_error(gmr: Gmr, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"_id": "a b", "text": "x"}\n')
    outcome = gmr("rank", "-q", "x", "-d", path, "--trec")
    assert outcome.status == 65
    assert "'a b'" in outcome.err


def test_the_page_shows_query_and_documents_with_their_pictures(
    gmr: Gmr, documents: Path, tmp_path: Path
) -> None:
    page = tmp_path / "ranking.html"
    image = documents.parent / "blue.png"
    outcome = gmr("rank", "--query", "q", "--query-image", image, "--documents", documents, "--html", page)
    assert outcome.status == 0
    shown = page.read_text(encoding="utf-8")
    assert shown.count("data:image/png;base64,") == 4
    assert shown.index(">q<") < shown.index('class="ranking"')
    assert f"wrote {page}" in outcome.err


def test_a_fused_query_has_its_pictures_first_and_then_its_text(
    gmr: Gmr, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    rank = WordOverlap.rank

    def spy(self: WordOverlap, query, documents):  # type: ignore[no-untyped-def]
        seen.append(query)
        return rank(self, query, documents)

    monkeypatch.setattr(WordOverlap, "rank", spy)
    red, blue = (documents.parent / f"{name}.png" for name in ("red", "blue"))
    words = ["--query-image", red, "--query", "text", "--query-image", blue, "--instruction", "Find it."]
    assert gmr("rank", *words, "--documents", documents).status == 0
    (query,) = seen
    assert [part.source if hasattr(part, "source") else part.text for part in query.item] == [
        red,
        blue,
        "text",
    ]
    assert query.instruction == "Find it."


def test_model_options_reach_the_model(gmr: Gmr, documents: Path) -> None:
    options = [
        "--model",
        "m",
        "--dtype",
        "bfloat16",
        "--device",
        "cpu",
        "--template",
        "gmr",
        "--adapter",
        "a",
        "--engine",
        "padded",
        "--document-cache",
        "kept",
        "--quantize",
        "int8",
        "--compile",
    ]
    assert gmr("rank", "-q", "x", "-d", documents, *options).status == 0
    (made,) = WordOverlap.made
    assert made.name == "m"
    given = {key: value for key, value in made.options.items() if key != "progress"}
    assert given == {
        "dtype": "bfloat16",
        "device": "cpu",
        "template": "gmr",
        "adapter": "a",
        "engine": "padded",
        "document_cache_folder": Path("kept"),
        "quantize": "int8",
        "compile": True,
    }


def test_documents_come_from_stdin(gmr: Gmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tmp_path / "lines"
    lines.write_text('{"_id": "x", "text": "a b"}\n{"_id": "y", "text": "c"}\n')
    with lines.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        outcome = gmr("rank", "-q", "b", "-d", "-", "--json")
    assert outcome.status == 0, outcome.err
    assert [json.loads(line)["doc_id"] for line in outcome.out.splitlines()] == ["x", "y"]


def test_a_real_model_gives_the_scores_of_the_library(real_gmr: Gmr, documents: Path) -> None:
    folder = tiny_checkpoint("qwen2_5_vl")
    outcome = real_gmr(
        "rank", "--model", folder, "--query", "black queen", "--documents", documents, "--json"
    )
    assert outcome.status == 0, outcome.err
    shown = {record["doc_id"]: record["score"] for record in map(json.loads, outcome.out.splitlines())}
    root = documents.parent
    items = {
        "one": "black chess queen",
        "red": PIL.Image.open(io.BytesIO((root / "red.png").read_bytes())),
        "both": {"image": root / "red.png", "text": "black"},
    }
    expected = Reranker(str(folder)).score([("black queen", item) for item in items.values()])
    assert [shown[name] for name in items] == pytest.approx(expected.tolist(), abs=1e-5)
    assert len(shown) == 6
