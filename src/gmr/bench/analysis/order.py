"""Whether the order of an item's parts matters: pictures before or after the text, pictures among themselves."""

from collections.abc import Callable, Sequence
from dataclasses import replace
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
from gmr.bench.analysis.changes import is_fused, pictures_first, pictures_reversed, texts_first
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.results import AnalysisResult, Collector, Column, Table
from gmr.bench.analysis.words import effect_sentence
from gmr.core.items import Item, images_of
from gmr.core.nouns import Document, Pair
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = (
    "Does it matter whether a picture comes before or after the text, and which of several comes first?"
)
Make = Callable[[Item], Item]


def has_several_pictures(item: Item) -> bool:
    """Whether an item has two pictures or more, not all alike."""
    return len(set(images_of(item))) > 1


def _as_given(item: Item) -> Item:
    return item


# What is compared: whose items, which of them, and the item after and before.
ORDERS: dict[str, tuple[str, Callable[[Item], bool], Make, Make]] = {
    "documents: picture first − text first": ("document", is_fused, pictures_first, texts_first),
    "queries: picture first − text first": ("query", is_fused, pictures_first, texts_first),
    "documents: pictures last first − as given": (
        "document",
        has_several_pictures,
        pictures_reversed,
        _as_given,
    ),
    "queries: pictures last first − as given": ("query", has_several_pictures, pictures_reversed, _as_given),
}


def why_not(task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    items = [task.queries[query_id].item for query_id in task.first_stage]
    items += [task.corpus[doc_id].item for row in task.first_stage.values() for doc_id in row]
    if any(is_fused(item) or has_several_pictures(item) for item in items):
        return ""
    return "no query and no document has both text and a picture, or several pictures"


def order_sensitivity(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """What another order of the same parts does to scores and to the measure.

    Args:
        scorer: what is analysed.
        tasks: items with text and pictures, or several pictures, count.
        options: how many queries and candidates.
    """
    heading = measure_heading(tasks)
    cases = [case for task in tasks for case in cases_of(task, options)]
    base = score_candidates(scorer, cases)
    collector = Collector()
    for label, (side, fits, after, before) in ORDERS.items():
        chosen = [
            number
            for number, case in enumerate(cases)
            if (fits(case.query.item) if side == "query" else any(fits(d.item) for d in case.candidates))
        ]
        some = [cases[number] for number in chosen]
        first, second = (_scores(scorer, some, side, fits, make) for make in (after, before))
        for place, number in enumerate(chosen):
            collector.add(
                label, some[place], _changes(some[place], base[number], first[place], second[place], heading)
            )
    columns = {
        "score": Column("mean change of the score, log-odds"),
        "score, SDs": Column("the same in standard deviations of the query's scores"),
        "size": Column("mean size of the change, whatever its sign, log-odds", is_effect=False),
        heading: Column("change of the measure"),
    }
    table = collector.table("order of parts", columns, drawn="score", seed=options.seed)
    return AnalysisResult(
        name="order",
        question=QUESTION,
        tables=(table,),
        sentences=tuple(_sentences(table, heading)),
        method=(
            "All candidates of a query are scored with their parts (or the query's) in either order.",
            "Where the order has a meaning (a word between two pictures), a change is no fault.",
        ),
        facts={"num_queries": len(cases)},
    )


def _scores(
    scorer: "Scorer", cases: Sequence[Case], side: str, fits: Callable[[Item], bool], make: Make
) -> list[Scores]:
    def changed(case: Case, document: Document) -> Pair | None:
        if side == "query":
            return case.with_item(make(case.query.item)), document
        return (case.query, replace(document, item=make(document.item))) if fits(document.item) else None

    return score_candidates(scorer, cases, change=changed)


def _changes(
    case: Case, base: Scores, after: Scores, before: Scores, heading: str
) -> dict[str, float | None]:
    changes = [after[doc_id] - before[doc_id] for doc_id in after]
    signed = mean_of(changes)
    return {
        "score": signed,
        "score, SDs": ratio(signed, spread_of(base)),
        "size": mean_of(map(abs, changes)),
        heading: case.measure(base | after) - case.measure(base | before),
    }


def _sentences(table: Table, heading: str) -> list[str]:
    sentences = []
    for row in table.summary():
        what, _, _ = row.change.label.partition(" − ")
        sentences.append(
            effect_sentence(
                row.estimates["score"],
                raises=f"{what}: scores rise",
                lowers=f"{what}: scores fall",
                nothing=f"{what}: no shift of the scores is shown",
            )
        )
        sentences.append(
            effect_sentence(
                row.estimates[heading],
                raises=f"{what}: {heading} rises",
                lowers=f"{what}: {heading} falls",
                nothing=f"{what}: no change of {heading} is shown",
            )
        )
    return sentences
