"""All pictures of a task are looked at before the first is scored: a broken one is named at once, not after hours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tqdm import tqdm

from gmr.core.errors import DataError
from gmr.core.items import images_of
from gmr.core.nouns import Document, Pair, Query, picture_fault
from gmr.core.tasks import RerankTask

THREADS = 8
SHOWN = 20


@dataclass(frozen=True)
class BadMedia:
    """What cannot be shown to a model, with the reason.

    Attributes:
        queries: by query id.
        documents: by document id.
    """

    queries: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.queries or self.documents)

    def __or__(self, other: "BadMedia") -> "BadMedia":
        return BadMedia({**self.queries, **other.queries}, {**self.documents, **other.documents})

    def lines(self) -> list[str]:
        """One line for each, queries first."""
        return [
            *(f"query {query_id!r}: {reason}" for query_id, reason in self.queries.items()),
            *(f"document {doc_id!r}: {reason}" for doc_id, reason in self.documents.items()),
        ]


def check_media(task: RerankTask, *, progress: bool = False) -> BadMedia:
    """What of the queries and candidates of ``task`` has a picture that is missing, cut short, damaged or too large.

    The structure of each file is checked and nothing is decoded, so that it takes the time of reading the files.
    """
    queries = [task.queries[query_id] for query_id in task.first_stage]
    doc_ids = dict.fromkeys(doc_id for scores in task.first_stage.values() for doc_id in scores)
    owners: list[Query | Document] = [*queries, *(task.corpus[doc_id] for doc_id in doc_ids)]
    owners = [owner for owner in owners if images_of(owner.item)]
    with (
        ThreadPoolExecutor(THREADS) as pool,
        tqdm(
            total=len(owners), desc=f"{task.name}: pictures", unit="item", disable=not progress, delay=1
        ) as bar,
    ):
        reasons = []
        for reason in pool.map(picture_fault, (owner.item for owner in owners)):
            reasons.append(reason)
            bar.update()
    return _collect(zip(owners, reasons, strict=True))


def find_undecodable(owners: Iterable[Query | Document]) -> BadMedia:
    """Those of the queries and documents whose pictures cannot be decoded, though their structure is whole."""

    def decoded() -> Iterator[tuple[Query | Document, str | None]]:
        for owner in owners:
            try:
                for image in images_of(owner.item):
                    image.open()
                yield owner, None
            except DataError as error:
                yield owner, str(error)

    return _collect(decoded())


def refuse_bad_media(found: Mapping[str, BadMedia]) -> None:
    """Stop when there is any.

    Args:
        found: by name of the task.

    Raises:
        DataError: with how many, the first ones, and what to do.
    """
    lines = [f"{name}: {line}" for name, bad in found.items() for line in bad.lines()]
    if not lines:
        return
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise DataError(
        f"{len(lines)} queries and documents have pictures that cannot be used, and nothing was scored: "
        f"{'; '.join(lines[:SHOWN])}{more}. Mend them, or let each take the last place (--bad-media floor)"
    )


def _collect(found: Iterable[tuple[Query | Document, str | None]]) -> BadMedia:
    queries: dict[str, str] = {}
    documents: dict[str, str] = {}
    for owner, reason in found:
        if reason is not None and isinstance(owner, Query):
            queries[owner.query_id] = reason
        elif reason is not None and isinstance(owner, Document):
            documents[owner.doc_id] = reason
    return BadMedia(queries, documents)


def pair_is_bad(query: Query, document: Document, bad: BadMedia) -> bool:
    """Whether one of the two has a picture that cannot be used."""
    return query.query_id in bad.queries or document.doc_id in bad.documents


def usable(pairs: Sequence[Pair], bad: BadMedia) -> list[Pair]:
    """The pairs without bad pictures, in their order."""
    return [pair for pair in pairs if not pair_is_bad(*pair, bad)] if bad else list(pairs)
