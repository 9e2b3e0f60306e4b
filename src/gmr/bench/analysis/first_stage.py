"""What reranking adds to weak and strong first stages at several depths, and where it hurts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gmr.bench.analysis.cases import Case, Scores, cases_of, measure_heading, score_candidates
from gmr.bench.analysis.options import Options, lot, shuffled
from gmr.bench.analysis.results import ROUNDING, AnalysisResult, Change, Collector, Column, Table
from gmr.bench.analysis.words import amount, effect_sentence, percent
from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask
from gmr.evaluation.depth import DEPTHS

if TYPE_CHECKING:
    from gmr.reranker import Scorer

QUESTION = "What does reranking add to weak and strong first stages, how deep, and where does it hurt?"
OWN, WEAKER, STRONGER, SHUFFLED = "as given", "weaker", "stronger", "shuffled"
GAIN = "gain"
STRENGTH, DEPTH = "first stages", "depth"


def first_stage_strength(scorer: "Scorer", tasks: Sequence[RerankTask], options: Options) -> AnalysisResult:
    """Measure of the first stage and of its first documents reranked, by first stage and depth.

    Args:
        scorer: what is analysed.
        tasks: with their first stages; others made of the same candidates, and ``options.runs``, beside them.
        options: how many queries, how deep, and further runs.

    Raises:
        DataError: a further run has no task's name, or a document the corpus does not have.
    """
    heading = measure_heading(tasks)
    cases = [case for task in tasks for case in cases_of(task, options)]
    collectors = Collector(), Collector()
    moved = {name: [0, 0] for name in (WEAKER, STRONGER)}
    for case, scores in zip(cases, score_candidates(scorer, cases), strict=True):
        for name, order in _orders(case, options).items():
            _add_depths(collectors, case, name, order, scores)
            if name in moved:
                given = [document.doc_id for document in case.candidates]
                moved[name][0] += sum(
                    _drawn(case, doc_id, options) for doc_id in given if case.is_relevant(doc_id)
                )
                moved[name][1] += len(case.relevant)
    for name, runs in options.runs.items():
        further = _with_run(name, runs, cases, options)
        for case, scores in zip(further, score_candidates(scorer, further), strict=True):
            _add_depths(collectors, case, name, [d.doc_id for d in case.candidates], scores)
    shares = {
        "helped": Column("share of queries whose measure rises", is_effect=False, digits=2),
        "hurt": Column("share of queries whose measure falls", is_effect=False, digits=2),
        "in reach": Column(
            "share of the judged relevant documents within the depth", is_effect=False, digits=2
        ),
    }
    whole = {
        "first stage": Column(f"{heading} of the first stage", is_effect=False),
        "reranked": Column(f"{heading} with all candidates reranked", is_effect=False),
        GAIN: Column("reranked minus first stage"),
        **shares,
    }
    columns = {
        "reranked": Column(
            f"{heading} with the first documents reranked, the rest as they were", is_effect=False
        ),
        GAIN: Column("reranked minus first stage", is_tested=False),
        "by more depth": Column("reranked minus reranked at the depth before"),
        **shares,
    }
    strength = collectors[0].table(STRENGTH, whole, drawn=GAIN, seed=options.seed)
    depths = collectors[1].table(DEPTH, columns, drawn="reranked", axis="depth", seed=options.seed)
    return AnalysisResult(
        name="first-stage",
        question=QUESTION,
        tables=(strength, depths),
        sentences=tuple(_sentences(strength, depths, heading)),
        method=(
            "The first documents of a first stage, down to the depth, are put in the order of the model's scores;"
            " the rest follow as they were. To cut at a depth, equal scores of the first stage stand by id.",
            f"{WEAKER} and {STRONGER}: relevant candidates are drawn by lot, one in two, and moved to the end or"
            f" to the front of the task's own candidates; {SHUFFLED}: these in an order by lot. No document is"
            " added or taken away, so a relevant one that the first stage did not find stays lost.",
        ),
        facts={
            "num_queries": len(cases),
            **{f"relevant_moved_in_{name}": f"{count} of {total}" for name, (count, total) in moved.items()},
            "further_runs": list(options.runs),
        },
    )


def reranked(order: Sequence[str], scores: Mapping[str, float], *, depth: int) -> Scores:
    """Scores of a ranking: the first ``depth`` of ``order`` by their scores, then the rest in order.

    Equal scores stay equal, so that what hangs on ties is the expectation.
    """
    head = {doc_id: scores[doc_id] for doc_id in order[:depth]}
    floor = min(head.values(), default=0.0)
    return {**head, **{doc_id: floor - 1.0 - place for place, doc_id in enumerate(order[depth:])}}


def _orders(case: Case, options: Options) -> dict[str, list[str]]:
    given = [document.doc_id for document in case.candidates]
    moved = [d for d in given if case.is_relevant(d) and _drawn(case, d, options)]
    rest = [doc_id for doc_id in given if doc_id not in moved]
    return {
        OWN: given,
        WEAKER: [*rest, *moved],
        STRONGER: [*moved, *rest],
        SHUFFLED: shuffled(given, case.query.query_id, "shuffled", seed=options.seed),
    }


def _drawn(case: Case, doc_id: str, options: Options) -> bool:
    """Heads or tails for a document of a query."""
    return int(lot(options.seed, case.query.query_id, doc_id, "moved"), 16) % 2 == 1


def _add_depths(
    collectors: tuple[Collector, Collector],
    case: Case,
    name: str,
    order: Sequence[str],
    scores: Mapping[str, float],
) -> None:
    """Note all candidates reranked in the first table, each depth in the second."""
    first = case.measure({doc_id: -float(place) for place, doc_id in enumerate(order)})
    judged = case.task.qrels[case.query.query_id]
    num_relevant = sum(grade >= 1 for grade in judged.values())
    before: float | None = None
    for depth in _depths(len(order)):
        value = case.measure(reranked(order, scores, depth=depth))
        values = {
            "first stage": first,
            "reranked": value,
            GAIN: value - first,
            "by more depth": None if before is None else value - before,
            "helped": float(value - first > ROUNDING),
            "hurt": float(first - value > ROUNDING),
            "in reach": sum(map(case.is_relevant, order[:depth])) / num_relevant,
        }
        collectors[1].add(Change(f"{name}, depth {depth}", name, depth), case, values)
        if depth == len(order):
            collectors[0].add(name, case, values)
        before = value


def _depths(length: int) -> list[int]:
    """The usual depths within a list, and its whole length."""
    return sorted({*(depth for depth in DEPTHS if depth < length), length})


def _with_run(
    name: str, runs: Mapping[str, Mapping[str, Mapping[str, float]]], cases: Sequence[Case], options: Options
) -> list[Case]:
    tasks = {case.task.name: case.task for case in cases}
    unknown = [task_name for task_name in runs if task_name not in tasks]
    if unknown:
        raise DataError(f"run {name!r}: no task is called {unknown[0]!r}; there are {', '.join(tasks)}")
    changed = {task_name: replace(tasks[task_name], first_stage=run) for task_name, run in runs.items()}
    return [
        Case(task, case.query, tuple(task.candidates(case.query.query_id)[: options.depth]))
        for case in cases
        if (task := changed.get(case.task.name)) and task.first_stage.get(case.query.query_id)
    ]


def _sentences(strength: Table, depths: Table, heading: str) -> list[str]:
    sentences = []
    for row in strength.summary():
        what = f"First stage {row.change.label!r}"
        sentence = effect_sentence(
            row.estimates[GAIN],
            raises=f"{what}: reranking raises {heading}",
            lowers=f"{what}: reranking lowers {heading}",
            nothing=f"{what}: no gain or loss of {heading} is shown",
        )
        hurt, helped = row.estimates["hurt"].mean, row.estimates["helped"].mean
        sentences.append(f"{sentence} It helps {percent(helped)} of the queries and hurts {percent(hurt)}.")
    steps = [(row.change.label, row.estimates.get("by more depth")) for row in depths.summary()]
    falls = [f"{label} ({amount(step)})" for label, step in steps if step and step.is_shown and step.mean < 0]
    if falls:
        sentences.append(f"{heading} is lower than at the depth before at: {'; '.join(falls)}.")
    elif any(step for _, step in steps):
        sentences.append(f"No depth is shown to be worse by {heading} than the depth before it.")
    return sentences
