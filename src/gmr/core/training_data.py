"""Training examples on disk: one query with its positives and negatives per line of JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import read_jsonl, shorten
from gmr.core.items import Item, as_item, check_known, item_key, modality
from gmr.core.nouns import Document, Query
from gmr.core.records import DOC_ID_KEYS, QUERY_ID_KEYS, read_id
from gmr.core.tasks import TrainingExample, TrainingSet

TRAINING_KEYS = ("example_id", "query", "instruction", "positives", "negatives", "scores", "task")


def read_training_jsonl(path: Path | str) -> TrainingSet:
    """Training examples: ``query, instruction?, positives, negatives?, scores?, task?, example_id?`` a line.

    Query, positives and negatives are items in any spelling; a mapping may have a ``doc_id`` (``query_id``),
    without which the id is made of the content. Pictures are paths inside the file's folder. The random
    negatives of an example come from its pool: all documents of the file with the same ``task`` and modality.

    Raises:
        DataError: ``path:line: ...`` for an unknown key, a wrong type, an empty item, a missing picture, an
            id with two contents, or a wrong number of scores.
    """
    path = Path(path)
    reader = _TrainingReader(path)
    examples = [reader.example(f"{path}:{number}", record) for number, record in read_jsonl(path)]
    try:
        return TrainingSet(tuple(examples), reader.pools)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


class _TrainingReader:
    """Documents of a training file by id, and the pools they form, as its lines are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pools: dict[str, list[Document]] = {}
        self._documents: dict[str, tuple[Any, Document, str]] = {}  # id -> as spelled, document, where
        self._pooled: set[tuple[str, str]] = set()

    def example(self, where: str, record: Mapping[str, Any]) -> TrainingExample:
        check_known(record, TRAINING_KEYS, where)
        for key in ("query", "positives"):
            if key not in record:
                raise DataError(f"{where}: key {key!r} is missing")
        task = record.get("task") or "default"
        example_id = record.get("example_id") or f"{self.path.name}:{where.rpartition(':')[2]}"
        for key, value in (("task", task), ("example_id", example_id)):
            if not isinstance(value, str):
                raise DataError(f"{where}: {key} must be a string, this is {shorten(value)}")
        sides = [self._side(record, key, task, where) for key in ("positives", "negatives")]
        scores = _scores(record.get("scores"), where)
        query_id, item = self._identified(record["query"], QUERY_ID_KEYS, f"{where}: query")
        try:
            return TrainingExample(
                example_id,
                Query(query_id or example_id, item, record.get("instruction")),
                positives=sides[0],
                negatives=sides[1],
                pool=f"{task}/{modality(sides[0][0].item)}" if sides[0] else task,
                scores=scores,
            )
        except DataError as error:
            raise DataError(f"{where}: {error}") from None

    def _side(self, record: Mapping[str, Any], key: str, task: str, where: str) -> tuple[Document, ...]:
        values = record.get(key) or []
        if not isinstance(values, list):
            raise DataError(f"{where}: {key} must be a list of documents, this is {shorten(values)}")
        return tuple(self._document(value, task, f"{where}: {key}[{i}]") for i, value in enumerate(values))

    def _document(self, value: Any, task: str, where: str) -> Document:
        doc_id, item = self._identified(value, DOC_ID_KEYS, where)
        doc_id = doc_id or f"sha256-{item_key(item)}"
        spelled, document, first = self._documents.setdefault(doc_id, (value, Document(doc_id, item), where))
        # The spelling is compared first: equality of pictures reads their files.
        if spelled != value and document.item != item:
            raise DataError(f"{where}: document {doc_id!r} has other content than at {first}")
        pool = f"{task}/{modality(item)}"
        if (pool, doc_id) not in self._pooled:
            self._pooled.add((pool, doc_id))
            self.pools.setdefault(pool, []).append(document)
        return document

    def _identified(self, value: Any, keys: tuple[str, ...], where: str) -> tuple[str | None, Item]:
        identifier = None
        if isinstance(value, dict) and (identifier := read_id(value, keys, where=where)) is not None:
            value = {key: each for key, each in value.items() if key not in keys}
        return identifier, as_item(value, where=where, root=self.path.parent)


def _scores(value: Any, where: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and all(type(each) in (int, float) for each in value)
    if not numbers:
        raise DataError(f"{where}: scores must be a list of numbers, this is {shorten(value)}")
    try:
        return tuple(float(each) for each in value)
    except OverflowError:
        raise DataError(f"{where}: scores must be numbers below 1.8e308") from None
