"""``gmr first-stage``: the run that the library builds, its record, and a table."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gmr.core.datasets import read_beir, write_beir
from gmr.core.frozen_runs import verify
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_run, write_run
from gmr.first_stage.bm25 import BM25
from tests.cli.stubs import Outcome
from tests.first_stage.models import save_embedder
from tests.helpers.tiny_checkpoints import tiny_checkpoint

Gmr = Callable[..., Outcome]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]


def task(name: str = "words") -> RerankTask:
    """Each word as a query; two documents say it, one of them is relevant. No candidates yet."""
    queries = {f"q-{word}": Query(f"q-{word}", (Text(word),)) for word in WORDS}
    corpus = {
        f"{kind}-{word}": Document(f"{kind}-{word}", (Text(f"{word} {kind}"),))
        for word in WORDS
        for kind in "ab"
    }
    return RerankTask(name, "t2t", queries, corpus, {f"q-{word}": {f"a-{word}": 1} for word in WORDS}, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_beir(task(), tmp_path / "words")
    return tmp_path / "words"


def test_the_run_is_that_of_the_library_and_the_table_has_its_measures(
    real_gmr: Gmr, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "runs" / "words.trec.gz"
    outcome = real_gmr("first-stage", "--task", folder, "-r", "bm25", "--k1", "1.5", "--depth", 5, "-o", path)
    assert outcome.status == 0, outcome.err
    this = read_beir(folder, needs_first_stage=False)
    assert read_run(path) == BM25(k1=1.5).search(this.queries, this.corpus, depth=5)
    record = verify(path, task=this)
    row = next(line.split() for line in outcome.out.splitlines() if line.strip().startswith("words"))
    # Both documents of a word tie, and the relevant one has the smaller id: it stands second.
    assert row == ["words", "6", "12", "12", "1.0000", "0.6309"]
    assert record["retriever"]["k1"] == 1.5
    assert outcome.err.splitlines()[-1] == f"wrote {path} and its record"


def test_the_frozen_run_is_what_evaluate_takes(real_gmr: Gmr, gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    real_gmr("first-stage", "--task", folder, "-r", "bm25", "-o", tmp_path / "words.trec")
    outcome = gmr("evaluate", "--model", "m", "--task", folder, "--first-stage", tmp_path / "words.trec")
    assert outcome.status == 0, outcome.err
    assert "0.631" in outcome.out


def test_two_calls_write_the_same_bytes_and_nothing_is_replaced_unasked(
    real_gmr: Gmr, folder: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert real_gmr("first-stage", "--task", folder, "-r", "bm25", "-o", tmp_path / name).status == 0
    for file in ("words.trec", "words.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    outcome = real_gmr("first-stage", "--task", folder, "-r", "bm25", "-o", tmp_path / "one")
    assert outcome.status == 2
    assert "words.trec is there already; --overwrite replaces it" in outcome.err
    outcome = real_gmr(
        "first-stage", "--task", folder, "-r", "bm25", "--k1", 2, "-o", tmp_path / "one", "--overwrite"
    )
    assert outcome.status == 0
    assert json.loads((tmp_path / "one" / "words.json").read_text())["retriever"]["k1"] == 2


def test_runs_are_fused_and_imported(real_gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    this = task()
    for name, order in (("a", 1), ("b", -1)):
        write_run(
            {q: {d: order * i for i, d in enumerate(this.corpus)} for q in this.queries},
            tmp_path / f"{name}.trec",
        )
    both = f"rrf:{tmp_path / 'a.trec'},{tmp_path / 'b.trec'}"
    assert real_gmr("first-stage", "--task", folder, "-r", both, "-o", tmp_path / "o" / "f.trec").status == 0
    fused = read_run(tmp_path / "o" / "f.trec")["q-beta"]
    assert fused["a-alpha"] == pytest.approx(1 / 61 + 1 / 72)
    weighted = f"sum:2*{tmp_path / 'a.trec'},0.5*{tmp_path / 'b.trec'}"
    assert (
        real_gmr("first-stage", "--task", folder, "-r", weighted, "-o", tmp_path / "o" / "s.trec").status == 0
    )
    assert max(read_run(tmp_path / "o" / "s.trec")["q-beta"].values()) == 2
    imported = f"import:{tmp_path / 'a.trec'}"
    outcome = real_gmr(
        "first-stage", "--task", folder, "-r", imported, "--depth", 3, "-o", tmp_path / "o" / "i.trec"
    )
    assert outcome.status == 0
    assert {len(scores) for scores in read_run(tmp_path / "o" / "i.trec").values()} == {3}


def test_several_tasks_take_a_folder_and_files_by_task(real_gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    write_beir(task("more words"), tmp_path / "more")
    tasks = ("--task", folder, "--task", tmp_path / "more")
    assert real_gmr("first-stage", *tasks, "-r", "bm25", "-o", tmp_path / "runs").status == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        *("words.trec", "words.json", "more-words.trec", "more-words.json")
    }
    files = f"import:{tmp_path / 'runs'}/{{task}}.trec"
    assert real_gmr("first-stage", *tasks, "-r", files, "-o", tmp_path / "again").status == 0
    assert read_run(tmp_path / "again" / "more-words.trec") == read_run(tmp_path / "runs" / "more-words.trec")
    one = f"import:{tmp_path / 'runs' / 'words.trec'}"
    assert (
        "one file for 2 tasks; write {task}"
        in real_gmr("first-stage", *tasks, "-r", one, "-o", tmp_path / "x").err
    )
    assert (
        "one file for 2 tasks; name a folder"
        in real_gmr("first-stage", *tasks, "-r", "bm25", "-o", tmp_path / "x.trec").err
    )


def test_verify_checks_and_shows_the_record(real_gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.trec"
    real_gmr("first-stage", "--task", folder, "-r", "bm25", "-o", path)
    outcome = real_gmr("first-stage", "--verify", path, "--task", folder)
    assert outcome.status == 0, outcome.err
    assert "agrees with its record, and with the queries and documents of words" in outcome.err
    assert "0.6309" in outcome.out
    path.write_text(path.read_text().replace("bm25", "bm26"))
    outcome = real_gmr("first-stage", "--verify", path)
    assert outcome.status == 65
    assert "the run was changed" in outcome.err


def test_pictures_of_the_embedded_suite_are_found_by_pixels(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr(
        *("first-stage", "--suite", "glyphs", "--task-type", "i2i", "--limit", 20),
        *("-r", "pixels", "--depth", 50, "-o", tmp_path),
    )
    assert outcome.status == 0, outcome.err
    record = json.loads((tmp_path / "glyphs-i2i.json").read_text())
    assert record["counts"]["candidates"] == 20 * 50
    assert record["measured"]["recall@50"] > 0.8


def test_relevant_documents_that_are_left_out_as_the_query_itself_are_told(
    real_gmr: Gmr, tmp_path: Path
) -> None:
    words = ["first-stage", "--suite", "glyphs", "--task-type", "i2i", "--limit", 20, "-r", "pixels"]
    outcome = real_gmr(*words, "--exclude-self", "content", "-o", tmp_path)
    assert outcome.status == 0, outcome.err
    assert "documents were left out as the query itself that are judged relevant" in outcome.err


def test_tasks_that_a_retriever_cannot_search_are_an_error_by_name(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr("first-stage", "--suite", "glyphs", "--task-type", "i2i", "-r", "bm25", "-o", tmp_path)
    assert outcome.status == 65
    assert outcome.err.startswith("error: glyphs-i2i: bm25 ranks by shared words")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-r", "bm25"], "say how and where"),
        (["-o", "x"], "say how and where"),
        (
            ["-r", "tfidf", "-o", "x"],
            "no retriever is called 'tfidf'; write one of bm25, pixels, colours, st:MODEL",
        ),
        (["-r", "bm25:x", "-o", "x"], "'bm25:x' is no retriever; it is written bm25"),
        (["-r", "st:", "-o", "x"], "'st:' is no retriever; it is written st:MODEL"),
        (["-r", "vlm", "-o", "x"], "it is written vlm:MODEL"),
        (["-r", "rrf:a.trec", "-o", "x"], "two runs or more"),
        (["-r", "rrf:a.trec,", "-o", "x"], "a file between two commas is missing"),
        (["-r", "pixels", "--k1", "2", "-o", "x"], "--k1 belongs to bm25, not to pixels"),
        (["-r", "bm25", "--dtype", "float16", "-o", "x"], "--dtype belongs to st, vlm, not to bm25"),
        (["-r", "bm25", "--stop-words", "xx", "-o", "x"], "no stop words for 'xx'"),
        (
            ["-r", "bm25", "--exclude-self", "maybe", "-o", "x"],
            "no rule for the query itself is called 'maybe'; there are id, content",
        ),
        (["-r", "bm25", "--depth", "2000", "-o", "x"], "less than or equal to 1000"),
        (["-r", "bm25", "--limit", "2", "-o", "x"], "a --task folder is taken whole"),
        (["-r", "bm25", "--suite", "glyphs", "-o", "x"], "one of them"),
        (["--verify", "x.trec", "-r", "bm25"], "--verify only checks"),
        (["--verify", "x.trec", "--verify", "y.trec"], "2 runs and 1 tasks"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_one_line(
    real_gmr: Gmr,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run({"q": {"d": 1.0}}, tmp_path / "a.trec")
    outcome = real_gmr("first-stage", "--task", folder, *words)
    assert outcome.status == 2, outcome.err
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_the_help_teaches_by_examples(real_gmr: Gmr) -> None:
    outcome = real_gmr("first-stage", "--help")
    assert outcome.status == 0
    assert "--retriever bm25 --stop-words en" in " ".join(outcome.out.split())


def test_a_vision_language_embedder_searches_texts_and_pictures_and_keeps_embeddings(
    real_gmr: Gmr, tmp_path: Path
) -> None:
    model = f"vlm:{tiny_checkpoint('qwen2_vl')}"
    words = [
        "first-stage",
        "--suite",
        "glyphs",
        "--task-type",
        "it2it",
        "--limit",
        5,
        "-r",
        model,
        "--depth",
        20,
    ]
    for name in ("one", "two"):
        outcome = real_gmr(
            *words, "--cache", tmp_path / "cache", "--instruction", "Find it", "-o", tmp_path / name
        )
        assert outcome.status == 0, outcome.err
    for file in ("glyphs-it2it.trec", "glyphs-it2it.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    record = json.loads((tmp_path / "one" / "glyphs-it2it.json").read_text())
    assert record["counts"]["candidates"] == 100
    assert record["retriever"]["prompt"]["name"] == "gme"
    assert record["retriever"]["instruction"] == "Find it"
    assert list((tmp_path / "cache").rglob("*.safetensors"))


def test_an_embedder_of_sentence_transformers_searches_texts(
    real_gmr: Gmr, folder: Path, tmp_path: Path
) -> None:
    model = save_embedder(tmp_path / "embedder")
    outcome = real_gmr(
        "first-stage", "--task", folder, "-r", f"st:{model}", "--device", "cpu", "-o", tmp_path / "r"
    )
    assert outcome.status == 0, outcome.err
    record = json.loads((tmp_path / "r" / "words.json").read_text())
    assert record["counts"]["candidates"] == 6 * 12
    assert record["retriever"]["similarity"] == "cosine"
