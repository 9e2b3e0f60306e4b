"""The report as Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from gmr.core.nouns import display_type
from gmr.metrics.statistics import Interval
from gmr.reports.benchmark import build_benchmark_report, plain
from gmr.reports.benchmark.latex import to_latex
from gmr.reports.benchmark.records import to_dict
from gmr.reports.benchmark.texts import to_csv, to_markdown
from gmr.reports.benchmark.words import interval_text, p_text, plural
from tests.reports.benchmark.samples import BASELINES, made_report, made_results, made_task

REPORT = made_report(with_published=True)


def cells(text):
    """The cells of every line of every table in a Markdown text."""
    return [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_markdown_has_every_mean_with_its_interval():
    rows = cells(to_markdown(REPORT))
    for row in REPORT.summary:
        label = display_type(row.label) if row.level == "type" else row.label
        found = next(line for line in rows if line[0] == label and len(line) == 7)
        assert found[-4:] == [interval_text(name, value) for name, value in row.values.items()]


def test_markdown_says_that_the_published_table_cannot_be_compared():
    text = to_markdown(REPORT)
    head = text.index("other test sets, not comparable")
    assert (
        head < text.index("cannot be compared with the tables above number for number") < text.index("GMR-7B")
    )
    assert text.index("## MRB as published") > text.index("## Denominators and ties")
    assert "GMR-7B" not in to_markdown(replace(REPORT, published=None))


def test_names_in_markdown_are_shown_and_not_obeyed():
    tasks = [made_task("a|b <script> [x](y)")]
    results = made_results(tasks, models=(("m|*_<b>", 1.0),))
    report = build_benchmark_report(tasks, results, suite="s\n# t", baselines=BASELINES)
    text = to_markdown(report)
    assert r"| a\|b \<script\> \[x\](y) " in text
    assert r"m\|\*\_\<b\>" in text
    assert text.startswith("# s \\# t: nDCG@10\n")
    widths = {
        len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if "m\\|" in line and line[0] == "|"
    }
    assert widths <= {len(table.header) + 1 for table in plain.all_tables(report)}


def test_csv_reads_back_with_full_precision():
    rows = list(csv.DictReader(io.StringIO(to_csv(REPORT))))
    assert len(rows) == 4 * (len(REPORT.summary) + len(REPORT.breakdowns))
    for row in rows:
        if row["level"].startswith("by "):
            continue
        source = next(
            each for each in REPORT.summary if (each.level, each.label) == (row["level"], row["label"])
        )
        value = source.values[row["system"]]
        assert Interval(float(row["mean"]), float(row["low"]), float(row["high"])) == value
        assert int(row["queries"]) == source.num_queries


def test_json_holds_everything_that_the_report_has():
    record = json.loads(json.dumps(to_dict(REPORT), allow_nan=False))
    assert set(record) == {"format", *vars(REPORT)}
    assert record["published"]["rows"][4]["values"]["mean"] == 63.85
    assert len(record["cases"]) == len(REPORT.cases)
    case, source = record["cases"][0], REPORT.cases[0]
    assert case["query_id"] == source.query.query_id
    assert [place["doc_id"] for place in case["rankings"]["good"]] == [
        p.doc_id for p in source.places["good"]
    ]


def latex_rows(text):
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    lines = [line.removesuffix(r" \\") for line in body.splitlines() if "&" in line]
    return {line.split(" & ")[0]: line.split(" & ")[1:] for line in lines}


def test_latex_sets_the_best_of_each_column_in_bold():
    rows = latex_rows(to_latex(REPORT))
    for place, row in enumerate([*REPORT.rows("type"), *REPORT.rows("mean")]):
        best = max(row.values, key=lambda name: row.values[name].mean)
        assert [name for name, cells_ in rows.items() if "textbf" in cells_[place]] == [best]
        assert f"{row.values[best].mean:.3f}"[1:] in rows[best][place]


def test_latex_daggers_are_the_significant_tests_of_the_report():
    rows = latex_rows(to_latex(REPORT))
    labels = [*REPORT.rows("type"), *REPORT.rows("mean")]
    assert any("dagger" in cell for row in rows.values() for cell in row)
    for name in ("good", "fair"):
        for place, row in enumerate(labels):
            tests = [t for t in REPORT.tests(row.level) if t.label == row.label]
            above = {t.b for t in tests if t.a == name and t.delta.mean > 0 and t.adjusted_p_value < 0.05}
            above |= {t.a for t in tests if t.b == name and t.delta.mean < 0 and t.adjusted_p_value < 0.05}
            assert (r"^{\dagger}" in rows[name][place]) == ("first stage" in above)
            assert (r"^{\ddagger}" in rows[name][place]) == bool(
                {"good", "fair"} - {name} & above == above - {"first stage"}
                and {"good", "fair"} - {name} <= above
            )


def test_the_caption_of_the_latex_table_says_the_tests():
    caption = re.search(r"\\caption\{(.*)\}\n", to_latex(REPORT)).group(1)
    for words in (
        "bold",
        "above the first stage",
        "above every other model",
        "randomisation",
        "Holm",
        "0.05",
    ):
        assert words in caption


def test_latex_without_a_reference_or_a_second_model_has_no_daggers():
    tasks = [made_task("names")]
    results = {"a_b & c%": made_results(tasks)["good"]}
    text = to_latex(build_benchmark_report(tasks, results, suite="s_1", baselines=()))
    assert "dagger" not in text
    assert r"a\_b \& c\% & " in text
    assert r"s\_1" in text


def test_every_table_is_rectangular_and_has_a_title():
    for table in [*plain.all_tables(REPORT), plain.published(REPORT)]:
        assert table.title
        assert {len(row) for row in table.rows} == {len(table.header)}


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (1, "query", "1 query"),
        (1200, "query", "1,200 queries"),
        (2, "task", "2 tasks"),
        (0, "pair", "0 pairs"),
    ],
)
def test_numbers_of_things(number, noun, expected):
    assert plural(number, noun) == expected


def test_a_p_value_is_never_zero_and_chance_has_no_interval():
    assert p_text(0.00009) == "<0.0001"
    assert p_text(0.0316) == "0.0316"
    assert interval_text("chance", Interval(0.2, 0.1, 0.3)) == "0.200"
    assert interval_text("m", Interval(0.2, 0.1, 0.3)) == "0.200 [0.100, 0.300]"
    assert interval_text("m", Interval(0.2, 0.2, 0.2)) == "0.200"
