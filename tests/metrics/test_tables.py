import csv
import io

import pytest

from gmr.metrics.tables import (
    TABLES,
    compact_markdown_table,
    csv_table,
    latex_table,
    markdown_table,
    text_table,
)

HEADER = ["task", "nDCG@10", "n"]
ROWS = [["T→IT", "0.612 [0.580, 0.641]", "100"], ["文書", "0.5", "7"]]


def test_text_columns_line_up_on_a_terminal():
    assert text_table(HEADER, ROWS) == (
        "task               nDCG@10    n\n"
        "----  --------------------  ---\n"
        "T→IT  0.612 [0.580, 0.641]  100\n"
        "文書                   0.5    7\n"
    )


def test_markdown_aligns_numbers_to_the_right_and_escapes_pipes():
    lines = markdown_table(HEADER, [["a|b", "1", "2"]]).splitlines()
    assert lines == [
        "| task | nDCG@10 |   n |",
        "| :--- | ------: | --: |",
        "| a\\|b |       1 |   2 |",
    ]


def test_compact_markdown_says_which_columns_are_flush_right():
    table = compact_markdown_table(("task", "type", "queries"), [["x", "T|T", "3"]], right=("queries",))
    assert table == "| task | type | queries |\n| --- | --- | ---: |\n| x | T\\|T | 3 |\n"
    with pytest.raises(ValueError, match="a row has 1 cells under 2 headings"):
        compact_markdown_table(("a", "b"), [["1"]], right=())


def test_latex_has_booktabs_rules_and_escapes_its_signs():
    table = latex_table(["system", "100%"], [["gmr_nano & co", "1 → 2"]])
    assert table.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"system          &     100\% \\",
        r"\midrule",
        r"gmr\_nano \& co & 1 $\to$ 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_reads_back_as_it_was():
    rows = [['say "yes", or\nno', "1", "ü"]]
    assert list(csv.reader(io.StringIO(csv_table(HEADER, rows)))) == [HEADER, *rows]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_is_its_header(name):
    assert "nDCG@10" in TABLES[name](HEADER, [])


@pytest.mark.parametrize("name", ["text", "markdown", "latex", "csv"])
def test_a_ragged_row_is_refused(name):
    with pytest.raises(ValueError, match="a row has 2 cells under 3 headings"):
        TABLES[name](HEADER, [["a", "b"]])
