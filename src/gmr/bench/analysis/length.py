"""Whether longer documents score otherwise, and whether it matters where in a document the content stands."""

from collections.abc import Callable, Sequence
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
    score_changed,
    spread_of,
)
from gmr.bench.analysis.changes import filler, has_text, text_after, text_around, text_before
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.results import AnalysisResult, Change, Collector, Column, Table
from gmr.bench.analysis.words import effect_sentence
from gmr.core.items import Item, text_of
from gmr.core.tasks import RerankTask
from gmr.metrics.agreement import kendall_tau, spearman_rho

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Do longer documents score otherwise, and does it matter where in a document the content stands?"
FILLER_WORDS = (10, 40, 160)
PLACES: dict[str, Callable[[Item, str], Item]] = {
    "content first": text_after,
    "content in the middle": text_around,
    "content last": text_before,
}
CORRELATION, FILLED, PLACED = "score and length", "filler added", "place of the content"
RELEVANT, IRRELEVANT = "relevant", "irrelevant"
MIN_DOCUMENTS = 3


def why_not(task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    documents = (task.corpus[doc_id] for row in task.first_stage.values() for doc_id in row)
    return "" if any(has_text(document.item) for document in documents) else "no document has text"


def length_sensitivity(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Correlation of score with length among irrelevant documents, and what filler does to a score.

    Args:
        scorer: what is analysed.
        tasks: documents with text count.
        options: how many queries and documents.
    """
    cases = [case for task in tasks for case in cases_of(task, options)]
    base = score_candidates(scorer, cases)
    correlation, num_without_order = _correlation(cases, base, options)
    filled, placed = _filler(scorer, cases, base, options, heading=measure_heading(tasks))
    return AnalysisResult(
        name="length",
        question=QUESTION,
        tables=(correlation, filled, placed),
        sentences=(*_correlation_sentences(correlation), *_filler_sentences(filled, placed)),
        method=(
            f"{CORRELATION}: of characters with score, over the irrelevant candidates of each query that have"
            " text; what else goes with length is in it too.",
            f"{FILLED}: words that say nothing, after, around or before a document's content; score after minus"
            " score before. The measure is that of the list in which only the relevant documents have filler.",
            f"{PLACED}: the same filler and content, in another order. A prompt that is longer than the model"
            " takes loses the end of the document.",
        ),
        facts={
            "num_queries": len(cases),
            "num_queries_without_order": num_without_order,
            "filler_words": list(FILLER_WORDS),
        },
    )


def _correlation(cases: Sequence[Case], base: Sequence[Scores], options: Options) -> tuple[Table, int]:
    collector, num_without = Collector(), 0
    for case, scores in zip(cases, base, strict=True):
        documents = [document for document in case.irrelevant if has_text(document.item)]
        lengths = [len(text_of(document.item)) for document in documents]
        values = [scores[document.doc_id] for document in documents]
        tau = kendall_tau(lengths, values) if len(documents) >= MIN_DOCUMENTS else None
        if tau is None:
            num_without += 1
            continue
        collector.add(
            "longer text", case, {"Kendall's tau": tau, "Spearman's rho": spearman_rho(lengths, values)}
        )
    columns = {
        "Kendall's tau": Column("tau-b within a query; 0 is no relation, 1 the order of length"),
        "Spearman's rho": Column("correlation of the ranks within a query"),
    }
    return collector.table(CORRELATION, columns, drawn="Kendall's tau", seed=options.seed), num_without


def _filler(
    scorer: "Scorer", cases: Sequence[Case], base: Sequence[Scores], options: Options, *, heading: str
) -> tuple[Table, Table]:
    documents = [
        [d for d in case.relevant if has_text(d.item)] + case.some_irrelevant(options, having=has_text)
        for case in cases
    ]
    filled, placed = Collector(), Collector()
    for num_words in FILLER_WORDS:
        text = filler(num_words)
        found = {
            place: score_changed(scorer, cases, documents, partial(_put, put, text))
            for place, put in PLACES.items()
        }
        for number, case in enumerate(cases):
            for place, after in found.items():
                change = Change(f"{num_words} words, {place}", place, num_words)
                values = _changes(case, base[number], base[number], after[number], heading=heading)
                filled.add(change, case, values)
                if place != "content first":
                    first = found["content first"][number]
                    change = Change(f"{num_words} words, {place} − first", place, num_words)
                    placed.add(
                        change, case, _changes(case, base[number], first, after[number], heading=heading)
                    )
    columns = {
        RELEVANT: Column("change of the score of relevant documents, log-odds"),
        IRRELEVANT: Column("change of the score of irrelevant documents, log-odds"),
        f"{IRRELEVANT}, SDs": Column("the same in standard deviations of the query's scores"),
        heading: Column("change of the measure when the relevant documents alone are changed"),
    }
    return (
        filled.table(FILLED, columns, drawn=IRRELEVANT, axis="words of filler", seed=options.seed),
        placed.table(PLACED, columns, drawn=RELEVANT, axis="words of filler", seed=options.seed),
    )


def _put(put: Callable[[Item, str], Item], text: str, _case: Case, item: Item) -> Item:
    return put(item, text)


def _changes(
    case: Case, base: Scores, before: Scores, after: Scores, *, heading: str
) -> dict[str, float | None]:
    changed = {doc_id: after[doc_id] - before[doc_id] for doc_id in after}
    relevant = [doc_id for doc_id in changed if case.is_relevant(doc_id)]
    up = mean_of(change for doc_id, change in changed.items() if doc_id not in relevant)
    measured = None
    if relevant:
        new, old = (base | {doc_id: scores[doc_id] for doc_id in relevant} for scores in (after, before))
        measured = case.measure(new) - case.measure(old)
    return {
        RELEVANT: mean_of(changed[doc_id] for doc_id in relevant),
        IRRELEVANT: up,
        f"{IRRELEVANT}, SDs": ratio(up, spread_of(base)),
        heading: measured,
    }


def _correlation_sentences(table: Table) -> list[str]:
    return [
        effect_sentence(
            row.estimates["Kendall's tau"],
            raises="Among irrelevant documents longer ones score higher (tau)",
            lowers="Among irrelevant documents longer ones score lower (tau)",
            nothing="No relation of score and length is shown among irrelevant documents (tau)",
        )
        for row in table.summary()
    ]


def _filler_sentences(filled: Table, placed: Table) -> list[str]:
    """Of the most filler, where an effect is largest; the tables have the rest."""
    most = FILLER_WORDS[-1]
    sentences = []
    for row in filled.summary():
        if row.change.label == f"{most} words, content first" and IRRELEVANT in row.estimates:
            what = f"{most} words of filler after an irrelevant document"
            sentences.append(
                effect_sentence(
                    row.estimates[IRRELEVANT],
                    raises=f"{what} raise its score",
                    lowers=f"{what} lower its score",
                    nothing=f"{what}: no effect on its score is shown",
                )
            )
    for row in placed.summary():
        if row.change.label == f"{most} words, content last − first" and RELEVANT in row.estimates:
            sentences.append(
                effect_sentence(
                    row.estimates[RELEVANT],
                    raises=f"With {most} words of filler a relevant document scores higher with its content last",
                    lowers=f"With {most} words of filler a relevant document scores lower with its content last",
                    nothing=f"With {most} words of filler no effect of the content's place is shown",
                )
            )
    return sentences
