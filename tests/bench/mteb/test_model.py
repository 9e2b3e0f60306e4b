"""mteb runs our models on its own task classes, and gets what our own evaluation gets."""

from pathlib import Path

import numpy as np
import pytest

from gmr.bench.mteb import as_mteb_task, mteb_model, read_predictions
from gmr.core.errors import DataError, ModelError
from gmr.core.items import Image, Text
from gmr.core.nouns import TASK_TYPES
from gmr.evaluation import evaluate_task
from gmr.evaluation.results import PAIRS_PER_CALL
from gmr.reranker import Reranker
from gmr.suites import load
from tests.bench.mteb.tasks import HashScorer, make_task, picture, run_mteb

KINDS = {
    "t2t": ("t", "t"),
    "i2i": ("i", "i"),
    "t2i": ("t", "i"),
    "t2vd": ("t", "i"),
    "i2t": ("i", "t"),
    "t2it": ("t", "ti"),
    "it2t": ("it", "t"),
    "it2i": ("ti", "i"),
    "it2it": ("itti", "tiit"),
}


def handmade(
    category: str, queries: list[dict], corpus: list[dict], *, prompt: object = None, **more: object
):
    """A task the way mteb's authors write one: a class of AbsTaskRetrieval whose data are datasets."""
    import datasets
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    def table(rows: list[dict]) -> datasets.Dataset:
        features = {name: datasets.Value("string") for name in rows[0]}
        if "image" in features:
            features["image"] = datasets.Image()
        return datasets.Dataset.from_list(rows, features=datasets.Features(features))

    class Handmade(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Handmade",
            description="made by hand",
            type="Reranking" if category == "t2t" else "Any2AnyReranking",
            category=category,
            modalities=sorted({{"t": "text", "i": "image"}[code] for code in category if code in "ti"}),
            dataset={"path": "none/none", "revision": "1"},
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            prompt=prompt,
        )

    task = Handmade()
    doc_ids = [row["id"] for row in corpus]
    data = {
        "queries": table(queries),
        "corpus": table(corpus),
        "relevant_docs": {row["id"]: {doc_ids[i % len(doc_ids)]: 1} for i, row in enumerate(queries)},
        "top_ranked": {row["id"]: doc_ids for row in queries},
    }
    task.dataset = {"default": {"test": {**data, **more}}}
    task.data_loaded = True
    return task


def texts(prefix: str, count: int, **columns: str) -> list[dict]:
    return [{"id": f"{prefix}{i}", "text": f"{prefix} number {i}", **columns} for i in range(count)]


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_mteb_measures_every_task_type_as_we_do(task_type: str, tmp_path: Path) -> None:
    query_kind, document_kind = KINDS[task_type]
    task = make_task(task_type, query_kind=query_kind, document_kind=document_kind)
    scorer = HashScorer()
    scores = run_mteb(mteb_model(scorer), as_mteb_task(task), tmp_path)
    ours = evaluate_task(HashScorer(), task)
    assert read_predictions(tmp_path / "tiny_predictions.json").run() == ours.run
    assert scores["ndcg@10"] == pytest.approx(ours.mean(), abs=1e-9)
    assert scores["main_score"] == scores["ndcg_at_10"] == round(ours.mean(), 5)  # mteb's own rounding
    assert 0.1 < ours.mean() < 0.9


def test_gmr_nano_in_mteb_gets_the_scores_it_gets_alone(tmp_path: Path) -> None:
    reranker = Reranker("gmr-nano")
    for task in load("glyphs", task_types=["t2t", "it2i"], limit=3):
        scores = run_mteb(mteb_model(reranker), as_mteb_task(task), tmp_path)
        ours = evaluate_task(reranker, task)
        run = read_predictions(tmp_path / f"{task.name}_predictions.json").run()
        for query_id, row in ours.run.items():
            assert run[query_id] == pytest.approx(row, abs=1e-5)
        assert scores["ndcg@10"] == pytest.approx(ours.mean(), abs=1e-9)


