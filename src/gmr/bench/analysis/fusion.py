"""Whether the first stage's score still helps beside the model's: ``retrieval + w * rerank``."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gmr.bench.analysis.cases import Case, Scores, cases_of, measure_heading, score_candidates
from gmr.bench.analysis.options import Options, shuffled
from gmr.bench.analysis.results import AnalysisResult, Change, Collector, Column, Table
from gmr.bench.analysis.words import effect_sentence
from gmr.core.nouns import probability
from gmr.core.tasks import RerankTask
from gmr.metrics import fusion as metrics

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Does the first stage's score still help beside the model's?"
LAMRA_WEIGHTS = (1.0, 0.5, 0.1)
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, math.inf)
NUM_FOLDS = 5
RERANK_ONLY, FIRST_ONLY, RRF = (
    "rerank only (w = ∞)",
    "first stage only (w = 0)",
    f"reciprocal ranks (k = {metrics.RANK_CONSTANT})",
)
VERSUS = "− rerank only"


def _as_given(scores: Mapping[str, float]) -> Scores:
    return dict(scores)


def _sigmoids(scores: Mapping[str, float]) -> Scores:
    return {doc_id: probability(score) for doc_id, score in scores.items()}


def _scaled(name: str) -> "Scale":
    """A scale of `gmr.metrics.fusion` for the scores of documents."""

    def scale(scores: Mapping[str, float]) -> Scores:
        return dict(zip(scores, metrics.SCALES[name](list(scores.values())), strict=True))

    return scale


Scale = Callable[[Mapping[str, float]], Scores]
# What is done to the first stage's scores and to the model's, within a query.
SCALES: dict[str, tuple[Scale, Scale]] = {
    "score": (_as_given, _as_given),
    "sigmoid": (_as_given, _sigmoids),
    "z-scores": (_scaled("zscore"), _scaled("zscore")),
    "min-max": (_scaled("minmax"), _scaled("minmax")),
}


def why_not(task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    if any(len(set(scores.values())) > 1 for scores in task.first_stage.values()):
        return ""
    return "the first stage has no scores that differ"


def fusion(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Measure of sums of both scores, the weight fixed beforehand or chosen on other queries.

    Args:
        scorer: what is analysed.
        tasks: with first-stage scores.
        options: how many queries and candidates.

    Source: LamRA (arXiv 2412.01720) for the sum; Cormack et al., SIGIR 2009, for reciprocal ranks.
    """
    heading = measure_heading(tasks)
    table, curves = Collector(), Collector()
    chosen: dict[str, dict[str, list[str]]] = {}
    for task in tasks:
        cases = cases_of(task, options)
        values = _values(cases, score_candidates(scorer, cases))
        first, last = (values["score"][weight] for weight in (0.0, math.inf))

        def add(
            label: str,
            found: Sequence[float],
            cases: Sequence[Case] = cases,
            first: Sequence[float] = first,
            last: Sequence[float] = last,
        ) -> None:
            for case, value, start, end in zip(cases, found, first, last, strict=True):
                versus = None if label == RERANK_ONLY else value - end
                stage = None if label == FIRST_ONLY else value - start
                table.add(label, case, {heading: value, VERSUS: versus, "− first stage": stage})

        add(FIRST_ONLY, first)
        add(RERANK_ONLY, last)
        for scale in ("score", "sigmoid"):
            for weight in LAMRA_WEIGHTS:
                add(f"{scale}, w = {weight:g}", values[scale][weight])
        for scale, by_weight in values.items():
            if scale == RRF:
                add(RRF, by_weight[1.0])
            elif len(cases) > 1:
                found, weights = cross_validated(by_weight, _folds(cases, options))
                add(f"{scale}, w by cross-validation", found)
                chosen.setdefault(task.name, {})[scale] = [f"{weight:g}" for weight in weights]
        for scale in SCALES:
            for weight, found in values[scale].items():
                for case, value in zip(cases, found, strict=True):
                    curves.add(Change(f"{scale}, w = {weight:g}", scale, weight), case, {heading: value})
    about = {
        heading: Column("mean of the measure", is_effect=False),
        VERSUS: Column("minus that of the model's scores alone"),
        "− first stage": Column("minus that of the first stage alone", is_tested=False),
    }
    fused = table.table("fused scores", about, drawn=VERSUS, seed=options.seed)
    levels = {heading: Column("mean of the measure, on the queries themselves", is_effect=False)}
    curve = curves.table("every weight", levels, drawn=heading, axis="w", seed=options.seed)
    return AnalysisResult(
        name="fusion",
        question=QUESTION,
        tables=(fused, _finite(curve)),
        sentences=tuple(_sentences(fused, heading)),
        method=(
            "retrieval + w · rerank within the candidates of a query: score takes the model's score as given, sigmoid"
            " its sigmoid (of log-odds: the probability); z-scores and min-max scale both within the query.",
            f"w by cross-validation: {NUM_FOLDS} parts by lot; a part is measured with the weight that is best on"
            " the others of its task, the larger one where several are. The curve over all weights shows the"
            " queries themselves: its top is not what a new query gets.",
        ),
        facts={"weights": [f"{weight:g}" for weight in WEIGHTS], "chosen_weights": chosen},
    )


