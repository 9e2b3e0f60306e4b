"""mteb's layout on the hub: each shape that its README may declare, read as mteb itself reads it."""

import json

import pytest

from gmr.core.dataset_card import read_card
from gmr.core.errors import DataError
from gmr.core.mteb_layout import mteb_source
from gmr.core.records import read_identified
from gmr.core.task_source import assemble
from tests.helpers.layouts import rows_of, write_card, write_jsonl, write_mteb, write_parquet
from tests.helpers.toy_sets import toy_task


def assert_reads_as(task, source):
    tables = assemble(source)
    assert tables.queries == task.queries
    assert tables.qrels == task.qrels
    assert tables.corpus == {doc_id: task.corpus[doc_id] for doc_id in tables.corpus}
    # The scores of a list are its places; the order is what counts.
    order = {q: sorted(s, key=s.get, reverse=True) for q, s in tables.first_stage.items()}
    assert order == {q: [d.doc_id for d in task.candidates(q)] for q in task.first_stage}


@pytest.mark.parametrize("task_type", ["t2t", "i2i", "t2it", "it2t", "it2i", "it2it", "i2t"])
@pytest.mark.parametrize("card", [True, False])
def test_a_task_reads_back_from_parquet_folders(tmp_path, task_type, card):
    task = toy_task(task_type)
    write_mteb(task, tmp_path, card=card)
    assert_reads_as(task, mteb_source(tmp_path, instruction="Find it."))


def test_a_subset_has_tables_of_its_own(tmp_path):
    english, german = toy_task(), toy_task(num_queries=2)
    write_mteb(english, tmp_path, prefix="english-")
    write_mteb(german, tmp_path, prefix="german-", card=False)
    assert_reads_as(english, mteb_source(tmp_path, config="english", instruction="Find it."))
    assert_reads_as(german, mteb_source(tmp_path, config="german", instruction="Find it."))


def test_tables_of_beir_on_the_hub_have_splits_of_their_own_names(tmp_path):
    task = toy_task("t2t", ranked=False)
    tables = rows_of(task)
    write_jsonl(
        tmp_path / "corpus.jsonl",
        ({"_id": row["id"], "title": "", "text": row["text"]} for row in tables["corpus"]),
    )
    write_jsonl(
        tmp_path / "queries.jsonl", ({"_id": row["id"], "text": row["text"]} for row in tables["queries"])
    )
    write_jsonl(
        tmp_path / "qrels/test.jsonl", ({**row, "score": float(row["score"])} for row in tables["qrels"])
    )
    write_jsonl(tmp_path / "qrels/train.jsonl", [{"query-id": "q0", "corpus-id": "d6", "score": 1.0}])
    write_card(
        tmp_path,
        {
            "default": {"train": "qrels/train.jsonl", "test": "qrels/test.jsonl"},
            "corpus": {"corpus": "corpus.jsonl"},
            "queries": {"queries": "queries.jsonl"},
        },
    )
    assert_reads_as(task, mteb_source(tmp_path, instruction="Find it."))


def test_a_folder_of_beir_reads_without_a_readme(tmp_path):
    task = toy_task("t2t", ranked=False)
    tables = rows_of(task)
    write_jsonl(
        tmp_path / "corpus.jsonl", ({"_id": row["id"], "text": row["text"]} for row in tables["corpus"])
    )
    write_jsonl(
        tmp_path / "queries.jsonl", ({"_id": row["id"], "text": row["text"]} for row in tables["queries"])
    )
    (tmp_path / "qrels").mkdir()
    lines = [f"{row['query-id']}\t{row['corpus-id']}\t{row['score']}\n" for row in tables["qrels"]]
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    assert_reads_as(task, mteb_source(tmp_path, instruction="Find it."))


def test_the_singular_table_query_and_files_in_data_are_found(tmp_path):
    task = toy_task()
    tables = rows_of(task)
    for table, name in [
        ("corpus", "corpus"),
        ("queries", "query"),
        ("qrels", "qrels"),
        ("top_ranked", "top_ranked"),
    ]:
        write_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet", tables[table])
    assert_reads_as(task, mteb_source(tmp_path, instruction="Find it."))


