"""Facts about what a model is to say before it ranks."""

from collections import Counter

import pytest

from gmr import suites
from gmr.core.items import modality, text_of
from gmr.suites.naming import NAMED_BY_QUERIES, QUESTION, AnswersOf, NamingExample, in_turn
from tests.suites import tiny


@pytest.fixture(scope="module")
def emoji(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return suites.training_set("emoji", data_root=tiny.write_emoji(root))


def test_what_is_said_is_the_answer_that_the_training_set_has(emoji):
    documents, names = set(), set()
    for example in emoji.examples:
        document = example.positives[0].item
        if modality(document) == "t":
            documents.add((example.query.instruction, text_of(document)))
        elif example.pool in NAMED_BY_QUERIES:
            names.add(text_of(example.query.item))
    answers = AnswersOf(emoji, seed=1)
    kinds = Counter()
    for number in range(300):
        said = answers.example(number)
        kinds[said.is_document] += 1
        if said.is_document:
            assert (said.instruction, said.answer) in documents
        else:
            assert said.instruction == QUESTION
            assert "i" in modality(said.item)
            assert said.answer in names
        assert said.answer not in ("yes", "no")
    assert min(kinds.values()) > 10


def test_an_example_depends_on_seed_and_number_alone(emoji):
    def said(seed, numbers):
        answers = AnswersOf(emoji, seed=seed)
        return [answers.example(number).answer for number in numbers]

    assert said(1, [5, 3, 5]) == said(1, [5, 3, 5])
    assert said(1, [3]) == said(1, [5, 3])[1:]
    assert said(1, range(20)) != said(2, range(20))


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
