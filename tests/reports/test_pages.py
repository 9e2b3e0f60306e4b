"""The experiment page, the ranking page and their figures."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import pytest

from gmr.core.items import Text
from gmr.core.nouns import TASK_TYPES, Document, Query, RankedDocument, Ranking, display_type, probability
from gmr.metrics.statistics import Interval
from gmr.reports.experiment import ComparisonRow, Curve, ExperimentReport, ResultRow, System
from gmr.reports.experiment_page import experiment_page
from gmr.reports.figures import bars_by_task_type, colours, signed, training_curves
from gmr.reports.ranking import ranking_page
from tests.reports.samples import SYSTEMS, curves, rows, sample_report
from tests.reports.test_html import Reader

SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_shows_every_number_with_its_interval() -> None:
    report = sample_report()
    text = Reader(experiment_page(report)).text
    for row in report.rows:
        assert display_type(row.task_type) in text
        for interval in row.values.values():
            assert f"{interval.mean:.3f}" in text
            assert f"{interval.low:.3f} – {interval.high:.3f}" in text
    for note in [*report.summary, *report.notes, *report.environment.values()]:
        assert note in text


def test_the_page_is_one_well_formed_file_without_scripts() -> None:
    read = Reader(experiment_page(sample_report()))
    assert not read.open
    assert "script" not in read.tags
    assert not [
        value for name, value in read.attributes if name == "src" and not str(value).startswith("data:")
    ]


def test_the_same_report_gives_the_same_bytes() -> None:
    assert experiment_page(sample_report()) == experiment_page(sample_report())


def test_ids_are_unique_in_the_page() -> None:
    ids = [value for name, value in Reader(experiment_page(sample_report())).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_system_without_an_overall_value_has_no_tile() -> None:
    report = sample_report()
    assert report.overall is not None
    cut = dataclasses.replace(report.overall, values={"SFT": report.overall.values["SFT"]})
    page = experiment_page(dataclasses.replace(report, overall=cut))
    assert page.count('class="tile ') == 1
    assert experiment_page(report).count('class="tile ') == len(SYSTEMS)


def test_the_best_value_of_a_row_is_set_in_bold() -> None:
    page = experiment_page(sample_report())
    best = sample_report().rows[0].values["gmr-nano"].mean
    assert f"<b>{best:.3f}</b>" in page


def test_relevant_candidates_are_marked_once_for_each_system() -> None:
    page = experiment_page(sample_report())
    assert page.count('class="relevant"') == len(SYSTEMS) * len(sample_report().examples)


@pytest.mark.parametrize(
    ("delta", "p_value", "mark"), [(0.1, 0.01, "up"), (-0.1, 0.01, "down"), (0.1, 0.2, "unsure")]
)
def test_a_difference_is_marked_by_sign_and_certainty(delta: float, p_value: float, mark: str) -> None:
    row = ComparisonRow("mean", "SFT", "CL", Interval(delta, delta - 0.05, delta + 0.05), p_value)
    page = experiment_page(dataclasses.replace(sample_report(), comparisons=[row]))
    assert f'<td class="value {mark}">{signed(delta)}</td>' in page


def test_sections_without_content_are_left_out() -> None:
    report = ExperimentReport("t", ["s"], "nDCG@10", [System("a", "d", "trained")], [ResultRow("t2t", 3, {})])
    text = Reader(experiment_page(report)).text
    assert "Training" not in text
    assert "Rankings to look at" not in text
    assert "Who beats whom" not in text


def test_an_unknown_system_is_refused_by_name() -> None:
    report = dataclasses.replace(sample_report(), curves=[Curve("nobody", "sft_loss", [0], [1.0])])
    with pytest.raises(ValueError, match="nobody"):
        experiment_page(report)


def test_names_of_users_are_shown_and_never_obeyed() -> None:
    name = "<img src=x onerror=alert(1)> $x_1$"
    system = System(name, "a & b", "trained")
    report = ExperimentReport(
        title="<script>",
        summary=[],
        measure="nDCG@10",
        systems=[system],
        rows=[ResultRow("t2t", 3, {name: Interval(0.5, 0.4, 0.6)})],
        curves=[Curve(name, "sft_loss", [0, 1], [1.0, 0.5])],
    )
    read = Reader(experiment_page(report))
    assert name in read.text
    assert not {"script", "img"} & set(read.tags)


def bar_heights(svg: str, colour: str) -> list[float]:
    """Heights of the filled paths of one colour, in the figure's points."""
    heights = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if f"fill: var({colour})" in path.get("style", ""):
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d", ""))]
            heights.append(max(numbers[1::2]) - min(numbers[1::2]))
    return heights


def test_bars_are_as_high_as_the_means_and_start_at_zero() -> None:
    shown = rows()
    svg = bars_by_task_type(shown, SYSTEMS, measure="nDCG@10")
    for system, colour in colours(SYSTEMS).items():
        heights = bar_heights(svg, colour)
        means = [row.values[system].mean for row in shown]
        assert len(heights) == len(TASK_TYPES)
        scale = heights[0] / means[0]
        assert heights == pytest.approx([mean * scale for mean in means], rel=1e-3)


def test_a_system_without_a_value_has_no_bar() -> None:
    shown = rows()
    cut = [dataclasses.replace(row, values={"SFT": row.values["SFT"]}) for row in shown]
    svg = bars_by_task_type(cut, SYSTEMS, measure="nDCG@10")
    palette = colours(SYSTEMS)
    assert len(bar_heights(svg, palette["SFT"])) == len(cut)
    assert not bar_heights(svg, palette["CL"])


def test_figures_take_their_colours_from_the_page() -> None:
    for svg in (bars_by_task_type(rows(), SYSTEMS, measure="m"), training_curves(curves(), SYSTEMS)):
        assert not re.findall(r"(?:fill|stroke): #", svg)
        assert "DejaVu" not in svg


def test_every_quantity_has_its_panel() -> None:
    svg = training_curves(curves(), SYSTEMS)
    for title in ("SFT loss", "Contrastive loss", "Mean weight on positives", "Mean weight on negatives"):
        assert title in svg


def test_baselines_are_grey_and_models_are_not() -> None:
    kinds = {name: colour.split("-")[2] for name, colour in colours(SYSTEMS).items()}
    assert kinds == {
        "first stage": "baseline",
        "base": "baseline",
        "SFT": "model",
        "CL": "model",
        "gmr-nano": "model",
    }


def test_the_ranking_page_keeps_every_document_in_order() -> None:
    query = Query("q", (Text("query <b>"),), "an instruction")
    places = [
        RankedDocument(i, f"d{i}", 3.0 - i, Document(f"d{i}", (Text(f"text {i}"),))) for i in range(1, 21)
    ]
    page = ranking_page([Ranking(query, tuple(places))], model="m")
    assert re.findall(r'<span class="id">(d\d+)</span>', page) == [place.doc_id for place in places]
    assert [float(width) for width in re.findall(r'style="width: ([\d.]+)%"', page)] == [
        round(100 * probability(place.score), 1) for place in places
    ]
    assert "query &lt;b&gt;" in page


def test_the_ranking_page_says_when_it_shows_only_the_first() -> None:
    query = Query("q", (Text("query"),))
    places = [RankedDocument(i, f"d{i}", -i, Document(f"d{i}", (Text("text"),))) for i in range(1, 6)]
    page = ranking_page([Ranking(query, tuple(places))], model="m", top_k=2)
    assert page.count('class="id"') == 2
    assert "The first 2 of 5 documents." in page
