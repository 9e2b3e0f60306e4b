"""Words that a model is to say before it ranks: the documents that answer the queries of a training set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmr.core.errors import DataError
from gmr.core.items import Item, modality, text_of
from gmr.core.tasks import TrainingSet
from gmr.suites.draws import chance

MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class NamingExample:
    """Something to look at or read, what is asked, and the words that answer.

    Attributes:
        instruction: what is asked.
        item: what is shown, in the query's place.
        answer: the words to say.
        document: None, or what stands in the document's place: then the words say what *it* shows.
        is_document: whether the words are themselves the document that answers the query.
    """

    instruction: str
    item: Item
    answer: str
    document: Item | None = None
    is_document: bool = False


NumberedExamples = Callable[[int], NamingExample]


class AnswersOf:
    """Examples by seed and number, from the training examples of a suite: from the query, the document is to be said.

    Training examples whose documents are not texts are passed over.

    Args:
        training_set: where they come from.
        seed: of what is drawn.
    """

    def __init__(self, training_set: TrainingSet, *, seed: int = 0) -> None:
        self._examples = training_set.examples
        self._seed = seed

    def example(self, number: int) -> NamingExample:
        """The example of that number.

        Raises:
            DataError: hardly any training example, or none, has something to say.
        """
        for attempt in range(MOST_ATTEMPTS):
            place = chance("answers", self._seed, number, attempt, out_of=len(self._examples))
            example = self._examples[place]
            document = example.positives[0].item
            if modality(document) == "t":
                return NamingExample(
                    example.query.instruction or "", example.query.item, text_of(document), is_document=True
                )
        raise DataError(f"of {MOST_ATTEMPTS} training examples none has a text to say")

    def texts(self, *, num_examples: int) -> list[str]:
        """Texts of so many training examples, spread evenly: what a tokenizer is trained on."""
        step = max(1, len(self._examples) // num_examples)
        texts: dict[str, None] = {}
        for place in range(0, len(self._examples), step):
            example = self._examples[place]
            items = [example.query.item, *(document.item for document in example.positives[:1])]
            texts |= dict.fromkeys([text_of(item) for item in items] + [example.query.instruction or ""])
        return [text for text in texts if text]


def in_turn(kinds: Sequence[NumberedExamples]) -> NumberedExamples:
    """Examples of several kinds, each as often as the others."""
    return lambda number: kinds[number % len(kinds)](number)
