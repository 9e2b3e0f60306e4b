"""What a newcomer does in the first half hour, and should not have to find out alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gmr.core.datasets import write_beir
from gmr.core.errors import ConfigError
from gmr.core.items import as_item
from gmr.core.nouns import Document, Query
from gmr.reranker import Reranker
from gmr.train.arguments import training_arguments
from gmr.train.recipe import load_recipe
from tests.cli.stubs import Outcome
from tests.cli.test_evaluate import task

Gmr = Callable[..., Outcome]
LONG = "blue thing " * 1500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_beir(task(), tmp_path / "words")
    return tmp_path / "words"


def test_pairs_that_are_cut_are_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    reranker = Reranker(device="cpu")
    reranker.score([("red circle", "a short text")])
    assert not caplog.messages
    reranker.score([("red circle", "a short text"), ("red circle", LONG), (LONG, "red"), (LONG, LONG)])
    reranker.score([("red circle", LONG)])
    (told,) = caplog.messages
    assert told.startswith(
        "query '2' with document '2': 3 of 5 pairs were cut to 512 tokens (max_tokens), 2 of them to "
    )
    assert "nothing of the document; this is said once" in told
    assert (reranker.tally.num_cut, reranker.tally.num_lost) == (4, 2)


def test_a_document_is_lost_only_when_nothing_of_it_is_left() -> None:
    processor = Reranker(device="cpu").model.processor
    for query, document, cut, lost in (
        ("a", "b", False, False),
        ("a", LONG, True, False),
        (LONG, "b", True, True),
    ):
        prompt = processor.encode(Query("q", as_item(query)), Document("d", as_item(document)))
        assert (prompt.truncated, prompt.document_lost) == (cut, lost)


def test_rank_says_that_documents_were_cut(real_gmr: Gmr, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text(f"red\n{LONG}\n")
    outcome = real_gmr("rank", "-q", "red", "-d", path, "--device", "cpu", "--json")
    assert outcome.status == 0
    assert "query 'q1' with document '2': 1 of 2 pairs were cut to 512 tokens (max_tokens)" in outcome.err


def test_tasks_with_measures_of_their_own_are_not_measured_by_another(gmr: Gmr, tmp_path: Path) -> None:
    for name, measure in (("m5", "ndcg@5"), ("m10", "rr@10")):
        write_beir(task(name), tmp_path / name)
        about = json.loads((tmp_path / name / "task.json").read_text()) | {"measure": measure}
        (tmp_path / name / "task.json").write_text(json.dumps(about))
    words = ("evaluate", "--model", "m", "--task", tmp_path / "m5", "--task", tmp_path / "m10")
    outcome = gmr(*words)
    assert (outcome.status, outcome.out) == (2, "")
    assert "measures of their own (m5: ndcg@5, m10: rr@10): name one for all with --measure" in outcome.err
    assert gmr(*words, "--measure", "rr@10").status == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"measure": "mrr"}, "task.json: measure: unknown measure 'mrr': did you mean 'rr'?"),
        ({"measure": 3}, "task.json: measure: a string is needed, this is 3"),
        ({"mesure": "rr"}, "task.json: unknown key 'mesure'"),
    ],
)
def test_what_is_wrong_with_the_facts_of_a_folder_is_named(
    gmr: Gmr, folder: Path, change: dict[str, object], told: str
) -> None:
    (folder / "task.json").write_text(json.dumps({"name": "words"} | change))
    outcome = gmr("evaluate", "--model", "m", "--task", folder)
    assert outcome.status == 65
    assert told in outcome.err


def test_a_first_stage_of_other_data_is_refused_and_results_are_no_records(
    real_gmr: Gmr, gmr: Gmr, folder: Path, tmp_path: Path
) -> None:
    assert real_gmr("first-stage", "--task", folder, "-r", "bm25", "-o", tmp_path / "words.trec").status == 0
    corpus = (folder / "corpus.jsonl").read_text()
    (folder / "corpus.jsonl").write_text(corpus.replace("this is alpha", "this is omega"))
    outcome = gmr("evaluate", "--model", "m", "--task", folder, "--first-stage", tmp_path / "words.trec")
    assert outcome.status == 65
    assert "words.trec" in outcome.err
    (folder / "corpus.jsonl").write_text(corpus)
    assert gmr("evaluate", "--model", "m", "--task", folder, "-o", tmp_path / "results").status == 0
    again = tmp_path / "results" / "m" / "words.trec"
    assert again.with_suffix(".json").is_file()
    assert gmr("evaluate", "--model", "m", "--task", folder, "--first-stage", again).status == 0


def test_results_say_what_was_measured_and_what_was_left_out(gmr: Gmr, folder: Path, tmp_path: Path) -> None:
    assert gmr("evaluate", "--model", "m", "--task", folder, "-o", tmp_path / "results").status == 0
    record = json.loads((tmp_path / "results" / "results.json").read_text())
    assert record["facts"]["m"]["weights"] == "0" * 64
    page = (tmp_path / "results" / "results.html").read_text()
    assert "dtype float32, template words, weights 0000000000000000" in page
    run = tmp_path / "results" / "m" / "words.trec"
    qrels = tmp_path / "some.qrels"
    qrels.write_text("q-alpha 0 d-alpha 1\nq-omega 0 d-alpha 1\n")
    outcome = gmr("evaluate", "--run", run, "--qrels", qrels, "-o", tmp_path / "measured")
    page = (tmp_path / "measured" / "results.html").read_text()
    for told in (outcome.err, page):
        assert "7 queries without judgments left out" in told
    qrels.write_text("q-alpha 0 d-alpha 1\n")
    outcome = gmr("evaluate", "--run", run, "--qrels", qrels)
    assert "7 queries without judgments left out" in outcome.err


@pytest.mark.parametrize(
    "words",
    [["evaluate", "--seed", "-1"], ["bench", "--seed", "-1"], ["probe", "gradients", "--seed", "-1"]],
    ids=" ".join,
)
def test_a_negative_seed_is_refused_at_once(gmr: Gmr, words: list[str]) -> None:
    outcome = gmr(*words)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--seed" in outcome.err


def test_a_file_of_ones_own_takes_the_place_of_a_suite(tmp_path: Path) -> None:
    for nothing in ("none", '""'):
        own = [f"data.path={tmp_path / 'a.jsonl'}", f"data.suite={nothing}", f"data.dev={nothing}"]
        recipe = load_recipe("gmr-nano-sft", [*own, "evaluation.every=0"])
        assert (recipe.data.suite, recipe.data.dev) == (None, "")
    with pytest.raises(
        ConfigError, match=r"--set data\.path=FILE --set data\.suite=none --set data.dev=none"
    ):
        load_recipe("gmr-nano-sft", own[:1])
    with pytest.raises(ConfigError, match=r"--set data\.dev=none"):
        load_recipe("gmr-nano-sft", own[:2])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data.limit=-1", "data.limit is a number of examples: 1 or more, not -1"),
        ("lora.r=0", "lora.r is the rank of the adapters: 1 or more, not 0"),
        ("evaluation.measure=mrr", "unknown measure 'mrr'"),
        ("training.learning_rate=-1", "training.learning_rate must be at least 0, not -1"),
        (
            "training.per_device_train_batch_size=0",
            "training.per_device_train_batch_size must be at least 1, not 0",
        ),
        ("training.seed=-1", "training.seed must be at least 0, not -1"),
        ("training.max_steps=-3", "training.max_steps must be 1 or more, or -1 for whole epochs, not -3"),
        ("training.max_steps=0", "training.max_steps must be 1 or more"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_name(change: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        training_arguments(load_recipe("gmr-nano-sft", [change]), tmp_path)
    assert told in str(error.value)


def test_scores_of_cut_pairs_are_those_of_the_texts_that_stay() -> None:
    """What is told of a cut does not change it: a text that is longer beyond the cut scores the same."""
    reranker = Reranker(device="cpu")
    first, second = reranker.score([("red", LONG), ("red", LONG + " circle")])
    assert np.isclose(first, second, atol=1e-5)
