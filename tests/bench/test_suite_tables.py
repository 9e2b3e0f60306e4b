"""Facts about the tables of the local suites: counted from the tasks, put where the marks are."""

import pytest

from gmr import suites
from gmr.bench.suite_tables import HEADER, MODEL_TASKS, SUITES, replace_table, task_row
from gmr.core.errors import DataError
from tests.suites import tiny


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    pytest.importorskip("bm25s")
    root = tiny.write_emoji(tmp_path_factory.mktemp("data"))
    return {
        task.name: task for task in suites.load("emoji", data_root=root, names=["emoji-t2i", "emoji-i2i-*"])
    }


def test_a_row_counts_what_the_task_has(tasks):
    task = tasks["emoji-t2i"]
    row = dict(zip(HEADER, task_row(task), strict=True))
    found = [
        sum(doc_id in task.first_stage[name] for doc_id in judged) / len(judged)
        for name, judged in task.qrels.items()
    ]
    assert row["queries"] == row["documents"] == row["candidates"] == "12"
    assert row["relevant"] == f"{sum(map(len, task.qrels.values())) / 12:.2f}"
    assert row["recall"] == f"{sum(found) / 12:.3f}" == "1.000"
    assert row["type"] == "T→I"
    assert row["pixels"] == "–"


def test_pixels_are_measured_where_both_sides_are_pictures(tasks):
    row = dict(zip(HEADER, task_row(tasks["emoji-i2i-noto"]), strict=True))
    assert 0 < float(row["chance"]) < float(row["pixels"]) <= 1


def test_a_table_is_put_between_its_marks_alone():
    page = "# a\n<!-- emoji -->\nold\n<!-- /emoji -->\nrest\n"
    table = "| task |\n| --- |\n| x |\n"
    new = replace_table(page, "emoji", table, where="page.md")
    assert new == f"# a\n<!-- emoji -->\n{table}<!-- /emoji -->\nrest\n"
    assert replace_table(new, "emoji", table, where="page.md") == new


@pytest.mark.parametrize("page", ["", "<!-- emoji -->\n", "<!-- /emoji -->\n"])
def test_a_page_without_the_marks_is_an_error_that_names_them(page):
    with pytest.raises(DataError, match=r"page\.md: no lines '<!-- emoji -->'"):
        replace_table(page, "emoji", "", where="page.md")


def test_the_tasks_of_the_model_are_there():
    known = [task for name in SUITES for task in suites.task_names(name)]
    assert set(MODEL_TASKS) <= set(known)
