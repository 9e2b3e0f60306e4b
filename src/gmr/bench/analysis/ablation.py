"""Whether a model uses both sides of a fused query: the measure with one of them gone, blank or another's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gmr.bench.analysis.cases import Case, cases_of, mean_of, measure_heading, score_candidates
from gmr.bench.analysis.changes import (
    is_fused,
    pictures_alone,
    texts_alone,
    with_pictures,
    with_pictures_of,
    with_texts_of,
)
from gmr.bench.analysis.options import Options, lot
from gmr.bench.analysis.pictures import blank
from gmr.bench.analysis.results import AnalysisResult, Collector, Column, Table
from gmr.bench.analysis.words import effect_sentence
from gmr.core.items import Item, images_of, text_of
from gmr.core.nouns import Document, Pair, Query
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Does the model use both the picture and the text of a fused query?"
WHOLE = "whole query"
WITHOUT_PICTURE, BLANK, WRONG_PICTURE = "without picture", "blank picture", "wrong picture"
WITHOUT_TEXT, WRONG_TEXT = "without text", "wrong text"
PICTURE_SIDE = (WITHOUT_PICTURE, BLANK, WRONG_PICTURE)


def why_not(task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    fused = any(is_fused(task.queries[query_id].item) for query_id in task.first_stage)
    return "" if fused else "no query has both text and a picture"


def query_ablation(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """The measure of fused queries with a side changed, paired with the whole query.

    Args:
        scorer: what is analysed.
        tasks: with fused queries.
        options: how many queries and candidates.
    """
    heading = measure_heading(tasks)
    collector, num_without_other = Collector(), 0
    for task in tasks:
        cases = [case for case in cases_of(task, options) if is_fused(case.query.item)]
        changed = [_queries(case, cases, options) for case in cases]
        num_without_other += sum(WRONG_PICTURE not in items for items in changed)
        base = score_candidates(scorer, cases)
        whole = [case.measure(scores) for case, scores in zip(cases, base, strict=True)]
        for case, value in zip(cases, whole, strict=True):
            collector.add(WHOLE, case, {heading: value})
        for label in (*PICTURE_SIDE, WITHOUT_TEXT, WRONG_TEXT):
            some = [number for number, items in enumerate(changed) if label in items]
            queries = {id(cases[n]): cases[n].with_item(changed[n][label]) for n in some}

            def asked(case: Case, document: Document, queries: dict[int, Query] = queries) -> Pair:
                return queries[id(case)], document

            scores = score_candidates(scorer, [cases[n] for n in some], change=asked)
            for number, after in zip(some, scores, strict=True):
                case, before = cases[number], base[number]
                value = case.measure(after)
                collector.add(
                    label,
                    case,
                    {
                        heading: value,
                        "change": value - whole[number],
                        "relevant": mean_of(after[d.doc_id] - before[d.doc_id] for d in case.relevant),
                        "irrelevant": mean_of(after[d.doc_id] - before[d.doc_id] for d in case.irrelevant),
                    },
                )
    columns = {
        heading: Column("mean of the measure", is_effect=False),
        "change": Column("measure minus that of the whole query"),
        "relevant": Column("change of the score of relevant documents, log-odds"),
        "irrelevant": Column("change of the score of irrelevant documents, log-odds"),
    }
    table = collector.table("query changed", columns, drawn="change", seed=options.seed)
    return AnalysisResult(
        name="ablation",
        question=QUESTION,
        tables=(table,),
        sentences=tuple(_sentences(table, heading)),
        method=(
            "A wrong picture or text is that of another drawn query of the task, by lot; a blank picture is"
            " white and of the same size.",
            "A side that is gone also makes a query unlike those the model was trained on.",
        ),
        facts={"num_queries_without_another": num_without_other},
    )


def _queries(case: Case, cases: Sequence[Case], options: Options) -> dict[str, Item]:
    """What the query becomes; what takes another query is absent where there is none that differs."""
    item = case.query.item
    changed = {
        WITHOUT_PICTURE: texts_alone(item),
        BLANK: with_pictures(item, blank),
        WITHOUT_TEXT: pictures_alone(item),
    }
    others = sorted(
        (other.query.item for other in cases if other is not case),
        key=lambda other: lot(options.seed, case.query.query_id, text_of(other), images_of(other)[0].key),
    )
    for other in others:
        if WRONG_PICTURE not in changed and not set(images_of(other)) & set(images_of(item)):
            changed[WRONG_PICTURE] = with_pictures_of(item, other)
        if WRONG_TEXT not in changed and text_of(other) != text_of(item):
            changed[WRONG_TEXT] = with_texts_of(item, other)
    return changed


def _sentences(table: Table, heading: str) -> list[str]:
    sentences = []
    for row in table.summary():
        if "change" not in row.estimates:
            continue
        side = "picture" if row.change.label in PICTURE_SIDE else "text"
        sentences.append(
            effect_sentence(
                row.estimates["change"],
                raises=f"{row.change.label}: {heading} rises, so the {side} as it is does harm",
                lowers=f"{row.change.label}: {heading} falls, so the {side} is used",
                nothing=f"{row.change.label}: no change of {heading} is shown",
            )
        )
    return sentences
