"""Small tasks with pictures whose content is told by their number."""

from gmr.core.items import Item, as_item
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from tests.core.pictures import encode, noise


def picture(number: int) -> bytes:
    return encode(noise(6, 5, seed=number), "PNG")


def fused(number: int, *, text: bool, image: bool) -> Item:
    """An item of a picture, then a text, as far as asked for."""
    spelled = {"image": picture(number) if image else None, "text": f"text {number}" if text else None}
    return as_item(spelled)


def toy_task(
    task_type: str = "it2i",
    *,
    num_queries: int = 4,
    num_documents: int = 7,
    prefix: str = "",
    ranked: bool = True,
    instruction: str | None = "Find it.",
) -> RerankTask:
    """Query ``i`` finds document ``i``; candidates are documents ``i`` to ``i + 3``, worst first, scored 1 to 4."""
    query_side, _, document_side = task_type.partition("2")
    kinds = {"text": "t", "image": "i"}

    def parts(side: str) -> dict[str, bool]:
        side = side.replace("vd", "i")
        return {name: code in side for name, code in kinds.items()}

    documents = [Document(f"{prefix}d{i}", fused(i, **parts(document_side))) for i in range(num_documents)]
    queries = [
        Query(f"{prefix}q{i}", fused(100 + i, **parts(query_side)), instruction) for i in range(num_queries)
    ]
    return RerankTask(
        name="toy",
        task_type=task_type,
        queries={query.query_id: query for query in queries},
        corpus={document.doc_id: document for document in documents},
        qrels={f"{prefix}q{i}": {f"{prefix}d{i}": 1, f"{prefix}d{i + 1}": 0} for i in range(num_queries)},
        first_stage={
            f"{prefix}q{i}": {f"{prefix}d{(i + j) % num_documents}": float(j + 1) for j in range(4)}
            for i in range(num_queries)
        }
        if ranked
        else {},
    )
