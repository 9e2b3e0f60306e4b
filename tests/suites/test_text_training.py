"""Training data of plain text: nothing of the test is trained on, and negatives are hard and not relevant."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.beir import read_beir
from gmr.core.errors import DataError, UsageError
from gmr.core.files import read_jsonl
from gmr.core.items import Text, text_of
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.core.training_data import read_training_jsonl
from gmr.suites.text_bm25 import bm25_run, words_of
from gmr.suites.text_training import main, make_vaswani, make_xquad, split_task, xquad_task
from tests.conftest import shared_data
from tests.suites.tiny import write_gz, write_xquad


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Kony Ealy, 5 sacks.", ["kony", "ealy", "5", "sacks"]),
        ("他们在当地", ["他们", "们在", "在当", "当地"]),
        ("किताब", ["किताब"]),
        ("ที่นี่", ["ที", "ี่", "่น", "นี", "ี่"]),
        ("…", []),
    ],
)
def test_words_are_runs_of_letters_and_pairs_where_there_are_no_spaces(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_bm25_is_its_formula() -> None:
    documents = {"a": "cat cat dog", "b": "dog", "c": "bird fish"}
    run = bm25_run({"q": "cat dog"}, documents, depth=2)

    def term(count: int, length: int, frequency: int) -> float:
        idf = math.log(1 + (3 - frequency + 0.5) / (frequency + 0.5))
        return idf * count * 1.9 / (count + 0.9 * (0.6 + 0.4 * length / 2))

    assert run["q"] == pytest.approx({"a": term(2, 3, 1) + term(1, 3, 2), "b": term(1, 1, 2)})
    assert list(run["q"]) == ["a", "b"]


@given(st.data())
def test_no_text_stands_on_both_sides_of_a_split(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=12))
    corpus = {f"d{n}": Document(f"d{n}", (Text(text),)) for n, text in enumerate(texts)}
    queries = {f"q{n}": Query(f"q{n}", (Text("x"),)) for n in range(5)}
    ids = st.dictionaries(st.sampled_from(sorted(corpus)), st.integers(0, 1), min_size=1, max_size=4)
    qrels = {name: data.draw(ids) for name in queries}
    first_stage = {name: {doc: float(n) for n, doc in enumerate(data.draw(ids))} for name in queries}
    task = RerankTask("t", "t2t", queries, corpus, qrels, first_stage)
    train, test = split_task(task, ["q0", "q1"])
    sides = [{text_of(each.item) for each in side.corpus.values()} for side in (train, test)]
    assert not sides[0] & sides[1]
    assert len(train.corpus) + len(test.corpus) == len(corpus)
    assert set(test.queries) <= {"q0", "q1"}
    assert not set(train.queries) & {"q0", "q1"}
    for side in (train, test):
        assert all(any(row.values()) for row in side.qrels.values())


def texts_of_training(path: Path) -> tuple[set[str], set[str]]:
    found = read_training_jsonl(path)
    sides = [(each.positives, each.negatives) for each in found.examples]
    return (
        {text_of(document.item) for positives, _ in sides for document in positives},
        {text_of(document.item) for _, negatives in sides for document in negatives},
    )


def test_xquad_splits_by_article_in_all_languages_alike(tmp_path: Path) -> None:
    data = shared_data("xquad")
    pairs = ("en", "zh", "en-de")
    made = make_xquad(data, tmp_path, pairs=pairs, test_share=0.25, num_negatives=8, seed=0)
    positives, negatives = texts_of_training(tmp_path / "train.jsonl")
    queries = []
    for pair in pairs:
        task = read_beir(tmp_path / f"test-{pair}")
        assert len(task.queries) == made.num_test_queries[pair]
        texts = {text_of(document.item) for document in task.corpus.values()}
        assert not texts & (positives | negatives)
        queries.append(set(task.queries))
        found = [next(iter(task.qrels[name])) in task.first_stage[name] for name in task.queries]
        assert sum(found) / len(found) > 0.97
    assert queries[0] == queries[1] == queries[2]
    examples = read_training_jsonl(tmp_path / "train.jsonl").examples
    assert made.num_examples == len(examples) == 3 * (1190 - len(queries[0]))
    assert not {example.query.query_id for example in examples} & queries[0]
    assert all(len(example.negatives) == 8 for example in examples if example.pool.startswith("en/"))
    crossed = next(example for example in examples if example.pool.startswith("en-de"))
    assert all(document.doc_id.endswith(".de") for document in (*crossed.positives, *crossed.negatives))


def test_vaswani_trains_on_no_candidate_of_its_test(tmp_path: Path) -> None:
    made = make_vaswani(shared_data("vaswani"), tmp_path, test_share=0.25, num_negatives=16, seed=0)
    task = read_beir(tmp_path / "test-vaswani")
    positives, negatives = texts_of_training(tmp_path / "train.jsonl")
    texts = {text_of(document.item) for document in task.corpus.values()}
    assert not texts & (positives | negatives)
    assert made.num_test_queries == {"vaswani": 23}
    assert made.num_examples > 60
    assert all(len(row) == 100 for row in task.first_stage.values())


def test_the_development_part_is_apart_from_both_and_leaves_the_test_as_it_was(tmp_path: Path) -> None:
    options: dict[str, Any] = {"test_share": 0.25, "num_negatives": 8, "seed": 0}
    for data_set, names in (("xquad", ("en", "en-de")), ("vaswani", ("vaswani",))):
        data, folder = shared_data(data_set), tmp_path / data_set
        make = partial(make_xquad, pairs=names) if data_set == "xquad" else make_vaswani
        make(data, folder / "without", depth=20, **options)
        made = make(data, folder / "with", depth=20, dev_share=0.15, **options)
        trained = set.union(*texts_of_training(folder / "with" / "train.jsonl"))
        for name in names:
            test, dev = (read_beir(folder / "with" / f"{side}-{name}") for side in ("test", "dev"))
            texts = [{text_of(each.item) for each in side.corpus.values()} for side in (test, dev)]
            assert not texts[0] & texts[1]
            assert not texts[1] & trained
            assert not set(test.queries) & set(dev.queries)
            assert len(dev.queries) == made.num_dev_queries[name] > 10
            assert all(len(row) <= 20 for side in (test, dev) for row in side.first_stage.values())
            assert test == read_beir(folder / "without" / f"test-{name}")
        smaller = read_training_jsonl(folder / "with" / "train.jsonl").examples
        assert 0 < len(smaller) < len(read_training_jsonl(folder / "without" / "train.jsonl").examples)
        asked = {
            query_id for name in names for query_id in read_beir(folder / "with" / f"dev-{name}").queries
        }
        assert not {example.query.query_id for example in smaller} & asked


def test_the_command_writes_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    data = str(shared_data("xquad"))
    for name in ("one", "two"):
        main(["xquad", data, str(tmp_path / name), "--pairs", "ro", "--test-share", "0.1", "--seed", "3"])
    files = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()
    )
    assert {"train.jsonl", "test-ro/first_stage.trec"} <= {str(path) for path in files}
    assert all(
        (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files
    )


def test_a_text_that_is_none_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    write_xquad(tmp_path)
    path = tmp_path / "xquad" / "corpus.de.jsonl.gz"
    rows = [row for _, row in read_jsonl(path)]
    write_gz(path, [*rows[:2], {**rows[2], "text": 7}, *rows[3:]])
    with pytest.raises(
        DataError, match=r"corpus\.de\.jsonl\.gz:3: text must be a non-empty string, this is 7"
    ):
        xquad_task(tmp_path / "xquad", "en", "de", depth=5)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_leaves_nothing_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match=r"test_share is .*: it must be between 0 and 1"):
        make_xquad(shared_data("xquad"), tmp_path, pairs=["en"], test_share=share, num_negatives=4, seed=0)


@pytest.mark.parametrize("share", [-0.1, 0.75, 1.0])
def test_a_development_share_that_leaves_nothing_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match=r"dev_share is .*: beside a test_share of 0.25 nothing is left"):
        make_xquad(
            shared_data("xquad"),
            tmp_path,
            pairs=["en"],
            test_share=0.25,
            dev_share=share,
            num_negatives=4,
            seed=0,
        )


def test_a_depth_below_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["vaswani", str(tmp_path), str(tmp_path / "out"), "--depth", "0"])
    assert "--depth is 0: a query needs a candidate" in capsys.readouterr().err
