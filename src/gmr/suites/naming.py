"""Words that a model is to say before it ranks: the answers of a training set, whichever side they stand on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmr.core.items import Item, modality, text_of
from gmr.core.tasks import TrainingExample, TrainingSet
from gmr.suites.draws import chance

# A picture may be called by its query only where the language of the query is no secret and no other picture answers it
# as well: these tasks ask in English, with one picture a document.
NAMED_BY_QUERIES = ("emoji-t2i", "emoji-t2it", "stamps-t2i")
QUESTION = "say what it shows"


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
    """Examples by seed and number, from the training examples of a suite.

    Where documents are texts, the document is to be said from the query; where they are pictures and the query is
    their name, the name from the picture. Training examples that are neither are passed over.

    Args:
        training_set: where they come from.
        seed: of what is drawn.
    """

    def __init__(self, training_set: TrainingSet, *, seed: int = 0) -> None:
        self._examples = training_set.examples
        self._seed = seed

    def example(self, number: int) -> NamingExample:
        """The example of that number."""
        attempt = 0
        while True:
            place = chance("answers", self._seed, number, attempt, out_of=len(self._examples))
            found = _named(self._examples[place])
            if found is not None:
                return found
            attempt += 1

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


def _named(example: TrainingExample) -> NamingExample | None:
    document = example.positives[0].item
    if modality(document) == "t":
        instruction = example.query.instruction or ""
        return NamingExample(instruction, example.query.item, text_of(document), is_document=True)
    if example.pool in NAMED_BY_QUERIES:
        return NamingExample(QUESTION, document, text_of(example.query.item))
    return None
