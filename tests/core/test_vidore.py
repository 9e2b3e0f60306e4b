"""ViDoRe's two forms: rows of a question and a page, and tables of pages and questions."""

import pytest

from gmr.core.errors import DataError
from gmr.core.items import Image, Text, as_item
from gmr.core.nouns import Document, Query
from gmr.core.task_source import assemble
from gmr.core.vidore import vidore_source
from tests.helpers.layouts import write_card, write_parquet
from tests.helpers.toy_sets import picture

PAGES = [0, 1, 0, 2, 1, 3]  # which page each row shows
QUESTIONS = ["a?", "b?", "c?", None, "a?", ""]


def cell(number):
    return {"bytes": picture(number), "path": f"page{number}.png"}


def write_rows(folder, rows=None):
    rows = rows or [
        {"query": question, "image": cell(page), "image_filename": f"{page}.png", "answer": "yes"}
        for question, page in zip(QUESTIONS, PAGES, strict=True)
    ]
    write_parquet(folder / "data/test-00000-of-00001.parquet", rows)
    return folder


@pytest.mark.parametrize("card", [True, False])
def test_equal_pages_are_one_document_and_each_question_a_query(tmp_path, card):
    write_rows(tmp_path)
    if card:
        write_card(tmp_path, {"default": {"test": "data/test-*"}})
    tables = assemble(vidore_source(tmp_path, instruction="Find the page."))
    assert tables.corpus == {
        name: Document(name, (Image(picture(page)),))
        for name, page in {"0": 0, "1": 1, "3": 2, "5": 3}.items()
    }
    assert tables.queries == {
        name: Query(name, (Text(text),), "Find the page.")
        for name, text in {"0": "a?", "1": "b?", "2": "c?", "4": "a?"}.items()
    }
    assert tables.qrels == {"0": {"0": 1}, "1": {"1": 1}, "2": {"0": 1}, "4": {"1": 1}}
    assert (tables.num_queries, tables.num_documents, tables.num_relevant) == (4, 4, 4)


def write_tables(folder):
    """The form of mteb's copies of v1, and of v2 with its questions in several languages."""
    write_parquet(
        folder / "corpus/test-00000-of-00001.parquet",
        [{"corpus-id": i, "image": cell(i), "doc-id": "report"} for i in range(5)],
    )
    write_parquet(
        folder / "queries/test-00000-of-00001.parquet",
        [
            {"query-id": i, "query": f"question {i}?", "language": "english" if i % 2 else "french"}
            for i in range(4)
        ],
    )
    write_parquet(
        folder / "qrels/test-00000-of-00001.parquet",
        [
            {"query-id": i, "corpus-id": i + j, "answer": "yes", "score": j + 1}
            for i in range(4)
            for j in range(2)
        ],
    )
    write_card(folder, {name: {"test": f"{name}/test-*"} for name in ("corpus", "docs", "qrels", "queries")})
    return folder


def test_tables_of_pages_and_questions_are_read(tmp_path):
    tables = assemble(vidore_source(write_tables(tmp_path)))
    assert tables.queries["2"].item == as_item("question 2?")
    assert tables.corpus["4"].item == (Image(picture(4)),)
    assert tables.qrels["3"] == {"3": 1, "4": 2}


@pytest.mark.parametrize(("language", "ids"), [("english", ["1", "3"]), ("french", ["0", "2"])])
def test_questions_of_one_language_keep_their_judgments_and_the_whole_corpus(tmp_path, language, ids):
    tables = assemble(vidore_source(write_tables(tmp_path), language=language))
    assert list(tables.queries) == list(tables.qrels) == ids
    assert len(tables.corpus) == 5
    assert (tables.num_queries, tables.num_relevant) == (2, 4)


def test_rows_may_have_a_language_as_well(tmp_path):
    rows = [{"query": f"q{i}", "image": cell(i), "language": "english" if i else "german"} for i in range(3)]
    tables = assemble(vidore_source(write_rows(tmp_path, rows), language="english"))
    assert list(tables.queries) == ["1", "2"]
    assert list(tables.corpus) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "a", "image": None}, "test-00000-of-00001.parquet:1: the row has no image"),
        ({"query": 3, "image": cell(0)}, "parquet:1: query must be a string"),
        ({"query": "a", "image": {"bytes": b"no picture", "path": None}}, "parquet:1.*not an image"),
        ({"query": "a", "image": {"bytes": None, "path": "../x.png"}}, "parquet:1.*leaves"),
    ],
)
def test_a_row_at_fault_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        assemble(vidore_source(write_rows(tmp_path, [row])))


def test_a_folder_of_neither_form_is_named(tmp_path):
    with pytest.raises(DataError, match="neither a table corpus nor rows of query and image"):
        vidore_source(tmp_path)


def test_a_language_needs_its_column(tmp_path):
    write_tables(tmp_path)
    write_parquet(tmp_path / "queries/test-00000-of-00001.parquet", [{"query-id": 0, "query": "a"}])
    with pytest.raises(DataError, match="the query has no column language"):
        assemble(vidore_source(tmp_path, language="english"))


def test_of_rows_too_and_one_without_a_question_needs_none(tmp_path):
    rows = [{"query": "q0", "image": cell(0), "language": "english"}, {"query": None, "image": cell(1)}]
    assert list(assemble(vidore_source(write_rows(tmp_path / "a", rows), language="english")).queries) == [
        "0"
    ]
    with pytest.raises(DataError, match=r"parquet:1: the query has no column language"):
        assemble(
            vidore_source(write_rows(tmp_path / "b", [{"query": "q0", "image": cell(0)}]), language="english")
        )
