"""What a first stage is: something that searches a corpus, and that can say how it did."""

from collections.abc import Mapping
from typing import Any, Protocol

from gmr.core.nouns import Document, Query

# Digits after the point that scores of a first stage keep: more than float32 arithmetic agrees upon between machines
# is noise, which would make another file of the same run.
DECIMALS = 6


class Retriever(Protocol):
    """Finds documents for queries. It is never shown a judgment: what is relevant cannot change what is found."""

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """For every query, in order, up to ``depth`` documents of the corpus with their scores, best first.

        Equal scores are ordered by document id descending, and so is the cut at ``depth``. A document that the
        retriever has nothing to say about is no candidate: a query may have fewer than ``depth``, or none.
        """

    def facts(self) -> dict[str, Any]:
        """Name, options and digests that tell one retriever from another, as JSON can hold them; after a search."""
