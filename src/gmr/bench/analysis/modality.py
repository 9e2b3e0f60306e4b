"""How far up a document is placed for being text or a picture, whatever it says."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gmr.bench.analysis.cases import (
    Case,
    cases_of,
    chance_in_top,
    expected_rank,
    mean_of,
    ratio,
    score_candidates,
    spread_of,
)
from gmr.bench.analysis.changes import is_fused, pictures_alone, texts_alone
from gmr.bench.analysis.options import Options, draw
from gmr.bench.analysis.results import AnalysisResult, Collector, Column, Table
from gmr.bench.analysis.scoring import scores_of
from gmr.bench.analysis.words import effect_sentence
from gmr.core.items import modality
from gmr.core.nouns import Document, Pair
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Does a document come further up for being text or a picture, whatever it says?"
NAMES = {"t": "text", "i": "picture", "it": "both"}
QUERIES = {"t": "text query", "i": "picture query", "it": "fused query"}
FORMS = {"t": texts_alone, "i": pictures_alone, "it": lambda item: item}
PAIRS_OF_FORMS = (("i", "t"), ("it", "t"), ("it", "i"))
SAME, MIXED = "one content in three forms", "candidates as they are"


def why_not(task: RerankTask, tasks: Sequence[RerankTask]) -> str:
    """Why the analysis says nothing of a task; empty where it does."""
    if any(has_fused_candidates(other) for other in tasks) or _is_mixed(task):
        return ""
    return "no document of any task has both text and a picture, and its candidates are all of one modality"


def has_fused_candidates(task: RerankTask) -> bool:
    """Whether a candidate has both text and a picture."""
    return any(is_fused(task.corpus[doc_id].item) for row in task.first_stage.values() for doc_id in row)


def modality_bias(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Score, rank and share of the top by modality, among documents that are not relevant.

    Args:
        scorer: what is analysed.
        tasks: the queries' modality is a factor; documents with text and pictures are shown in three forms.
        options: how many queries and documents.
    """
    cases = [case for task in tasks for case in cases_of(task, options)]
    same, num_foreign = _same_content(scorer, cases, options)
    mixed = _mixed(scorer, cases, options)
    return AnalysisResult(
        name="modality",
        question=QUESTION,
        tables=(same, mixed),
        sentences=tuple(_sentences(same)),
        method=(
            f"{SAME}: irrelevant documents that have text and pictures are scored as they are, as their text"
            " alone and as their pictures alone; ranks and the top are those of the list of all forms. A form"
            " that leaves a part out also says less, and a model may be surer of irrelevance in one modality.",
            "A query whose task has no such documents is given some of the other tasks' (num_foreign); nobody"
            " judged those, and a few may be relevant.",
            "An instruction may ask for a modality; to follow it is no bias. Rows without instruction leave"
            " it to the template's own.",
            f"{MIXED}: irrelevant candidates of a query by their modality; their contents differ as well.",
        ),
        facts={"num_queries": len(cases), "num_queries_with_foreign_documents": num_foreign},
    )


def _same_content(scorer: "Scorer", cases: Sequence[Case], options: Options) -> tuple[Table, int]:
    pool = {d.doc_id: d for case in cases for d in case.candidates if is_fused(d.item)}
    collector, num_foreign = Collector(), 0
    for case in cases:
        documents = case.some_irrelevant(options, having=is_fused)
        if not documents:
            documents = _foreign(case, pool, options)
            num_foreign += bool(documents)
        for is_bare in (False, True) if case.query.instruction is not None else (False,):
            if documents:
                _add_forms(scorer, collector, case, documents, options, is_bare=is_bare)
    columns = {
        **{
            f"{NAMES[a]} − {NAMES[b]}": Column(f"score of {NAMES[a]} minus score of {NAMES[b]}, log-odds")
            for a, b in PAIRS_OF_FORMS
        },
        "picture − text, SDs": Column("the first in standard deviations of the scores in the list"),
        "ranks, picture − text": Column("mean rank; below zero, pictures stand further up", digits=2),
        **{
            f"top {options.top_k}, {name}": Column(
                f"share of {name} in the top {options.top_k} minus its share of the list"
            )
            for name in NAMES.values()
        },
    }
    return collector.table(SAME, columns, drawn="picture − text", seed=options.seed), num_foreign


