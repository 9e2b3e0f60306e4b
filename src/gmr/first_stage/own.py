"""Which documents are the query itself: what a retriever finds first where queries are drawn from the corpus."""

from collections.abc import Mapping

from gmr.core.errors import UsageError
from gmr.core.items import Image, images_of, item_key
from gmr.core.nouns import Document, Query

RULES = {
    "id": "the document has the query's id",
    "content": "the document is the query's item, or nothing but pictures of it",
    "both": "either",
}


def own_documents(
    queries: Mapping[str, Query], corpus: Mapping[str, Document], *, rule: str
) -> dict[str, frozenset[str]]:
    """For every query that is in the corpus itself, the ids of the documents that are it.

    By ``id`` a document with the query's id; this is right where queries are documents of the corpus (ArguAna, Quora),
    and wrong where both are merely counted from 1. By ``content`` a document equal to the query's item, or one of
    pictures alone, all of which the query shows (the reference picture of a composed query).

    Raises:
        UsageError: an unknown rule.
        DataError: a picture that cannot be read.
    """
    if rule not in RULES:
        raise UsageError(f"no rule for the query itself is called {rule!r}; there are {', '.join(RULES)}")
    found: dict[str, set[str]] = {query_id: set() for query_id in queries}
    if rule in ("id", "both"):
        for query_id in queries:
            if query_id in corpus:
                found[query_id].add(query_id)
    if rule in ("content", "both"):
        by_item: dict[str, list[str]] = {}
        by_picture: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for document in corpus.values():
            by_item.setdefault(item_key(document.item), []).append(document.doc_id)
            if all(isinstance(part, Image) for part in document.item):
                keys = frozenset(image.key for image in images_of(document.item))
                for key in keys:
                    by_picture.setdefault(key, []).append((document.doc_id, keys))
        for query in queries.values():
            found[query.query_id].update(by_item.get(item_key(query.item), ()))
            shown = {image.key for image in images_of(query.item)}
            for key in shown:
                found[query.query_id].update(
                    doc_id for doc_id, keys in by_picture.get(key, ()) if keys <= shown
                )
    return {query_id: frozenset(doc_ids) for query_id, doc_ids in found.items() if doc_ids}