def fused_scores(first: Mapping[str, float], second: Mapping[str, float], *, weight: float) -> Scores:
    """``first + weight * second`` of each document; ``second`` alone for an infinite weight."""
    if math.isinf(weight):
        return dict(second)
    return {doc_id: first[doc_id] + weight * second[doc_id] for doc_id in second}


def cross_validated(
    by_weight: Mapping[float, Sequence[float]], folds: Sequence[Sequence[int]]
) -> tuple[list[float], list[float]]:
    """Each query's value with the weight that is best on the other folds, and the weight of each fold.

    Args:
        by_weight: weight to ``(queries,)`` values.
        folds: positions of the queries of each fold.

    Returns:
        ``(queries,)`` values and ``(folds,)`` weights; of equally good weights the largest.
    """
    weights = sorted(by_weight)
    table = np.array([by_weight[weight] for weight in weights])
    values = np.zeros(table.shape[1])
    chosen = []
    for fold in folds:
        others = np.setdiff1d(np.arange(table.shape[1]), fold)
        means = table[:, others].mean(axis=1)
        # Means that differ by rounding alone are equal.
        best = int(np.flatnonzero(means >= means.max() - 1e-12)[-1])
        values[list(fold)] = table[best, list(fold)]
        chosen.append(weights[best])
    return values.tolist(), chosen


def _values(cases: Sequence[Case], reranked: Sequence[Scores]) -> dict[str, dict[float, list[float]]]:
    """Scale to weight to the measure of each query."""
    values: dict[str, dict[float, list[float]]] = {
        scale: {weight: [] for weight in WEIGHTS} for scale in SCALES
    }
    values[RRF] = {1.0: []}
    for case, second in zip(cases, reranked, strict=True):
        own = case.task.first_stage[case.query.query_id]
        first = {document.doc_id: own[document.doc_id] for document in case.candidates}
        for scale, (of_first, of_second) in SCALES.items():
            left, right = of_first(first), of_second(second)
            for weight in WEIGHTS:
                values[scale][weight].append(case.measure(fused_scores(left, right, weight=weight)))
        query_id = case.query.query_id
        ranked = metrics.reciprocal_rank([{query_id: first}, {query_id: second}])
        values[RRF][1.0].append(case.measure(ranked[query_id]))
    return values


def _folds(cases: Sequence[Case], options: Options) -> list[list[int]]:
    places = {case.query.query_id: place for place, case in enumerate(cases)}
    order = shuffled(list(places), "folds", seed=options.seed)
    num = min(NUM_FOLDS, len(order))
    return [[places[query_id] for query_id in order[fold::num]] for fold in range(num)]


def _finite(table: Table) -> Table:
    """The rows whose weight can stand on an axis."""
    rows = tuple(row for row in table.rows if row.change.x is None or math.isfinite(row.change.x))
    return Table(table.title, table.columns, rows, table.drawn, table.axis)


def _sentences(table: Table, heading: str) -> list[str]:
    return [
        effect_sentence(
            row.estimates[VERSUS],
            raises=f"{row.change.label}: {heading} is higher than by the model alone",
            lowers=f"{row.change.label}: {heading} is lower than by the model alone",
            nothing=f"{row.change.label}: no difference to the model alone is shown",
        )
        for row in table.summary()
        if VERSUS in row.estimates and row.change.label != FIRST_ONLY
    ]
