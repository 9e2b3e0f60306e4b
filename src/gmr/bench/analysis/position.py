"""Whether a score hangs on the other pairs of a request: it must not, beyond rounding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gmr.bench.analysis.cases import cases_of
from gmr.bench.analysis.options import Options, lot
from gmr.bench.analysis.results import AnalysisResult, Collector, Column
from gmr.bench.analysis.scoring import scores_of
from gmr.bench.analysis.words import number
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Does a candidate's score depend on its place in the request, or on the other candidates?"
# Rounding in float32 moves a log-odds by some 1e-5; a place that matters moves it by more than this.
TOLERANCE = 1e-3
HEADING = "largest change"


def position_sensitivity(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Scores of each query's candidates in three orders, and of its first candidate alone.

    Args:
        scorer: what is analysed; it must compute each time, so one that remembers scores shows nothing.
        tasks: any.
        options: how many queries and candidates.
    """
    collector = Collector()
    largest, worst, num_above, num_compared = 0.0, "", 0, 0
    for case in (case for task in tasks for case in cases_of(task, options)):
        pairs = [(case.query, document) for document in case.candidates]
        given = scores_of(scorer, pairs)
        lots = [lot(options.seed, case.query.query_id, document.doc_id) for document in case.candidates]
        orders = {
            "candidates in reverse": np.arange(len(pairs))[::-1],
            "candidates shuffled": np.argsort(lots),
            "one candidate alone": np.arange(1),
        }
        for label, order in orders.items():
            again = scores_of(scorer, [pairs[place] for place in order])
            changes = np.abs(again - given[order])
            collector.add(label, case, {HEADING: float(changes.max())})
            num_above += int((changes > TOLERANCE).sum())
            num_compared += len(changes)
            if changes.max() > largest:
                largest = float(changes.max())
                doc_id = case.candidates[order[int(changes.argmax())]].doc_id
                worst = f"{case.task.name}: query {case.query.query_id!r}, document {doc_id!r}, {label}"
    about = "largest change of a score of the query, log-odds; mean over queries"
    table = collector.table("place in the request", {HEADING: Column(about, is_effect=False)}, drawn=HEADING)
    return AnalysisResult(
        name="position",
        question=QUESTION,
        tables=(table,),
        sentences=(_sentence(largest, worst, num_above=num_above, num_compared=num_compared),),
        method=(f"The same pairs in other requests; a change up to {TOLERANCE:g} passes for rounding.",),
        facts={
            "largest_change": largest,
            "where": worst,
            "tolerance": TOLERANCE,
            "num_above_tolerance": num_above,
            "num_compared": num_compared,
            "passed": num_above == 0,
        },
    )


def _sentence(largest: float, worst: str, *, num_above: int, num_compared: int) -> str:
    size = number(largest, is_signed=False)
    if not num_above:
        return (
            f"The place does not matter: of {num_compared} scores none changes by more than {size}"
            f" (rounding: up to {TOLERANCE:g})."
        )
    return (
        f"THE PLACE MATTERS: {num_above} of {num_compared} scores change by more than {TOLERANCE:g}, the most"
        f" by {size} ({worst})."
    )
