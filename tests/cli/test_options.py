"""Options of weights reach the scores: what the command prints is what the library gives with the same options."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmr.core.trec import read_run
from gmr.reranker import Reranker
from gmr.suites import load
from tests.cli.stubs import Outcome

Gmr = Callable[..., Outcome]
OPTIONS = {
    "float32": ([], {}),
    "bfloat16": (["--dtype", "bfloat16"], {"dtype": "bfloat16"}),
    "float16": (["--dtype", "float16"], {"dtype": "float16"}),
    "int8": (["--quantize", "int8"], {"quantize": "int8"}),
}
TEXTS = ["LATIN SMALL LETTER A", "BLACK CHESS QUEEN", "GREEK CAPITAL LETTER OMEGA"]


@pytest.mark.parametrize(("words", "options"), OPTIONS.values(), ids=OPTIONS)
def test_rank_scores_as_the_library_does(
    real_gmr: Gmr, tmp_path: Path, words: list[str], options: dict[str, Any]
) -> None:
    documents = tmp_path / "documents.txt"
    documents.write_text("\n".join(TEXTS))
    outcome = real_gmr("rank", "-q", "omega", "-d", documents, "--json", "--device", "cpu", *words)
    assert outcome.status == 0, outcome.err
    shown = {record["doc_id"]: record["score"] for record in map(json.loads, outcome.out.splitlines())}
    reranker = Reranker(device="cpu", **options)
    expected = reranker.score([("omega", text) for text in TEXTS])
    assert [shown[str(number)] for number in (1, 2, 3)] == pytest.approx(expected.tolist(), abs=1e-5)
    exact = Reranker(device="cpu").score([("omega", text) for text in TEXTS])
    assert bool(abs(expected - exact).max() > 1e-4) is bool(options)


@pytest.mark.parametrize(("words", "options"), OPTIONS.values(), ids=OPTIONS)
def test_evaluate_scores_as_the_library_does(
    real_gmr: Gmr, tmp_path: Path, words: list[str], options: dict[str, Any]
) -> None:
    outcome = real_gmr(
        *("evaluate", "--suite", "glyphs", "--task-type", "t2i", "--limit", 1, "--output", tmp_path),
        *("--device", "cpu", *words),
    )
    assert outcome.status == 0, outcome.err
    ((query_id, scores),) = read_run(tmp_path / "gmr-nano" / "glyphs-t2i.trec").items()
    (task,) = load("glyphs", task_types=["t2i"], limit=1)
    pairs = [(task.queries[query_id], task.corpus[doc_id]) for doc_id in scores]
    expected = Reranker(device="cpu", **options).score(pairs)
    assert list(scores.values()) == pytest.approx(expected.tolist(), abs=1e-5)
