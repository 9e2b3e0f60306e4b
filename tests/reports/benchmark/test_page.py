"""The page of a benchmark: one well-formed file whose controls need no script."""

import base64
import io
import json
import re
import time

import numpy as np
import PIL.Image
import pytest

from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from gmr.core.nouns import TASK_TYPES, Document, Query
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run
from gmr.reports.benchmark import browser, build_benchmark_report, write_report
from gmr.reports.benchmark.page import benchmark_page
from gmr.reports.benchmark.pictures import Pictures
from gmr.suites.baselines import chance_run, first_stage_run
from tests.evaluation.tasks import text_task
from tests.reports.benchmark.samples import BASELINES, made_report, made_results, made_run, made_task
from tests.reports.test_html import Reader

PAGE = benchmark_page(made_report(with_published=True))
READ = Reader(PAGE)
HOSTILE = [
    "<script>alert(1)</script>",
    "]]>",
    "</style><b>",
    "\u202egnp.exe",
    '" onload="x',
    "\x1b[2J",
    "a/../b",
]


def attribute(read, name):
    return [value for key, value in read.attributes if key == name]


def test_the_page_is_one_well_formed_file_without_scripts():
    assert not READ.open
    assert "script" not in READ.tags
    assert not [key for key, _ in READ.attributes if key.startswith("on")]
    links = [*attribute(READ, "href"), *attribute(READ, "src")]
    assert {link[:5] for link in links if not link.startswith("#")} <= {"data:"}
    assert "http" not in PAGE.replace("http-equiv", "").replace("http://www.w3.org/", "")


def test_every_id_is_unique_and_every_link_leads_to_one():
    ids = attribute(READ, "id")
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in attribute(READ, "href") if link.startswith("#")]
    assert links
    assert set(links) <= set(ids)


def test_every_section_stands_in_the_navigation():
    text = READ.text
    for title in ("Results", "By task", "Who beats whom", "Depth of reranking", "Queries to look at", "Cost"):
        assert text.count(title) >= 2
    assert re.search(r'<nav aria-label="sections">', PAGE)


def test_the_page_has_every_number_of_the_tables():
    report = made_report()
    for row in report.summary:
        for value in row.values.values():
            assert f"{value.mean:.3f}" in READ.text
    for sentence in [*report.findings, *report.warnings, *report.notes]:
        assert sentence in READ.text


def test_the_published_table_stands_apart_under_its_caution():
    start = PAGE.index('<div class="published">')
    assert PAGE.index("cannot be compared with the tables above number for number") > start
    assert PAGE.index("63.85") > start


def test_figures_take_their_colours_from_the_page_and_have_a_name():
    figures = re.findall(r"<svg[^>]*class=\"figure\".*?</svg>", PAGE, flags=re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", figure)
        assert 'aria-label="' in figure
        assert "mathdefault" not in figure


def test_every_choice_of_the_controls_has_a_rule_and_hides_only_what_it_leaves_out():
    options = [value for value in attribute(READ, "value") if value and not value.startswith("all")]
    rules = dict(re.findall(r'option\[value="([\w-]+)"\]:checked\) \.case:not\(\.([\w-]+)\)', PAGE))
    systems = {value for value in options if re.fullmatch(r"s\d+", value)}
    for value in set(options) - systems:
        assert rules[value] == value
    for value in systems:
        assert f'.browser:not(:has(option[value="{value}"]:checked)) .{value} {{ display: none; }}' in PAGE
    classes = {
        name
        for value in attribute(READ, "class")
        if value and value.startswith("case ")
        for name in value.split()
    }
    assert {name for name in classes if name[0] in "tk" and name[1:].isdigit()} <= set(rules)


def test_each_control_can_be_reached_and_is_labelled():
    assert READ.tags.count("select") == 4
    assert PAGE.count('<option value="s0" selected="selected">') + PAGE.count('selected="selected"') >= 2
    assert all(re.search(r"<label[^>]*><span>\w+</span><select>", PAGE) for _ in range(1))


def test_relevant_candidates_are_marked_in_every_lane():
    report = made_report()
    expected = sum(
        (place.grade or 0) >= 1
        for case in report.cases
        for places in case.places.values()
        for place in places
    )
    assert len(re.findall(r'<li [^>]*class="relevant( lower)?"', benchmark_page(report))) == expected > 0


def test_a_picture_that_stands_in_many_lists_is_in_the_page_once():
    data = re.findall(r"data:image/(?:png|jpeg);base64,[^\"]+", PAGE)
    assert data
    assert len(data) == len(set(data))
    assert PAGE.count('<use href="#picture-0">') > 1


def test_pictures_are_encoded_anew_as_what_is_smaller():
    noise = np.random.default_rng(0).integers(0, 256, size=(400, 500, 3)).astype("uint8")
    pictures = Pictures(max_side=100)
    for picture in (PIL.Image.fromarray(noise), PIL.Image.new("RGB", (30, 20), "white")):
        pictures.item((Image(picture),), label="x", max_chars=5)
    markup = pictures.definitions()
    kinds = re.findall(r"data:image/(\w+);base64,([^\"]+)", markup)
    assert [kind for kind, _ in kinds] == ["jpeg", "png"]
    opened = [PIL.Image.open(io.BytesIO(base64.b64decode(data))) for _, data in kinds]
    assert [each.size for each in opened] == [(100, 80), (30, 20)]
    assert pictures.size == sum(len(each) for each in re.findall(r"<image .*?</image>", markup))


def test_long_texts_are_cut_with_an_ellipsis():
    shown = Pictures().item((Text("word " * 100),), label="x", max_chars=20)
    assert Reader(shown).text == "word word word word…"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_and_texts_are_shown_and_never_obeyed(hostile):
    base = made_task("task", num_queries=3)
    query_ids = {old: f"{hostile}/{place}" for place, old in enumerate(base.queries)}
    doc_ids = {old: f"{old}{hostile}" for old in base.corpus}
    rows = lambda table: {query_ids[q]: {doc_ids[d]: v for d, v in row.items()} for q, row in table.items()}  # noqa: E731
    task = RerankTask(
        hostile,
        "t2t",
        {new: Query(new, (Text(hostile),), hostile) for new in query_ids.values()},
        {new: Document(new, (Text(hostile),)) for new in doc_ids.values()},
        rows(base.qrels),
        rows(base.first_stage),
        metadata={new: {hostile: f"{hostile}{place % 2}"} for place, new in enumerate(query_ids.values())},
    )
    results = {
        "first stage": [evaluate_run(first_stage_run(task), task)],
        hostile: [evaluate_run(made_run(task, 1.0, 0), task)],
    }
    report = build_benchmark_report(
        [task],
        results,
        suite=hostile,
        baselines=BASELINES,
        facts={hostile: hostile},
        descriptions={hostile: hostile},
    )
    page = benchmark_page(report)
    read = Reader(page)
    assert not read.open
    assert not {"script", "b-"} & set(read.tags)
    assert {key for key, _ in read.attributes} <= {key for key, _ in READ.attributes} | {"open"}
    shown = "".join("\ufffd" if ord(char) < 32 else char for char in hostile)
    assert shown in read.text
    assert not re.search("[\x00-\x08\x0b-\x1f]", page)


def test_text_with_direction_marks_stands_alone():
    # an element with dir=auto is isolated: an override in it ends with it
    assert '<span class="text" dir="auto">' in PAGE
    assert re.search(r"query <bdi>names/q\d</bdi>", PAGE)


def test_the_same_report_gives_the_same_files(tmp_path):
    for folder in ("a", "b"):
        write_report(made_report(), tmp_path / folder)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {"report.html", "report.md", "report.tex", "report.json", "report.csv"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "report.json").read_text())["suite"] == "made-up"


