"""The order of parts matters as much as the scorer was told."""

import pytest

from gmr.bench.analysis.changes import pictures_first, pictures_reversed, texts_first
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.order import order_sensitivity, why_not
from gmr.core.items import Text
from tests.bench.analysis.fakes import Biased, make_task, picture

OPTIONS = Options(limit=None)
DOCUMENTS, QUERIES = "documents: picture first − text first", "queries: picture first − text first"
SEVERAL = "documents: pictures last first − as given"


def test_a_bonus_for_a_picture_at_the_front_is_found_on_its_side_alone():
    task = make_task(task_type="it2it", query="it", document="it")
    (table,) = order_sensitivity(Biased(picture_first=1.5), [task], OPTIONS).tables
    assert table.find(DOCUMENTS, "score").mean == pytest.approx(1.5, abs=1e-5)
    assert table.find(DOCUMENTS, "score").is_shown
    assert table.find(DOCUMENTS, "size").mean == pytest.approx(1.5, abs=1e-5)
    assert table.find(QUERIES, "score").mean == 0.0
    assert not table.find(QUERIES, "score").is_shown
    (table,) = order_sensitivity(Biased(query_picture_first=-0.5), [task], OPTIONS).tables
    assert table.find(QUERIES, "score").mean == pytest.approx(-0.5, abs=1e-5)
    assert table.find(DOCUMENTS, "score").mean == 0.0


def test_the_exchange_of_pictures_is_found_by_its_size():
    task = make_task(task_type="t2it", document="iti")
    (table,) = order_sensitivity(Biased(spread=0.0, first_picture_red=0.01), [task], OPTIONS).tables
    red = [
        [part.open().getpixel((0, 0))[0] for part in d.item if not isinstance(part, Text)]
        for d in task.corpus.values()
    ]
    expected = sum(abs(first - last) for first, last in red) / len(red) * 0.01
    assert table.find(SEVERAL, "size").mean == pytest.approx(expected, abs=1e-5)


def test_a_scorer_that_sees_a_bag_of_parts_shows_nothing():
    task = make_task(task_type="it2it", query="it", document="iti")
    result = order_sensitivity(Biased(picture=1.0, per_word=0.1), [task], OPTIONS)
    assert all(
        not e.is_shown and e.mean == 0.0 for row in result.tables[0].rows for e in row.estimates.values()
    )
    assert all("no" in sentence for sentence in result.sentences)


def test_items_keep_their_parts_in_another_order():
    a, b, c, d = picture("a"), Text("b"), picture("c"), Text("d")
    assert pictures_first((b, a, d, c)) == (a, c, b, d)
    assert texts_first((a, b, c, d)) == (b, d, a, c)
    assert pictures_reversed((a, b, c, d)) == (c, b, a, d)


def test_one_part_alone_has_no_order():
    task = make_task()
    assert "several pictures" in why_not(task, [task])
    assert why_not(make_task(document="ii", task_type="t2i"), []) == ""