def test_instructions_of_a_query_stand_before_those_of_the_task(tmp_path):
    task = toy_task()
    tables = rows_of(task)
    write_mteb(task, tmp_path, card=False)
    tables["queries"][1]["instruction"] = "From the row."
    write_parquet(tmp_path / "queries/test-00000-of-00001.parquet", tables["queries"])
    write_parquet(
        tmp_path / "instruction/test-0.parquet", [{"query-id": "q0", "instruction": "From the table."}]
    )
    queries = assemble(mteb_source(tmp_path, instruction="Of the task.")).queries
    said = {query_id: query.instruction for query_id, query in queries.items()}
    assert said == {
        "q0": "From the table.",
        "q1": "From the row.",
        "q2": "Of the task.",
        "q3": "Of the task.",
    }


def test_only_queries_of_the_language_are_read(tmp_path):
    task = toy_task()
    write_mteb(task, tmp_path, card=False)
    rows = rows_of(task)["queries"]
    for row in rows:
        row["language"] = "english" if row["id"] in ("q1", "q3") else "french"
    write_parquet(tmp_path / "queries/test-00000-of-00001.parquet", rows)
    tables = assemble(mteb_source(tmp_path, language="english"))
    assert list(tables.queries) == ["q1", "q3"]
    assert tables.num_queries == 2
    assert tables.num_relevant == 2


def test_a_picture_comes_before_the_text_whatever_the_order_of_the_columns(tmp_path):
    task = toy_task("it2it")
    write_mteb(task, tmp_path)
    parts = [type(part).__name__ for part in assemble(mteb_source(tmp_path)).queries["q0"].item]
    assert parts == ["Image", "Text"]


def test_rows_without_text_and_picture_are_empty_texts(tmp_path):
    task = toy_task("t2t")
    write_mteb(task, tmp_path)
    rows = rows_of(task)["corpus"]
    rows[0]["text"] = None
    write_parquet(tmp_path / "corpus/test-00000-of-00001.parquet", rows)
    assert assemble(mteb_source(tmp_path)).corpus["d0"].item[0].text == ""


def test_pictures_that_are_not_wanted_are_not_read(tmp_path):
    rows = [{"id": i, "image": {"bytes": b"no picture" if i % 2 else None, "path": None}} for i in range(600)]
    write_parquet(tmp_path / "corpus.parquet", rows, group=100)
    found = list(read_identified([tmp_path / "corpus.parquet"], ("id",), wanted={"598", "2", "4"}))
    assert [identifier for _, identifier, _ in found] == [str(i) for i in range(600)]
    assert [(where, row["id"]) for where, _, row in found if row] == [
        (f"{tmp_path}/corpus.parquet:{i + 1}", i) for i in (2, 4, 598)
    ]


def test_wanted_rows_are_the_rows_of_a_plain_reading(tmp_path):
    rows = [{"id": f"d{i}", "text": f"text {i}"} for i in range(1000)]
    write_parquet(tmp_path / "a.parquet", rows, group=300)
    write_jsonl(tmp_path / "a.jsonl", rows)
    wanted = {f"d{i}" for i in range(0, 1000, 7)}
    for name in ("a.parquet", "a.jsonl"):
        kept = [row for _, _, row in read_identified([tmp_path / name], ("id",), wanted=wanted) if row]
        assert kept == [row for row in rows if row["id"] in wanted]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            "- config_name: corpus\n  data_files: ../secret.jsonl",
            "declares '../secret.jsonl', which leaves the folder",
        ),
        (
            "- config_name: corpus\n  data_files: /etc/passwd",
            "declares '/etc/passwd', which leaves the folder",
        ),
        (
            "- config_name: corpus\n  data_files:\n  - split: dev\n    path: a\n  - split: x\n    path: b",
            "no split 'test' .*dev, x",
        ),
        ("- data_files: a", "a config needs a config_name"),
        ("- config_name: corpus", "config 'corpus' declares no data_files"),
        ("  no: list", "configs must be a list"),
        ("- config_name: corpus\n  data_files: 7", "data_files of 'corpus' are 7"),
        ("- : : :", r"/README\.md: its head is not YAML"),
    ],
)
def test_a_hostile_readme_is_refused(tmp_path, files, message):
    write_mteb(toy_task(), tmp_path, card=False)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{files}\n---\n")
    with pytest.raises(DataError, match=message):
        assemble(mteb_source(tmp_path))


