"""First stages that are files: one run of another tool, or several runs fused into one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmr.core.errors import DataError, UsageError
from gmr.core.files import sha256_file
from gmr.core.nouns import Document, Query, Run
from gmr.first_stage.best import BestDocuments
from gmr.first_stage.foreign import read_foreign
from gmr.metrics.fusion import RANK_CONSTANT, SCALES, reciprocal_rank, weighted_sum
from gmr.metrics.order import canonical_order

# Reciprocal ranks near 1000 differ by less than a millionth.
FUSED_DECIMALS = 9


class ImportedRun:
    """What another tool found, cut to the depth; its scores are kept as they are.

    Args:
        path: a TREC run, an mteb prediction, a rank list of three columns or a ``top_ranked`` table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run, self.format = read_foreign(path)

    def facts(self) -> dict[str, Any]:
        """Name of the file, its format and digest."""
        source = {"file": self.path.name, "sha256": sha256_file(self.path), "format": self.format}
        return {"name": "import", **source}

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """The first documents of each query of the file.

        Raises:
            DataError: the file has queries or documents that are unknown, with their counts.
        """
        _check_known(self._run, queries, corpus, self.path)
        found = {}
        for query_id in queries:
            scores = self._run.get(query_id, {})
            order = canonical_order(scores, where=f"{self.path}: query {query_id!r}")
            found[query_id] = {doc_id: scores[doc_id] for doc_id in order[:depth]}
        return found


class FusedRuns:
    """Several runs as one: by reciprocal ranks (``rrf``) or by weighted sums of scores (``sum``).

    Args:
        paths: at least two files, as for `ImportedRun`.
        method: ``rrf`` or ``sum``.
        weights: one for each file, all 1 by default.
        scale: how ``sum`` makes scores comparable, a key of ``gmr.metrics.fusion.SCALES``.
        rank_constant: of ``rrf``.

    Raises:
        UsageError: fewer than two files, another number of weights, or an unknown method or scale.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        method: str = "rrf",
        weights: Sequence[float] | None = None,
        scale: str = "minmax",
        rank_constant: float = RANK_CONSTANT,
    ) -> None:
        if method not in ("rrf", "sum") or scale not in SCALES:
            raise UsageError(
                f"method {method!r} with scale {scale!r}; methods are rrf and sum, scales {', '.join(SCALES)}"
            )
        if len(paths) < 2 or (weights is not None and len(weights) != len(paths)):
            raise UsageError(
                f"{len(paths)} runs with {len(weights or [])} weights; give two runs or more, each or none with one"
            )
        self.paths, self.method, self.scale = list(paths), method, scale
        self.weights = [1.0] * len(paths) if weights is None else list(weights)
        self.rank_constant = rank_constant
        self._runs = [read_foreign(path)[0] for path in paths]

    def facts(self) -> dict[str, Any]:
        """Names, digests and weights of the files, and the method."""
        option = {"scale": self.scale} if self.method == "sum" else {"rank_constant": self.rank_constant}
        runs = [
            {"file": path.name, "sha256": sha256_file(path), "weight": weight}
            for path, weight in zip(self.paths, self.weights, strict=True)
        ]
        return {"name": self.method, **option, "runs": runs, "decimals": FUSED_DECIMALS}

    def search(
        self, queries: Mapping[str, Query], corpus: Mapping[str, Document], *, depth: int
    ) -> dict[str, dict[str, float]]:
        """The first documents of each query in the fused order.

        Raises:
            DataError: a file has queries or documents that are unknown, with their counts.
        """
        for path, run in zip(self.paths, self._runs, strict=True):
            _check_known(run, queries, corpus, path)
        if self.method == "rrf":
            fused = reciprocal_rank(self._runs, weights=self.weights, rank_constant=self.rank_constant)
        else:
            fused = weighted_sum(self._runs, weights=self.weights, scale=self.scale)
        best = BestDocuments(list(queries), depth=depth, decimals=FUSED_DECIMALS)
        for row, query_id in enumerate(queries):
            scores = fused.get(query_id, {})
            best.add(list(scores), np.array([list(scores.values())], dtype=np.float64), first=row)
        return best.run()


def _check_known(run: Run, queries: Mapping[str, Query], corpus: Mapping[str, Document], path: Path) -> None:
    strange = [query_id for query_id in run if query_id not in queries]
    if strange:
        raise DataError(
            f"{path}: {len(strange)} of {len(run)} queries are not those of the task, such as {strange[0]!r}"
        )
    doc_ids = {doc_id: None for scores in run.values() for doc_id in scores}
    strange = [doc_id for doc_id in doc_ids if doc_id not in corpus]
    if strange:
        raise DataError(
            f"{path}: {len(strange)} of {len(doc_ids)} documents are not in the corpus, such as {strange[0]!r}"
        )