def _foreign(case: Case, pool: dict[str, Document], options: Options) -> list[Document]:
    own = {document.doc_id for document in case.candidates}
    others = {
        doc_id: document
        for doc_id, document in pool.items()
        if doc_id not in own and not case.is_relevant(doc_id)
    }
    return draw(others, case.query.query_id, num=options.num_documents, seed=options.seed)


def _add_forms(
    scorer: "Scorer",
    collector: Collector,
    case: Case,
    documents: Sequence[Document],
    options: Options,
    *,
    is_bare: bool,
) -> None:
    query = replace(case.query, instruction=None) if is_bare else case.query
    pairs: list[tuple[str, Pair]] = [
        (form, (query, replace(document, item=make(document.item))))
        for document in documents
        for form, make in FORMS.items()
    ]
    scores = scores_of(scorer, [pair for _, pair in pairs]).tolist()
    forms = [form for form, _ in pairs]
    label = QUERIES[modality(case.query.item)] + (", no instruction" if is_bare else "")
    collector.add(label, case, _by_form(forms, scores, options))


def _by_form(forms: Sequence[str], scores: Sequence[float], options: Options) -> dict[str, float | None]:
    """Differences of score, rank and share of the top between the forms in one list."""
    numbers = range(len(scores))
    means = {form: mean_of(scores[i] for i in numbers if forms[i] == form) for form in FORMS}
    others = [[scores[j] for j in numbers if j != i] for i in numbers]
    ranks = {
        form: mean_of(expected_rank(scores[i], others[i]) for i in numbers if forms[i] == form)
        for form in FORMS
    }
    k = min(options.top_k, len(scores))
    values: dict[str, float | None] = {
        f"{NAMES[a]} − {NAMES[b]}": _difference(means[a], means[b]) for a, b in PAIRS_OF_FORMS
    }
    spread = spread_of({str(i): scores[i] for i in numbers})
    values["picture − text, SDs"] = ratio(values["picture − text"], spread)
    values["ranks, picture − text"] = _difference(ranks["i"], ranks["t"])
    for form, name in NAMES.items():
        if form in forms:
            taken = sum(chance_in_top(scores[i], others[i], k=k) for i in numbers if forms[i] == form)
            values[f"top {options.top_k}, {name}"] = taken / k - forms.count(form) / len(forms)
    return values


def _mixed(scorer: "Scorer", cases: Sequence[Case], options: Options) -> Table:
    mixed = [case for case in cases if len({modality(d.item) for d in case.irrelevant}) > 1]
    collector = Collector()
    for case, scores in zip(mixed, score_candidates(scorer, mixed), strict=True):
        forms = [modality(document.item) for document in case.irrelevant]
        values = _by_form(forms, [scores[document.doc_id] for document in case.irrelevant], options)
        collector.add(QUERIES[modality(case.query.item)], case, values)
    columns = {
        **{
            f"{NAMES[a]} − {NAMES[b]}": Column(f"mean score of {NAMES[a]} minus that of {NAMES[b]}")
            for a, b in PAIRS_OF_FORMS
        },
        "ranks, picture − text": Column("mean rank; below zero, pictures stand further up", digits=2),
        **{
            f"top {options.top_k}, {name}": Column(
                f"share of {name} in the top {options.top_k} minus its share of the irrelevant candidates"
            )
            for name in NAMES.values()
        },
    }
    return collector.table(MIXED, columns, drawn="picture − text", seed=options.seed)


def _sentences(table: Table) -> list[str]:
    return [
        effect_sentence(
            row.estimates["picture − text"],
            raises=f"{row.change.label}: an irrelevant document scores higher as its picture than as its text",
            lowers=f"{row.change.label}: an irrelevant document scores lower as its picture than as its text",
            nothing=f"{row.change.label}: no difference between picture and text is shown",
        )
        for row in table.summary()
        if "picture − text" in row.estimates
    ]


def _is_mixed(task: RerankTask) -> bool:
    return any(
        len({modality(d.item) for d in task.candidates(query_id)}) > 1 for query_id in task.first_stage
    )


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