def test_a_readme_without_a_head_declares_nothing(tmp_path):
    assert read_card(tmp_path) == {}
    (tmp_path / "README.md").write_text("# Data\n---\nconfigs: 3\n---\n")
    assert read_card(tmp_path) == {}
    (tmp_path / "README.md").write_text("---\nconfigs: 3\n")
    assert read_card(tmp_path) == {}


@pytest.mark.parametrize(
    "declared",
    [
        "corpus/*.jsonl",
        ["corpus/a.jsonl", "corpus/b.jsonl"],
        [{"split": "test", "path": ["corpus/a.jsonl", "corpus/b.jsonl"]}],
        {"test": "corpus/*"},
        {"split": "test", "path": "corpus/?.jsonl"},
        "corpus",
    ],
)
def test_every_shape_of_a_declaration_is_understood(tmp_path, declared):
    from gmr.core.dataset_card import table_files

    (tmp_path / "corpus").mkdir()
    for name in "ab":
        (tmp_path / f"corpus/{name}.jsonl").write_text("{}\n")
    head = json.dumps({"configs": [{"config_name": "corpus", "data_files": declared}]})  # JSON is YAML
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n")
    files = table_files(tmp_path, read_card(tmp_path), "corpus", split="test")
    assert [file.name for file in files] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        ("corpus", [{"id": "d0", "text": "a"}, {"id": "d0", "text": "b"}], "document id 'd0' is given twice"),
        ("corpus", [{"name": "d0", "text": "a"}], r"no id column \(id, _id, corpus-id\)"),
        ("queries", [{"id": "", "text": "a"}], "id must be a string or an integer"),
        ("queries", [{"id": "q0", "text": "a", "instruction": 3}], "instruction must be a string"),
        (
            "qrels",
            [{"query-id": "q0", "corpus-id": "d0", "score": 0.5}],
            "relevance 0.5 .* is not an integer",
        ),
        ("qrels", [{"query-id": "q0", "score": 1}], "judgments have query-id, corpus-id and score"),
        (
            "qrels",
            [{"query-id": "q9", "corpus-id": "d0", "score": 1}],
            "judged queries are not in the queries: 'q9'",
        ),
        ("top_ranked", [{"query-id": "q0", "corpus-ids": "d0"}], "a list of corpus-ids"),
        ("top_ranked", [{"query-id": "q0", "corpus-ids": ["d0", "d0"]}], "is given twice"),
    ],
)
def test_a_row_at_fault_is_named(tmp_path, table, rows, message):
    write_mteb(toy_task("t2t"), tmp_path, card=False)
    write_parquet(tmp_path / table / "test-00000-of-00001.parquet", rows)
    with pytest.raises(DataError, match=message):
        assemble(mteb_source(tmp_path))


def test_a_table_that_is_not_there_is_named(tmp_path):
    write_mteb(toy_task("t2t"), tmp_path)
    with pytest.raises(
        DataError, match=r"no table german-qrels \(declared: corpus, qrels, queries, top_ranked\)"
    ):
        assemble(mteb_source(tmp_path, config="german"))


@pytest.mark.slow  # importing mteb
def test_mteb_itself_reads_the_same(tmp_path):
    pytest.importorskip("mteb")
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

    task = toy_task("t2t")
    write_mteb(task, tmp_path)
    theirs = RetrievalDatasetLoader(str(tmp_path), revision="", split="test").load()
    ours = assemble(mteb_source(tmp_path))
    assert theirs["relevant_docs"] == ours.qrels
    assert {row["id"]: row["text"] for row in theirs["queries"]} == {
        query_id: query.item[0].text for query_id, query in ours.queries.items()
    }
    assert {row["id"]: row["text"] for row in theirs["corpus"]} == {
        doc_id: document.item[0].text for doc_id, document in ours.corpus.items()
    }
    assert theirs["top_ranked"] == {
        query_id: sorted(scores, key=scores.get, reverse=True)
        for query_id, scores in ours.first_stage.items()
    }