def test_a_task_of_texts_as_mteb_writes_it_is_run_whole(tmp_path: Path) -> None:
    scorer = HashScorer()
    corpus = [{"id": "a", "text": "  spaced ", "title": ""}, {"id": "b", "text": "body", "title": "title"}]
    run_mteb(
        mteb_model(scorer), handmade("t2t", texts("q", 3), corpus, prompt={"query": "answer it"}), tmp_path
    )
    assert [(q.query_id, d.doc_id) for q, d in scorer.pairs] == [
        (q, d) for q in ("q0", "q1", "q2") for d in "ab"
    ]
    assert scorer.pairs[0][0].item == (Text("q number 0"),)
    assert {query.instruction for query, _ in scorer.pairs} == {"answer it"}
    assert [document.item for _, document in scorer.pairs[:2]] == [(Text("spaced"),), (Text("title body"),)]


def test_instructions_of_queries_come_first_then_the_one_given_then_the_tasks_prompt(tmp_path: Path) -> None:
    queries = [
        {"id": "q0", "text": "one", "instruction": "its own"},
        {"id": "q1", "text": "two", "instruction": ""},
    ]
    for given, expected in ((None, ["its own", "prompt"]), ("given", ["its own", "given"])):
        scorer = HashScorer()
        task = handmade("t2t", queries, texts("d", 2), prompt="prompt")
        run_mteb(mteb_model(scorer, instruction=given), task, tmp_path)
        # mteb itself puts the instruction behind the text: the query must not have it twice
        assert [(q.item, q.instruction) for q, _ in scorer.pairs[::2]] == [
            ((Text("one"),), expected[0]),
            ((Text("two"),), expected[1]),
        ]


@pytest.mark.parametrize("category", ["i2t", "it2i", "i2i", "t2it"])
def test_pictures_reach_the_scorer_as_their_files_were(category: str, tmp_path: Path) -> None:
    def rows(side: str, prefix: str, offset: int) -> list[dict]:
        columns = texts(prefix, 3) if "t" in side else [{"id": f"{prefix}{i}"} for i in range(3)]
        if "i" in side:
            columns = [
                row | {"image": {"bytes": picture(offset + i).source, "path": None}}
                for i, row in enumerate(columns)
            ]
        return columns

    query_side, document_side = category.split("2")
    scorer = HashScorer()
    run_mteb(
        mteb_model(scorer),
        handmade(category, rows(query_side, "q", 0), rows(document_side, "d", 10)),
        tmp_path,
    )
    for side, offset, parts in (
        (query_side, 0, [query.item for query, _ in scorer.pairs[::3]]),
        (document_side, 10, [document.item for _, document in scorer.pairs[:3]]),
    ):
        expected = [
            tuple(
                [Text(f"{'q' if offset == 0 else 'd'} number {i}")] * ("t" in side)
                + [picture(offset + i)] * ("i" in side)
            )
            for i in range(3)
        ]
        assert parts == expected


def test_a_batch_of_decoded_pictures_is_read_too() -> None:
    model = mteb_model(HashScorer())
    decoded = picture(1).open()
    scores = model.predict(
        [{"id": ["q"], "image": [decoded]}],
        [{"id": ["d"], "text": ["a text"]}],
        **_place(),
    )
    assert scores.shape == (1,)
    assert isinstance(model.scorer.pairs[0][0].item[0], Image)


def test_whole_queries_go_to_the_scorer_in_one_call_and_the_last_batch_too() -> None:
    scorer = HashScorer()
    num_queries, num_candidates = 5, 300
    rows = [(f"q{i}", f"d{j}") for i in range(num_queries) for j in range(num_candidates)]

    def batches(column: int) -> list[dict]:
        ids = [row[column] for row in rows]
        return [{"id": ids[i : i + 7], "text": ids[i : i + 7]} for i in range(0, len(ids), 7)]

    scores = mteb_model(scorer).predict(batches(0), batches(1), **_place())
    assert scores.shape == (1500,)
    assert PAIRS_PER_CALL == 1024
    assert scorer.calls == [1200, 300]  # blocks end where a query does
    assert [(q.query_id, d.doc_id) for q, d in scorer.pairs] == rows
    assert scores.tolist() == HashScorer().score(scorer.pairs).tolist()
    assert len({id(query) for query, _ in scorer.pairs}) == num_queries


def test_no_pairs_are_no_scores() -> None:
    assert mteb_model(HashScorer()).predict([], [], **_place()).shape == (0,)


