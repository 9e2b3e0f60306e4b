"""gmr: universal multimodal reranking with LLMs.

Nothing heavy is imported here: names below are loaded when they are first used, so that ``import gmr`` and
``gmr --help`` stay instant.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "Document": "gmr.core.nouns",
    "Image": "gmr.core.items",
    "Query": "gmr.core.nouns",
    "Ranking": "gmr.core.nouns",
    "Reranker": "gmr.reranker",
    "Text": "gmr.core.items",
}
__all__ = ["Document", "Image", "Query", "Ranking", "Reranker", "Text"]


def __getattr__(name: str) -> Any:
    """The public name ``name``, imported on first use (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'gmr' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