def test_in_the_place_of_a_broken_picture_stands_why(tmp_path):
    task = made_task("looks", "t2i", num_queries=2)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    corpus = {d: Document(d, (Image(tmp_path / "broken.png"),)) for d in task.corpus}
    task = RerankTask("looks", "t2i", task.queries, corpus, task.qrels, task.first_stage)
    report = build_benchmark_report([task], made_results([task]), suite="s", baselines=BASELINES)
    page = benchmark_page(report)
    assert re.search(r'<span class="text broken">\[[^<]*broken\.png[^<]*cut short\]</span>', page)


def test_a_folder_that_cannot_be_made_is_an_error_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file"):
        write_report(made_report(), tmp_path / "file")


def test_a_page_that_would_be_too_large_says_how_many_queries_it_leaves_out(monkeypatch):
    monkeypatch.setattr(browser, "MAX_SIZE", 60_000)
    report = made_report()
    page = benchmark_page(report)
    shown = page.count('<details class="case ')
    assert 0 < shown < len(report.cases)
    left = len(report.cases) - shown
    assert f"{left} quer{'y' if left == 1 else 'ies'} more would make this page too large." in page
    # what is left out is left out evenly: every task has a query
    assert set(re.findall(r'<details class="case (t\d)', page)) == {"t0", "t1", "t2"}


def test_one_system_on_one_task_has_a_page():
    task = made_task("names", num_queries=3)
    results = {"good": [evaluate_run(made_run(task, 1.0, 0), task)]}
    read = Reader(benchmark_page(build_benchmark_report([task], results, suite="s", baselines=())))
    assert not read.open
    assert read.tags.count("select") == 3
    assert "Who beats whom" not in read.text


def test_a_system_without_an_answer_or_an_order_says_so():
    task = made_task("names", num_queries=3)
    results = made_results([task])
    results["mute"] = [evaluate_run({}, task)]
    half = made_run(task, 1.0, 0)
    half["names/q0"] = dict.fromkeys(half["names/q0"], 0.0)
    results["half"] = [evaluate_run(half, task, expected_under_ties=True)]
    report = build_benchmark_report([task], results, suite="s", baselines=BASELINES)
    text = Reader(benchmark_page(report)).text
    assert "not answered" in text
    assert "all scores are equal by design: no order" in text


def test_all_ties_and_a_perfect_system_have_a_page():
    task = text_task("names", num_queries=4)
    results = {
        "chance": [evaluate_run(chance_run(task), task, expected_under_ties=True)],
        "perfect": [evaluate_run({q: dict.fromkeys(row, 1.0) for q, row in task.qrels.items()}, task)],
        "constant": [evaluate_run(chance_run(task), task)],
    }
    read = Reader(benchmark_page(build_benchmark_report([task], results, suite="s", baselines=["chance"])))
    assert not read.open


@pytest.mark.slow
def test_forty_tasks_and_six_systems_take_seconds(tmp_path):
    started = time.process_time()
    tasks = [
        text_task(f"set-{i:02d}", TASK_TYPES[i % 9], num_queries=8, num_candidates=12) for i in range(40)
    ]
    models = (("a/long/path/of-a-model", 1.0), ("b", 2.0), ("c", 2.2), ("d", 0.5))
    report = build_benchmark_report(
        tasks, made_results(tasks, models=models), suite="mrb-open", baselines=BASELINES
    )
    write_report(report, tmp_path)
    assert time.process_time() - started < 20
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not Reader(page).open
    assert page.count('class="heat"') == 40 * 6
