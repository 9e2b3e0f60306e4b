"""Queries and a corpus to a frozen run: candidates from the whole corpus, and never a positive that was not found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmr.core.errors import DataError, UsageError
from gmr.core.frozen_runs import data_facts
from gmr.core.nouns import Document, Qrels, Query, Run
from gmr.first_stage.own import own_documents
from gmr.first_stage.retriever import Retriever
from gmr.metrics.measures import evaluate, parse_measure

MAX_DEPTH = 1000
DEFAULT_DEPTH = 100
# Where the curve of recall over depth is read.
CUTOFFS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class FirstStage:
    """A run that is never changed again, and where it came from.

    Attributes:
        run: every query that has a candidate, with its candidates, best first.
        depth: most candidates of a query.
        retriever: name, options and digests of what found them.
        data: digests and numbers of the queries and the corpus.
        own: query id to the documents that were left out as the query itself.
        counts: queries, documents, candidates, queries with fewer than ``depth`` or none, and own documents left out.
    """

    run: Run
    depth: int
    retriever: Mapping[str, Any]
    data: Mapping[str, Any]
    own: Mapping[str, frozenset[str]]
    counts: Mapping[str, int]


def build(
    queries: Mapping[str, Query],
    corpus: Mapping[str, Document],
    retriever: Retriever,
    *,
    depth: int = DEFAULT_DEPTH,
    exclude_self: str | None = None,
) -> FirstStage:
    """What ``retriever`` finds in the whole corpus for every query.

    Judgments are no argument: a relevant document is a candidate if it was found.

    Args:
        queries: by query id.
        corpus: by document id.
        retriever: searches.
        depth: most candidates of a query, 1 to 1000.
        exclude_self: a key of ``gmr.first_stage.own.RULES``: leave out documents that are the query itself; they are
            counted. None keeps them.

    Raises:
        UsageError: a depth out of range, or an unknown rule.
        DataError: no query or no document, or what the retriever cannot read.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise UsageError(f"depth is {depth}; it is between 1 and {MAX_DEPTH}")
    if not queries or not corpus:
        raise DataError(f"{len(queries)} queries and {len(corpus)} documents: nothing to find")
    own = {} if exclude_self is None else own_documents(queries, corpus, rule=exclude_self)
    deeper = depth + max(map(len, own.values()), default=0)
    found = retriever.search(queries, corpus, depth=deeper)
    run: dict[str, dict[str, float]] = {}
    left_out: dict[str, frozenset[str]] = {}
    for query_id in queries:
        scores, mine = found.get(query_id, {}), own.get(query_id, frozenset())
        if mine := mine & scores.keys():
            left_out[query_id] = mine
        kept = [doc_id for doc_id in scores if doc_id not in mine][:depth]
        if kept:
            run[query_id] = {doc_id: scores[doc_id] for doc_id in kept}
    if not run:
        raise DataError(f"none of the {len(queries)} queries has a candidate")
    counts = {
        "queries": len(queries),
        "documents": len(corpus),
        "candidates": sum(map(len, run.values())),
        "queries_without_candidates": len(queries) - len(run),
        "queries_with_fewer_than_depth": sum(len(run.get(query_id, {})) < depth for query_id in queries),
    }
    if exclude_self is not None:
        counts["own_documents_left_out"] = sum(map(len, left_out.values()))
    facts = {**retriever.facts(), "exclude_self": exclude_self}
    return FirstStage(run, depth, facts, data_facts(queries, corpus), left_out, counts)


def measure_first_stage(
    first_stage: FirstStage, qrels: Qrels, *, measures: Sequence[str] = ("ndcg@10",)
) -> dict[str, float]:
    """Means over the judged queries, of recall along the depth and of the measures; the run is not touched.

    Recall at the full depth is the most that any reranker of these candidates can reach.

    Raises:
        DataError: no query has a relevant document.
        ValueError: an unknown measure.
    """
    depth = first_stage.depth
    cutoffs = [*(cutoff for cutoff in CUTOFFS if cutoff < depth), depth]
    names = [f"recall@{cutoff}" for cutoff in cutoffs]
    names += [str(parse_measure(measure)) for measure in measures]
    values = evaluate(first_stage.run, qrels, names)
    return {name: float(np.mean(list(values[name].values()))) for name in dict.fromkeys(names)}
