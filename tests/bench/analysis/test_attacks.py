"""What an attack gains is what the scorer was told to give for it, beyond what neutral words gain."""

import pytest

from gmr.bench.analysis.attack_table import CONTROL, DRAWN_ATTACKS, TEXT_ATTACKS
from gmr.bench.analysis.attacks import BEYOND, IN_PICTURES, IN_TEXT, attack_robustness
from gmr.bench.analysis.options import Options
from tests.bench.analysis.fakes import Biased, make_task

OPTIONS = Options(limit=None)


def text_table(scorer, task=None, options=OPTIONS):
    return attack_robustness(scorer, [task or make_task()], options).table(IN_TEXT)


def test_a_bonus_for_yes_is_found_where_the_word_stands():
    table = text_table(Biased(says_yes=4.0))
    for name, attack in TEXT_ATTACKS.items():
        gives = 4.0 * ("yes" in attack.words("a query").split())
        assert table.find(name, "score").mean == pytest.approx(gives, abs=1e-5), name
        if name != CONTROL:
            assert table.find(name, BEYOND).mean == pytest.approx(gives, abs=1e-5)
            assert table.find(name, BEYOND).is_shown == bool(gives)


def test_a_price_for_words_is_no_attack_beyond_neutral_words_of_that_length():
    table = text_table(Biased(per_word=0.5))
    neutral = len(TEXT_ATTACKS[CONTROL].words("").split())
    for name, attack in TEXT_ATTACKS.items():
        if name != CONTROL:
            count = len(attack.words("task query 0").split())
            assert table.find(name, BEYOND).mean == pytest.approx(0.5 * (count - neutral), abs=1e-4)


def test_the_querys_words_are_stuffed_five_times():
    table = text_table(Biased(says_query=1.0))
    assert table.find("query once", BEYOND).mean == pytest.approx(1.0, abs=1e-5)
    assert table.find("query five times", BEYOND).mean == pytest.approx(5.0, abs=1e-5)


def test_a_bonus_above_all_scores_takes_each_attacked_document_to_the_top():
    task = make_task(num_queries=10, num_candidates=10)
    table = text_table(Biased(relevance=20.0, says_yes=100.0), task, Options(None, num_documents=9, top_k=3))
    # Nine irrelevant documents of ranks 2 to 10 come first, one at a time; two of them were in the top three.
    assert table.find("yes", "ranks gained").mean == pytest.approx(sum(range(1, 10)) / 9)
    assert table.find("yes", "enters top 1").mean == pytest.approx(1.0)
    assert table.find("yes", "enters top 3").mean == pytest.approx(7 / 9)
    # All at once they leave the relevant document the tenth place.
    assert table.find("yes", "nDCG@10").mean == pytest.approx(1 / 3.4594316 - 1)


def test_a_scorer_that_goes_by_ids_cannot_be_attacked():
    task = make_task(task_type="t2it", document="it")
    result = attack_robustness(Biased(relevance=3.0), [task], OPTIONS)
    for table in result.tables:
        for row in table.rows:
            assert all(estimate.mean == 0.0 and not estimate.is_shown for estimate in row.estimates.values())
    assert all("no gain or loss" in sentence for sentence in result.sentences)


def test_words_are_drawn_where_documents_have_pictures_and_written_where_they_have_text():
    both = attack_robustness(Biased(), [make_task(task_type="t2it", document="it")], OPTIONS)
    assert {row.change.label for row in both.table(IN_PICTURES).rows} == set(DRAWN_ATTACKS)
    pictures = attack_robustness(Biased(), [make_task(task_type="t2i", document="i")], OPTIONS)
    assert not pictures.table(IN_TEXT).rows


def test_a_drawn_band_changes_the_picture_by_what_the_control_changes_too():
    result = attack_robustness(Biased(height=0.1), [make_task(task_type="t2i", document="i")], OPTIONS)
    control = result.table(IN_PICTURES).find(CONTROL, "score").mean
    assert control > 10  # enlarged to 224 pixels and a band
    assert abs(result.table(IN_PICTURES).find("yes", BEYOND).mean) < 4


def test_a_query_without_text_has_no_words_to_stuff():
    table = text_table(Biased(), make_task(task_type="i2t", query="i"))
    assert "query once" not in {row.change.label for row in table.rows}
    assert "yes" in {row.change.label for row in table.rows}


def test_relevant_documents_are_never_attacked():
    class Watching(Biased):
        def one(self, query, document):
            if document.doc_id.endswith(".d1"):
                assert str(document.item[0].text).count("\n") == 0
            return super().one(query, document)

    text_table(Watching())
