"""``gmr bench mteb`` and ``gmr bench import``: the same numbers from mteb, from its files, and from us."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gmr.bench.mteb import find_predictions, read_predictions, read_result, write_predictions
from gmr.core.datasets import write_beir
from gmr.core.trec import write_run
from gmr.evaluation import evaluate_task
from gmr.reranker import Reranker
from gmr.suites import load
from tests.bench.mteb.tasks import make_task
from tests.cli.stubs import Outcome

Gmr = Callable[..., Outcome]


def numbers(table: str, word: str) -> list[str]:
    """The cells of the line of a table that begins with a word."""
    (line,) = [line for line in table.splitlines() if line.split()[:1] == [word]]
    return line.split()


@pytest.mark.parametrize("command", ["mteb", "import"])
def test_the_help_teaches_by_examples_with_real_options(real_gmr: Gmr, command: str) -> None:
    assert command in real_gmr("bench", "--help").out
    options, examples = real_gmr("bench", command, "--help").out.split("Examples")
    assert f"gmr bench {command}" in examples
    assert not {word for word in examples.split() if word.startswith("--") and word not in options}


def test_a_suite_is_run_by_mteb_and_its_files_are_imported(real_gmr: Gmr, tmp_path: Path) -> None:
    outcome = real_gmr("bench", "mteb", "--suite", "glyphs", "--limit", 2, "--output", tmp_path)
    assert outcome.status == 0, outcome.err
    assert outcome.err.endswith(f"wrote {tmp_path}/\n")
    reranker = Reranker("gmr-nano")
    tasks = load("glyphs", limit=2)
    for task in tasks:
        mean = evaluate_task(reranker, task).mean()
        assert numbers(outcome.out, task.name)[1:6] == ["test", "2", "ndcg@10", f"{mean:.5f}", f"{mean:.3f}"]
    assert len(find_predictions(tmp_path)) == len(tasks)

    imported = real_gmr("bench", "import", tmp_path / "predictions", "--suite", "glyphs", "--limit", 2)
    assert imported.status == 0, imported.err
    for task in tasks:
        ours = numbers(outcome.out, task.name)[5:]
        assert numbers(imported.out, task.name)[3:] == ours

    reported = real_gmr("bench", "import", tmp_path, "--measure", "rr@10")
    assert reported.status == 0, reported.err
    assert reported.out.count("reported by mteb, not recomputed") == len(tasks)
    assert "rr@10" in reported.out
    assert "there are no values per query" in reported.out


def test_models_predicted_elsewhere_are_compared_on_a_folder(real_gmr: Gmr, tmp_path: Path) -> None:
    task = make_task(num_queries=20)
    write_beir(task, tmp_path / "task")
    (tmp_path / "task" / "first_stage.trec").unlink()
    (tmp_path / "task" / "top_ranked.jsonl").unlink()
    good = {q: {d: float(grade) for d, grade in judged.items()} for q, judged in task.qrels.items()}
    for name, run in (("org/good", good), ("org/first", task.first_stage)):
        facts = {"task_name": "Tiny", "model_name": name, "revision": "r"}
        write_predictions(run, tmp_path / "predictions" / name.partition("/")[2], **facts)
    outcome = real_gmr(
        "bench", "import", tmp_path / "predictions", "--task", tmp_path / "task", "--output", tmp_path / "out"
    )
    assert outcome.status == 0, outcome.err
    assert "org/good" in outcome.out
    assert "paired randomisation tests" in outcome.out
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    (row,) = record["summary"]["ndcg@10"]
    assert row["values"]["org/good"]["mean"] == pytest.approx(1.0)


def test_two_revisions_of_a_model_are_two_systems(real_gmr: Gmr, tmp_path: Path) -> None:
    task = make_task()
    write_beir(task, tmp_path / "task")
    for revision in ("a" * 40, "b" * 40):
        facts = {"task_name": "Tiny", "model_name": "org/model", "revision": revision}
        write_predictions(task.first_stage, tmp_path / revision, **facts)
    outcome = real_gmr("bench", "import", tmp_path, "--task", tmp_path / "task")
    assert outcome.status == 0, outcome.err
    assert "org/model aaaaaaaa" in outcome.out
    assert "org/model bbbbbbbb" in outcome.out


def test_a_task_of_mteb_is_run_on_a_first_stage(
    real_gmr: Gmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mteb

    from gmr.bench.mteb import as_mteb_task

    task = make_task(name="SomeTask")
    local = as_mteb_task(task)
    local.dataset["default"]["test"]["top_ranked"] = None
    monkeypatch.setattr(mteb, "get_task", lambda name: local)
    words = ("bench", "mteb", "--task", "SomeTask", "--output", tmp_path / "out")
    refused = real_gmr(*words)
    assert refused.status == 65
    assert "SomeTask (default, test): there are no candidates to rerank; give a first stage" in refused.err
    write_run(task.first_stage, tmp_path / "run.trec")
    facts = {"task_name": "SomeTask", "model_name": "org/bm25", "revision": "1"}
    predictions = write_predictions(task.first_stage, tmp_path / "first", **facts)
    outcomes = [
        real_gmr(*words, "--first-stage", path, "--depth", 3) for path in (tmp_path / "run.trec", predictions)
    ]
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes[0].err
    assert outcomes[0].out == outcomes[1].out
    (path,) = find_predictions(tmp_path / "out")
    assert {len(row) for row in read_predictions(path).run().values()} == {3}
    (result,) = (tmp_path / "out" / "results").rglob("SomeTask.json")
    assert f"{read_result(result)[0].main:.5f}" in outcomes[0].out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mteb"], "name what to run: --task NAME of mteb's (repeatable) or --suite glyphs, one of them"),
        (["mteb", "--suite", "glyphs", "--task", "SciFact"], "one of them"),
        (["mteb", "--suite", "glyph"], "--suite: unknown suite 'glyph'; there are glyphs"),
        (["mteb", "--suite", "glyphs", "--split", "train"], "--split: glyphs has no 'train'"),
        (["mteb", "--suite", "glyphs", "--first-stage", "x.trec"], "--first-stage belongs to one --task"),
        (["mteb", "--task", "SciFact", "--limit", "2"], "--limit belongs to --suite"),
        (["mteb", "--task", "SciFact", "--device", "gpu"], "--device is 'gpu'"),
        (["import", "x", "--suite", "glyphs", "--task", "y"], "--suite and --task: give one of them"),
        (["import", "x_predictions.json"], "these are predictions; name what was predicted"),
        (["import", "x.json", "--output", "y"], "reported results are only shown; name what was predicted"),
        (["import", "x.json", "--measure", "mrr"], "--measure: unknown measure 'mrr': did you mean 'rr'?"),
        (["import", "x.json", "--measure", "rr", "--measure", "ap"], "one at a time"),
        (["import", "x", "--task", "y", "--limit", "2"], "--limit belongs to --suite"),
    ],
)
def test_a_wrong_word_is_one_line(real_gmr: Gmr, words: list[str], message: str) -> None:
    outcome = real_gmr("bench", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_bad_files_are_one_line(real_gmr: Gmr, tmp_path: Path) -> None:
    task = make_task()
    write_beir(task, tmp_path / "task")
    facts = {"model_name": "org/model", "revision": "r"}
    write_predictions(task.first_stage, tmp_path / "a", task_name="glyphs-t3t", **facts)
    cut = tmp_path / "cut_predictions.json"
    cut.write_text('{"default": {"test": {"q0": {"d0')
    for words, message in (
        (["import", tmp_path / "none.json"], "no such file"),
        (["import", tmp_path], "no results of mteb"),
        (["import", cut, "--task", tmp_path / "task"], "cut_predictions.json: not valid JSON"),
        (
            ["import", tmp_path / "a", "--suite", "glyphs"],
            "the suite has no task 'glyphs-t3t'; there are glyphs-t2t",
        ),
        (["mteb", "--task", "NoSuchTask"], "NoSuchTask"),
    ):
        outcome = real_gmr("bench", *words)
        assert outcome.status == 65, outcome
        assert message in outcome.err
        assert outcome.err.count("\n") == 1, outcome.err


def test_models_on_different_tasks_are_not_compared(real_gmr: Gmr, tmp_path: Path) -> None:
    first, second = load("glyphs", limit=1, task_types=["t2t", "t2i"])
    for name, tasks in (("org/one", [first, second]), ("org/two", [second])):
        for task in tasks:
            facts = {"task_name": task.name, "model_name": name, "revision": "r"}
            write_predictions(task.first_stage, tmp_path / name, **facts)
    outcome = real_gmr("bench", "import", tmp_path, "--suite", "glyphs", "--limit", 1)
    assert outcome.status == 65
    assert (
        "org/one and org/two were not run on the same tasks: glyphs-t2t, glyphs-t2i; glyphs-t2i"
        in outcome.err
    )
