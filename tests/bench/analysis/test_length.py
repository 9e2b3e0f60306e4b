"""Sensitivity to length and place is what was built into the scorer."""

import numpy as np
import pytest

from gmr.bench.analysis.changes import FILLER, filler
from gmr.bench.analysis.length import (
    CORRELATION,
    FILLED,
    FILLER_WORDS,
    PLACED,
    length_sensitivity,
    why_not,
)
from gmr.bench.analysis.options import Options
from gmr.core.items import Text, text_of
from gmr.core.nouns import Document
from gmr.core.tasks import RerankTask
from tests.bench.analysis.fakes import Biased, make_task

OPTIONS = Options(limit=None)


def lengths_differ(task):
    """The task with documents of 1, 2, ... words more."""
    corpus = {
        doc_id: Document(doc_id, (Text(f"{text_of(document.item)} {'word ' * int(doc_id.split('d')[-1])}"),))
        for doc_id, document in task.corpus.items()
    }
    return RerankTask(**{**vars(task), "corpus": corpus})


@pytest.mark.parametrize("per_word", [0.25, -0.25])
def test_a_price_for_each_word_is_found_for_every_number_of_words(per_word):
    result = length_sensitivity(Biased(per_word=per_word), [make_task()], OPTIONS)
    for num_words in FILLER_WORDS:
        for place in ("first", "in the middle", "last"):
            for column in ("relevant", "irrelevant"):
                estimate = result.table(FILLED).find(f"{num_words} words, content {place}", column)
                assert estimate.mean == pytest.approx(per_word * num_words, rel=1e-4)
                assert estimate.is_shown
    for row in result.table(PLACED).rows:
        assert row.estimates["relevant"].mean == pytest.approx(0, abs=1e-4)
        assert not row.estimates["relevant"].is_shown


@pytest.mark.parametrize(("per_word", "tau"), [(100.0, 1.0), (-100.0, -1.0)])
def test_the_order_of_length_is_found_as_the_order_of_scores(per_word, tau):
    result = length_sensitivity(Biased(per_word=per_word), [lengths_differ(make_task())], OPTIONS)
    for column in ("Kendall's tau", "Spearman's rho"):
        assert result.table(CORRELATION).find("longer text", column).mean == pytest.approx(tau)
    assert ("score higher" if tau > 0 else "score lower") in result.sentences[0]


def test_a_scorer_that_does_not_read_length_shows_nothing():
    result = length_sensitivity(Biased(), [lengths_differ(make_task(num_queries=20))], OPTIONS)
    assert not any(
        e.is_shown for table in result.tables for row in table.rows for e in row.estimates.values()
    )
    tau = result.table(CORRELATION).find("longer text", "Kendall's tau").value
    assert tau.low < 0 < tau.high


def test_a_scorer_that_reads_the_start_alone_prefers_content_first():
    class StartAlone(Biased):
        def one(self, query, document):
            return 3.0 * text_of(document.item).startswith("task document") + super().one(query, document)

    table = length_sensitivity(StartAlone(), [make_task()], OPTIONS).table(PLACED)
    for num_words in FILLER_WORDS:
        estimate = table.find(f"{num_words} words, content last − first", "relevant")
        assert estimate.mean == pytest.approx(-3.0, abs=1e-4)
        assert estimate.is_shown


def test_the_measure_falls_where_filler_takes_relevant_documents_down():
    result = length_sensitivity(Biased(relevance=5.0, per_word=-1.0), [make_task()], OPTIONS)
    # From the first place to the last of eight.
    expected = 1 / np.log2(9) - 1
    assert result.table(FILLED).find("10 words, content first", "nDCG@10").mean == pytest.approx(expected)


def test_filler_has_the_words_asked_for():
    assert [len(filler(count).split()) for count in (1, 10, 160)] == [1, 10, 160]
    assert filler(len(FILLER.split()) + 1).split()[-1] == FILLER.split()[0]


def test_pictures_alone_have_no_length():
    task = make_task(task_type="t2i", document="i")
    assert why_not(task, [task]) == "no document has text"
