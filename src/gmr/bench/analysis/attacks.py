"""How far up an irrelevant document comes by words that argue for it, in its text or in its pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gmr.bench.analysis.attack_table import CONTROL, DRAWN_ATTACKS, TEXT_ATTACKS, Attack
from gmr.bench.analysis.cases import (
    Case,
    Scores,
    cases_of,
    chance_in_top,
    expected_rank,
    mean_of,
    measure_heading,
    score_candidates,
    score_changed,
)
from gmr.bench.analysis.changes import has_picture, has_text, text_after, with_pictures
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.pictures import with_words
from gmr.bench.analysis.results import AnalysisResult, Collector, Column, Table
from gmr.bench.analysis.words import amount, effect_sentence, percent
from gmr.core.items import Item, text_of
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "Can an irrelevant document come further up by words that argue for it?"
IN_TEXT, IN_PICTURES = "words in the text", "words in the pictures"
BEYOND = "beyond neutral"


@dataclass(frozen=True)
class Kind:
    """Attacks of one kind: which documents they can be put into, and how."""

    title: str
    attacks: Mapping[str, Attack]
    fits: Callable[[Item], bool]
    put: Callable[[Item, str], Item]


def _draw_words(item: Item, words: str) -> Item:
    return with_pictures(item, lambda image: with_words(image, words))


KINDS = (
    Kind(IN_TEXT, TEXT_ATTACKS, has_text, text_after),
    Kind(IN_PICTURES, DRAWN_ATTACKS, has_picture, _draw_words),
)


def attack_robustness(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Score and ranks gained by attacked documents, how many reach the top, and what the measure loses.

    Args:
        scorer: what is analysed.
        tasks: any; attacks on text need documents with text, drawn ones pictures.
        options: how many queries, and how many irrelevant documents of each are attacked.
    """
    cases = [case for task in tasks for case in cases_of(task, options)]
    base = score_candidates(scorer, cases)
    heading = measure_heading(tasks)
    text, drawn = (_attacked(scorer, cases, base, options, kind=kind, heading=heading) for kind in KINDS)
    return AnalysisResult(
        name="attacks",
        question=QUESTION,
        tables=(text, drawn),
        sentences=(*_sentences(text, options), *_sentences(drawn, options)),
        method=(
            f"At most {options.num_documents} irrelevant candidates of a query are attacked one at a time, all"
            " others as they are; scores and ranks are compared with the document's own.",
            f"{BEYOND} is the change minus that by words that claim nothing, put at the same place.",
            "Entering the top counts documents that were not there. The measure is that of the list in which"
            " all attacked documents are attacked at once.",
            f"{IN_PICTURES}: on a white band under the picture, small pictures enlarged first, with the control"
            " alike.",
            "Marks of chat templates are plain text to this engine's tokenizer, never control tokens.",
        ),
        facts={
            "num_queries": len(cases),
            "text_attacks": {name: attack.about for name, attack in TEXT_ATTACKS.items()},
            "drawn_attacks": {name: attack.about for name, attack in DRAWN_ATTACKS.items()},
        },
    )


def _attacked(
    scorer: "Scorer",
    cases: Sequence[Case],
    base: Sequence[Scores],
    options: Options,
    *,
    kind: Kind,
    heading: str,
) -> Table:
    documents = [case.some_irrelevant(options, having=kind.fits) for case in cases]
    found: dict[str, list[Scores]] = {}
    collector = Collector()
    for name, attack in kind.attacks.items():

        def change(case: Case, item: Item, attack: Attack = attack) -> Item | None:
            query = text_of(case.query.item).strip()
            return None if attack.needs_query_text and not query else kind.put(item, attack.words(query))

        found[name] = score_changed(scorer, cases, documents, change)
        for number, case in enumerate(cases):
            if after := found[name][number]:
                values = _gains(case, base[number], after, options, heading)
                if name != CONTROL:
                    control = found[CONTROL][number]
                    values[BEYOND] = mean_of(after[doc_id] - control[doc_id] for doc_id in after)
                collector.add(name, case, values)
    columns = {
        "score": Column("change of the attacked document's score, log-odds"),
        BEYOND: Column("change of score minus that by neutral words, log-odds"),
        "ranks gained": Column("places further up, the others as they are", digits=2),
        "enters top 1": Column("share of attacked documents that come first and did not before", False),
        f"enters top {options.top_k}": Column("the same for the top", False),
        heading: Column("change of the measure with all attacked documents attacked at once"),
    }
    return collector.table(kind.title, columns, drawn=BEYOND, seed=options.seed)


def _gains(
    case: Case, base: Scores, after: Scores, options: Options, heading: str
) -> dict[str, float | None]:
    others = {doc_id: [s for other, s in base.items() if other != doc_id] for doc_id in after}

    def entered(doc_id: str, k: int) -> float:
        before, now = (chance_in_top(s[doc_id], others[doc_id], k=k) for s in (base, after))
        return max(0.0, now - before)

    return {
        "score": mean_of(after[doc_id] - base[doc_id] for doc_id in after),
        "ranks gained": mean_of(
            expected_rank(base[doc_id], others[doc_id]) - expected_rank(after[doc_id], others[doc_id])
            for doc_id in after
        ),
        "enters top 1": mean_of(entered(doc_id, 1) for doc_id in after),
        f"enters top {options.top_k}": mean_of(entered(doc_id, options.top_k) for doc_id in after),
        heading: case.measure(base | after) - case.measure(base),
    }


def _sentences(table: Table, options: Options) -> list[str]:
    sentences = []
    for row in table.summary():
        if BEYOND not in row.estimates:
            continue
        what = f"{table.title}, {row.change.label!r}"
        moved = effect_sentence(
            row.estimates["ranks gained"],
            raises=f"{what}: an irrelevant document gains ranks",
            lowers=f"{what}: an irrelevant document loses ranks",
            nothing=f"{what}: no gain or loss of ranks is shown",
            digits=2,
        )
        top = row.estimates[f"enters top {options.top_k}"].mean
        against = row.estimates[BEYOND]
        versus = f" Against neutral words its score changes by {amount(against)}." if against.is_shown else ""
        sentences.append(f"{moved}{versus} {percent(top)} enter the top {options.top_k}.")
    return sentences
