"""A side that a scorer ignores makes no difference; one that it uses does, by what it is worth."""

import numpy as np
import pytest

from gmr.bench.analysis.ablation import WHOLE, query_ablation, why_not
from gmr.bench.analysis.changes import with_pictures_of, with_texts_of
from gmr.bench.analysis.options import Options
from gmr.core.items import Text, images_of, text_of
from tests.bench.analysis.fakes import make_task, noise, picture

OPTIONS = Options(limit=None)


class Reader:
    """Finds the relevant document if the parts of the query that it reads are the query's own."""

    def __init__(self, task, *, reads_text, reads_picture):
        self.task, self.reads_text, self.reads_picture = task, reads_text, reads_picture

    def score(self, pairs):
        return np.array([self.one(*pair) for pair in pairs], dtype=np.float32)

    def one(self, query, document):
        own = self.task.queries[query.query_id].item
        knows = (not self.reads_text or text_of(query.item) == text_of(own)) and (
            not self.reads_picture or images_of(query.item) == images_of(own)
        )
        is_relevant = document.doc_id in self.task.qrels[query.query_id]
        # One who does not know puts the relevant document last.
        return noise(document.doc_id) + 10.0 * is_relevant * (1 if knows else -1)


@pytest.fixture
def task():
    return make_task(task_type="it2t", query="it")


def change(task, **reads):
    (table,) = query_ablation(Reader(task, **reads), [task], OPTIONS).tables
    labels = ("without picture", "blank picture", "wrong picture", "without text", "wrong text")
    assert table.find(WHOLE, "nDCG@10").mean == 1.0
    return {label: table.find(label, "change") for label in labels}


LOST = 1 / np.log2(9) - 1


@pytest.mark.parametrize("side", ["text", "picture"])
def test_the_side_that_is_ignored_costs_nothing_and_the_other_all(task, side):
    found = change(task, reads_text=side == "text", reads_picture=side == "picture")
    for label, estimate in found.items():
        is_used = side in label
        assert estimate.mean == pytest.approx(LOST if is_used else 0.0)
        assert estimate.is_shown == is_used


def test_a_scorer_that_needs_both_loses_by_either(task):
    for estimate in change(task, reads_text=True, reads_picture=True).values():
        assert estimate.mean == pytest.approx(LOST)
        assert estimate.value.high < 0


def test_the_sentences_say_which_side_is_used(task):
    sentences = query_ablation(Reader(task, reads_text=True, reads_picture=False), [task], OPTIONS).sentences
    assert any(s.startswith("without text: nDCG@10 falls, so the text is used") for s in sentences)
    assert any(s.startswith("wrong picture: no change of nDCG@10 is shown") for s in sentences)


def test_one_query_alone_has_no_wrong_picture(task):
    result = query_ablation(Reader(task, reads_text=True, reads_picture=True), [task], Options(limit=1))
    assert result.facts["num_queries_without_another"] == 1
    assert {row.change.label for row in result.tables[0].rows} == {
        WHOLE,
        "without picture",
        "blank picture",
        "without text",
    }
    assert "1 query is too few" in result.sentences[0]


def test_the_parts_of_another_item_take_the_places_of_its_own():
    a, b, c = picture("a"), picture("b"), picture("c")
    assert with_pictures_of((a, Text("x"), b), (c, Text("y"))) == (c, Text("x"), c)
    assert with_texts_of((a, Text("x"), b, Text("z")), (c, Text("y"))) == (a, Text("y"), b)


def test_queries_of_one_side_have_nothing_to_leave_out():
    task = make_task()
    assert why_not(task, [task]) == "no query has both text and a picture"
