"""What fewer or more pixels, JPEG and the loss of colour do to scores and to the measure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gmr.bench.analysis.cases import (
    Case,
    Scores,
    cases_of,
    mean_of,
    measure_heading,
    ratio,
    score_candidates,
    spread_of,
)
from gmr.bench.analysis.changes import has_picture, with_pictures
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.pictures import as_jpeg, grey, resized
from gmr.bench.analysis.results import AnalysisResult, Change, Collector, Column, Table
from gmr.bench.analysis.words import effect_sentence
from gmr.core.items import Image, Item
from gmr.core.nouns import Document, Pair
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "How much do scores and the measure depend on the size and quality of pictures?"
PIXELS = "pixels"
# Each with the share of pixels it leaves, where that is what it changes.
TREATMENTS: dict[str, tuple[Callable[[Image], Image], float | None]] = {
    "1/16 of the pixels": (partial(resized, factor=1 / 16), 1 / 16),
    "1/4 of the pixels": (partial(resized, factor=1 / 4), 1 / 4),
    "4 times the pixels": (partial(resized, factor=4), 4),
    "16 times the pixels": (partial(resized, factor=16), 16),
    "JPEG, quality 75": (partial(as_jpeg, quality=75), None),
    "JPEG, quality 10": (partial(as_jpeg, quality=10), None),
    "grey": (grey, None),
}


def why_not(task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    items = [task.queries[query_id].item for query_id in task.first_stage]
    items += [task.corpus[doc_id].item for row in task.first_stage.values() for doc_id in row]
    return "" if any(map(has_picture, items)) else "no query and no document has a picture"


def resolution_sensitivity(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Changes of score and measure when all pictures of query and candidates are treated alike.

    Args:
        scorer: what is analysed.
        tasks: with pictures on either side.
        options: how many queries and candidates.
    """
    heading = measure_heading(tasks)
    cases = [
        case
        for task in tasks
        for case in cases_of(task, options)
        if any(map(has_picture, [case.query.item, *(d.item for d in case.candidates)]))
    ]
    base = score_candidates(scorer, cases)
    collector = Collector()
    for label, (treatment, share) in TREATMENTS.items():
        change = Change(label, PIXELS if share else "", share)
        for case, before, after in zip(cases, base, _treated(scorer, cases, treatment), strict=True):
            collector.add(change, case, _changes(case, before, after, heading))
    columns = {
        "relevant": Column("change of the score of relevant documents, log-odds"),
        "irrelevant": Column("change of the score of irrelevant documents, log-odds"),
        "size, SDs": Column(
            "mean size of a change, whatever its sign, in standard deviations of the query's scores",
            is_effect=False,
        ),
        heading: Column("change of the measure"),
    }
    table = collector.table("pictures treated", columns, drawn=heading, seed=options.seed)
    return AnalysisResult(
        name="resolution",
        question=QUESTION,
        tables=(table,),
        sentences=tuple(_sentences(table, heading)),
        method=(
            "All pictures of the query and of its candidates are treated alike; shape is kept.",
            "The model's processor brings pictures into its own range of pixels afterwards: enlarging adds no"
            " detail, and beyond that range changes little.",
        ),
        facts={"num_queries": len(cases)},
    )


def _treated(scorer: "Scorer", cases: Sequence[Case], treatment: Callable[[Image], Image]) -> list[Scores]:
    queries: dict[int, Item] = {}  # a query's picture is treated once, not once for each candidate

    def changed(case: Case, document: Document) -> Pair:
        if id(case) not in queries:
            queries.clear()
            queries[id(case)] = with_pictures(case.query.item, treatment)
        item = with_pictures(document.item, treatment)
        return case.with_item(queries[id(case)]), replace(document, item=item)

    return score_candidates(scorer, cases, change=changed)


def _changes(case: Case, before: Scores, after: Scores, heading: str) -> dict[str, float | None]:
    changes = {doc_id: after[doc_id] - before[doc_id] for doc_id in before}
    return {
        "relevant": mean_of(changes[document.doc_id] for document in case.relevant),
        "irrelevant": mean_of(changes[document.doc_id] for document in case.irrelevant),
        "size, SDs": ratio(mean_of(map(abs, changes.values())), spread_of(before)),
        heading: case.measure(after) - case.measure(before),
    }


def _sentences(table: Table, heading: str) -> list[str]:
    return [
        effect_sentence(
            row.estimates[heading],
            raises=f"{row.change.label}: {heading} rises",
            lowers=f"{row.change.label}: {heading} falls",
            nothing=f"{row.change.label}: no change of {heading} is shown",
        )
        for row in table.summary()
    ]
