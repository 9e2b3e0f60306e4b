"""Sets of answers that a prompt can ask for, by name: yes or no, or grades of relevance."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from gmr.core.errors import ConfigError
from gmr.modeling.templates import Template

AnswerSet = tuple[tuple[str, ...], tuple[str, ...]]
_WORDS = ("ten", "nine", "eight", "seven", "six", "five", "four", "three", "two", "one", "zero")


def _grades(answers: tuple[str, ...]) -> AnswerSet:
    """Grades from the highest down, positive where they are in the upper half (the middle one is not)."""
    half = len(answers) // 2
    return answers[:half], answers[half:]


ANSWER_SETS: Mapping[str, AnswerSet] = MappingProxyType(
    {
        "yes_no": (("yes",), ("no",)),
        # ERank's scale. Tokenizers that split numbers into digits have no single token for 10: theirs is 0 to 9.
        "grades_0_10": _grades(tuple(str(grade) for grade in range(10, -1, -1))),
        "grades_0_9": _grades(tuple(str(grade) for grade in range(9, -1, -1))),
        # For tokenizers without a token for a digit of its own, such as gmr-nano's.
        "grade_words_0_10": _grades(_WORDS),
    }
)
"""Positive and negative answers; grades highest first, as the readouts of grades read them."""


def with_answers(template: Template, name: str) -> Template:
    """The template with the answers of that set, whatever its text asks for.

    Raises:
        ConfigError: no such set; the message lists those there are.
    """
    if name not in ANSWER_SETS:
        raise ConfigError(f"no set of answers is called {name!r}; there are {', '.join(ANSWER_SETS)}")
    positive, negative = ANSWER_SETS[name]
    return dataclasses.replace(template, positive=positive, negative=negative)
