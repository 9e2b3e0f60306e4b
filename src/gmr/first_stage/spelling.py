"""Retrievers by the words of a command line: ``bm25``, ``st:MODEL``, ``rrf:a.trec,b.trec``."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gmr.core.errors import UsageError
from gmr.first_stage.retriever import Retriever

TASK = "{task}"
_WEIGHTED = re.compile(r"(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\*)?(.+)")


def find_retriever(spelled: str, options: Mapping[str, Any]) -> Retriever:
    """The retriever that ``spelled`` names, with those of ``options`` that are not None.

    Args:
        spelled: one of ``SPELLINGS``.
        options: keyword arguments of the retriever.

    Raises:
        UsageError: an unknown name, a missing or needless part after the colon, or an option of another retriever.
        ModelError: the model cannot be loaded.
        DataError: a file cannot be read.
    """
    kind, colon, rest = spelled.partition(":")
    if kind not in KINDS:
        raise UsageError(f"no retriever is called {kind!r}; write one of {', '.join(SPELLINGS)}")
    make, names, wants = KINDS[kind]
    if bool(rest) != bool(wants) or (colon and not wants):
        raise UsageError(f"{spelled!r} is no retriever; it is written {kind}{':' + wants if wants else ''}")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in names:
            owners = [other for other, (_, known, _) in KINDS.items() if name in known]
            raise UsageError(f"--{name.replace('_', '-')} belongs to {', '.join(owners)}, not to {kind}")
    return make(rest, given)


def is_file(spelled: str) -> bool:
    """Whether the retriever reads runs, which are of one task."""
    return spelled.partition(":")[0] in ("rrf", "sum", "import")


def _bm25(_: str, options: dict[str, Any]) -> Retriever:
    from gmr.first_stage.bm25 import BM25

    return BM25(**options)


def _pixels(_: str, options: dict[str, Any]) -> Retriever:
    from gmr.first_stage.pixels import PictureCosine

    return PictureCosine("pixels", **options)


def _colours(_: str, options: dict[str, Any]) -> Retriever:
    from gmr.first_stage.pixels import PictureCosine

    return PictureCosine("colours", **options)


def _embedder(model: str, options: dict[str, Any]) -> Retriever:
    from gmr.first_stage.embedder import Embedder

    return Embedder(model, **options)


def _vision_language(model: str, options: dict[str, Any]) -> Retriever:
    from gmr.first_stage.vlm import VisionLanguageEmbedder

    return VisionLanguageEmbedder(model, **options)


def _import(path: str, _: dict[str, Any]) -> Retriever:
    from gmr.first_stage.files import ImportedRun

    return ImportedRun(Path(path))


def _fuse(method: str) -> Callable[[str, dict[str, Any]], Retriever]:
    def make(files: str, options: dict[str, Any]) -> Retriever:
        from gmr.first_stage.files import FusedRuns

        parts = [_WEIGHTED.fullmatch(part.strip()) for part in files.split(",")]
        found = [part.groups() for part in parts if part]
        if len(found) < len(parts):
            raise UsageError(f"{method}:{files}: a file between two commas is missing")
        weights = [float(weight or 1) for weight, _ in found]
        return FusedRuns([Path(path) for _, path in found], method=method, weights=weights, **options)

    return make


_MODEL_OPTIONS = ("dtype", "device", "max_tokens", "cache")
# Name -> how it is made, its options, and what stands after the colon.
KINDS: dict[str, tuple[Callable[[str, dict[str, Any]], Retriever], tuple[str, ...], str]] = {
    "bm25": (_bm25, ("k1", "b", "stop_words", "stem"), ""),
    "pixels": (_pixels, (), ""),
    "colours": (_colours, (), ""),
    "st": (_embedder, ("query_prompt", "document_prompt", *_MODEL_OPTIONS), "MODEL"),
    "vlm": (_vision_language, ("prompt", "instruction", *_MODEL_OPTIONS), "MODEL"),
    "rrf": (_fuse("rrf"), ("rank_constant",), "a.trec,b.trec"),
    "sum": (_fuse("sum"), ("scale",), "0.7*a.trec,0.3*b.trec"),
    "import": (_import, (), "FILE"),
}
SPELLINGS = tuple(f"{name}:{rest}" if rest else name for name, (_, _, rest) in KINDS.items())
