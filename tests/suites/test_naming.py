"""Facts about what a model is to say before it ranks."""

from dataclasses import replace

import pytest

from gmr import suites
from gmr.core.errors import DataError
from gmr.core.items import item_key, modality, text_of
from gmr.suites.naming import AnswersOf, NamingExample, in_turn
from tests.suites import tiny


@pytest.fixture(scope="module")
def emoji(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return suites.training_set("emoji", data_root=tiny.write_emoji(root))


def test_what_is_said_is_a_document_that_answers_the_query(emoji):
    documents = {
        (example.query.instruction, item_key(example.query.item), text_of(example.positives[0].item))
        for example in emoji.examples
        if modality(example.positives[0].item) == "t"
    }
    assert 0 < len(documents) < len(emoji.examples)
    answers = AnswersOf(emoji, seed=1)
    shown = set()
    for number in range(300):
        said = answers.example(number)
        assert said.is_document
        assert (said.instruction, item_key(said.item), said.answer) in documents
        shown.add(modality(said.item))
    assert shown == {"t", "i", "it"}


def test_an_example_depends_on_seed_and_number_alone(emoji):
    def said(seed, numbers):
        answers = AnswersOf(emoji, seed=seed)
        return [answers.example(number).answer for number in numbers]

    assert said(1, [5, 3, 5]) == said(1, [5, 3, 5])
    assert said(1, [3]) == said(1, [5, 3])[1:]
    assert said(1, range(20)) != said(2, range(20))


def test_a_training_set_with_nothing_to_say_is_told_and_not_searched_for_ever(emoji):
    pictures = [each for each in emoji.examples if each.pool == "emoji-i2i-noto-train"]
    assert pictures
    with pytest.raises(DataError, match="none has a text to say"):
        AnswersOf(replace(emoji, examples=pictures)).example(0)


def test_texts_of_a_tokenizer_are_queries_answers_and_instructions_each_once(emoji):
    texts = AnswersOf(emoji).texts(num_examples=len(emoji.examples))
    assert len(set(texts)) == len(texts)
    first = emoji.examples[0]
    assert first.query.instruction in texts
    assert text_of(first.query.item) in texts or "i" in modality(first.query.item)
    assert len(AnswersOf(emoji).texts(num_examples=10)) < len(texts)


def test_kinds_take_turns():
    both = in_turn(
        [
            lambda number: NamingExample("a", (), str(number)),
            lambda number: NamingExample("b", (), str(number)),
        ]
    )
    assert [(both(number).instruction, both(number).answer) for number in range(4)] == [
        ("a", "0"),
        ("b", "1"),
        ("a", "2"),
        ("b", "3"),
    ]
