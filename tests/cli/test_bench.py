"""``gmr bench engine``: a table and a sentence for each workload, the same as JSON and as files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.stubs import Outcome
from tests.helpers.tiny_checkpoints import tiny_checkpoint

Gmr = Callable[..., Outcome]
SMALL = ("bench", "engine", "--documents", 4, "--repeats", 1, "--device", "cpu", "--variant", "packed")


def test_bench_alone_shows_its_help_and_no_error(real_gmr: Gmr) -> None:
    outcome = real_gmr("bench")
    assert (outcome.status, outcome.err) == (2, "")
    assert "engine" in outcome.out
    assert outcome.out.split() == real_gmr("bench", "--help").out.split()


def test_the_help_teaches_by_examples_with_real_options(real_gmr: Gmr) -> None:
    assert "gmr bench engine" in real_gmr("bench", "--help").out
    options, examples = real_gmr("bench", "engine", "--help").out.split("Examples")
    assert "gmr bench engine" in examples
    assert not {word for word in examples.split() if word.startswith("--") and word not in options}


def test_each_workload_has_a_table_and_a_sentence(real_gmr: Gmr) -> None:
    outcome = real_gmr(*SMALL, "--workload", "t2t", "--workload", "T->I", "--variant", "packed+documents")
    assert outcome.status == 0, outcome.err
    first, second = outcome.out.split("T→I")
    assert first.startswith("T→T  1 query, 4 documents, texts of about 150 tokens")
    for part in (first, second):
        assert [line.split()[0] for line in part.splitlines() if "×" in line] == ["padded", "packed"]
        assert "packed+documents did not run: the template does not put documents first" in part
        assert "Use pa" in part
    assert "CPU seconds on" in second


def test_json_and_files_say_the_same(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr(*SMALL, "--workload", "T->I", "--json", "--output", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert outcome.err.endswith(f"wrote {tmp_path / 'out'}/\n")
    record = json.loads(outcome.out)
    assert record == json.loads((tmp_path / "out" / "engine.json").read_text())
    (workload,) = record["workloads"]
    padded, packed = workload["measured"]
    assert (padded["variant"], packed["variant"]) == ("padded", "packed")
    assert padded["num_pictures"] == packed["num_pictures"] == workload["num_pairs"] == 4
    assert packed["num_tokens"] < padded["num_tokens"]
    page = (tmp_path / "out" / "engine.md").read_text()
    assert workload["advice"] in page
    assert f"{packed['num_tokens']:,}" in page
    assert record["environment"]["torch"]


def test_a_text_model_is_given_texts_and_the_rest_is_named(real_gmr: Gmr) -> None:
    outcome = real_gmr(*SMALL, "--model", tiny_checkpoint("qwen3"))
    assert outcome.status == 0, outcome.err
    assert outcome.out.count("Use pa") == 1
    assert "pages was left out: the model takes no pictures as document" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workload", "V->V"], "--workload: 'V->V' is unknown; there are t2t, t2i, i2t, it2it, pages"),
        (["--variant", "fast"], "--variant: 'fast' is unknown; there are padded, packed"),
        (["--engine", "fast"], "--engine: 'fast' is unknown; there are packed, forked, padded, invariant"),
        (["--device", "gpu"], "--device is 'gpu'"),
        (["--documents", "0"], "greater than or equal to 1"),
    ],
)
def test_a_wrong_word_is_one_line(real_gmr: Gmr, words: list[str], message: str) -> None:
    outcome = real_gmr("bench", "engine", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_workload_that_the_model_does_not_take_is_an_error_when_asked_for(real_gmr: Gmr) -> None:
    outcome = real_gmr(*SMALL, "--model", tiny_checkpoint("qwen3"), "--workload", "I->T")
    assert outcome.status == 2
    assert "cannot be given I->T: the model takes no pictures as query" in outcome.err