@pytest.mark.parametrize(
    ("queries", "documents", "message"),
    [
        ([["a", "b"]], [["a"]], "1 documents for more queries"),
        ([["a"]], [["a", "b"]], "more documents than queries"),
    ],
)
def test_loaders_of_different_lengths_are_refused(queries: list, documents: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mteb_model(HashScorer()).predict(
            [{"id": each, "text": each} for each in queries],
            [{"id": each, "text": each} for each in documents],
            **_place(),
        )


def test_a_loader_that_drops_its_last_batch_is_refused() -> None:
    from datasets import Dataset
    from torch.utils.data import DataLoader

    dataset = Dataset.from_dict({"id": list("abcde"), "text": list("abcde")})
    loader = DataLoader(dataset, batch_size=2, drop_last=True)
    with pytest.raises(DataError, match="gave 4 of its 5 rows"):
        mteb_model(HashScorer()).predict(loader, loader, **_place())


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"id": ["a"], "audio": [b""], "text": ["a"]}, "there is audio; gmr reads text and pictures"),
        ({"id": ["a"]}, "neither text nor image"),
        ({"id": ["a"], "text": ["a", "b"]}, "differ in length"),
        ({"id": ["a"], "text": ["a"], "content": ["{"]}, "query 'a': content is no JSON list of parts"),
        ({"id": ["a"], "text": ["a"], "content": ['[{"type": "image"}]']}, "content has 1 pictures"),
        ({"id": ["a"], "image": [b"no picture"]}, "query 'a'"),
    ],
)
def test_a_batch_that_cannot_be_read_is_named(batch: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mteb_model(HashScorer()).predict([batch], [{"id": ["d"], "text": ["d"]}], **_place())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([float("nan")], "query 'q' with document 'd': the score is nan"),
        ([1.0, 2.0], "1 pairs were scored"),
    ],
)
def test_a_scorer_that_does_not_score_each_pair_is_refused(scores: list[float], message: str) -> None:
    class Broken:
        def score(self, pairs: object) -> np.ndarray:
            return np.array(scores)

    with pytest.raises(ModelError, match=message):
        mteb_model(Broken()).predict(
            [{"id": ["q"], "text": ["q"]}], [{"id": ["d"], "text": ["d"]}], **_place()
        )


def test_the_revision_is_of_weights_prompt_and_tokenizer() -> None:
    plain, same = (mteb_model("gmr-nano").mteb_model_meta for _ in range(2))
    assert plain.revision == same.revision
    assert len(plain.revision) == 64
    assert (plain.name, plain.modalities, plain.model_type) == (
        "gmr/gmr-nano",
        ["text", "image"],
        ["cross-encoder"],
    )
    assert mteb_model("gmr-nano", max_tokens=100).mteb_model_meta.revision != plain.revision
    assert mteb_model("gmr-nano-base").mteb_model_meta.revision != plain.revision
    assert mteb_model(Reranker("gmr-nano")).mteb_model_meta.revision == plain.revision
    spelled = Reranker("gmr-nano")
    spelled.model.processor.tokenizer.add_tokens(["a word of its own"])
    assert mteb_model(spelled).mteb_model_meta.revision != plain.revision
    other = mteb_model("gmr-nano", instruction="look", name="us/ours").mteb_model_meta
    assert (other.name, other.experiment_name, other.revision) == (
        "us/ours",
        "instruction_look",
        plain.revision,
    )


def test_options_for_a_loaded_model_and_names_without_a_slash_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens would have no effect"):
        mteb_model(HashScorer(), max_tokens=10)
    with pytest.raises(ValueError, match="'mine' lacks the '/'"):
        mteb_model(HashScorer(), name="mine")


def test_without_mteb_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mteb" else find_spec(name))
    with pytest.raises(DataError, match=r"^mteb is not installed; pip install 'gmr-rerank\[bench\]'$"):
        mteb_model(HashScorer())
    with pytest.raises(DataError, match="mteb is not installed"):
        as_mteb_task(make_task())


def _place() -> dict:
    class Metadata:
        name, prompt = "Some", None

    return {"task_metadata": Metadata, "hf_split": "test", "hf_subset": "default", "show_progress_bar": False}
