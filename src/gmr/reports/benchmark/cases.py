"""Which queries the error browser shows, and what every system made of them."""

from collections.abc import Mapping, Sequence

from gmr.core.files import digest
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult
from gmr.metrics.order import canonical_order
from gmr.reports.benchmark.contents import Case, CaseKind, Place

# Candidates shown of each system, and relevant ones shown behind them where they are not among these.
TOP, LOWER = 5, 2
# About so many cases of each kind, spread evenly over the tasks.
CASES_PER_KIND = 24

Values = Mapping[str, Mapping[str, float]]


def choose_cases(
    tasks: Sequence[RerankTask],
    results: Mapping[str, Mapping[str, TaskResult]],
    *,
    pairs: Sequence[tuple[str, str]],
    shown: Sequence[str],
    best: str,
    measure: str | None,
    seed: int,
) -> tuple[tuple[CaseKind, ...], tuple[Case, ...]]:
    """The kinds and the cases, in the order of tasks.

    Queries on which the systems of a pair differ most, either way; those on which ``best`` is worst although a
    relevant document is among the candidates; and queries by lot. Equal ones are drawn by the seed, never by id.

    Args:
        tasks: In the order of tables.
        results: System name to task name to result.
        pairs: Systems whose differences are looked for.
        shown: Systems whose rankings are shown.
        best: The system whose worst queries are looked for.
        measure: ``None`` is each result's main one.
        seed: Of the lots.
    """
    kinds = [kind for a, b in pairs for kind in _ways(a, b)]
    kinds += [CaseKind(f"{best} worst", best), CaseKind("drawn by lot", best)]
    per_task = max(1, round(CASES_PER_KIND / len(tasks)))
    cases: list[Case] = []
    for task in tasks:
        of_task = {system: results[system][task.name] for system in results}
        values = {system: result.values(measure) for system, result in of_task.items()}
        lots = {q: digest(str(seed).encode(), task.name.encode(), q.encode()) for q in values[best]}
        chosen: dict[str, list[int]] = {}
        for number, kind in enumerate(kinds):
            if number == len(kinds) - 1:
                telling = sorted(set(lots) - set(chosen), key=lots.__getitem__)
            else:
                telling = _telling(task, values, kind, lots)
            for query_id in telling[:per_task]:
                chosen.setdefault(query_id, []).append(number)
        cases += [
            _case(task, query_id, tuple(numbers), values, {name: of_task[name] for name in shown})
            for query_id, numbers in chosen.items()
        ]
    return tuple(kinds), tuple(cases)


def _ways(a: str, b: str) -> list[CaseKind]:
    return [CaseKind(f"{a} above {b}", a, b), CaseKind(f"{b} above {a}", b, a)]


def _telling(task: RerankTask, values: Values, kind: CaseKind, lots: Mapping[str, str]) -> list[str]:
    """Ids of the queries of a kind, the most telling first."""
    own = values[kind.a]
    if kind.b:
        other = values[kind.b]
        weights = {query_id: own[query_id] - other[query_id] for query_id in own}
    else:
        most = max(own.values())
        weights = {query_id: (most - own[query_id]) * _is_reachable(task, query_id) for query_id in own}
    return sorted((q for q in own if weights[q] > 0), key=lambda q: (-weights[q], lots[q]))


def _is_reachable(task: RerankTask, query_id: str) -> bool:
    judged = task.qrels[query_id]
    return any(judged.get(doc_id, 0) >= 1 for doc_id in task.first_stage.get(query_id, {}))


def _case(
    task: RerankTask,
    query_id: str,
    kinds: tuple[int, ...],
    values: Values,
    results: Mapping[str, TaskResult],
) -> Case:
    stage = canonical_order(task.first_stage.get(query_id, {}), where=task.name)
    ranks = {doc_id: rank for rank, doc_id in enumerate(stage, start=1)}
    places = {}
    for system, result in results.items():
        scores = result.run.get(query_id, {})
        if result.expected_under_ties and len(scores) > 1 and len(set(scores.values())) == 1:
            continue  # its value is an expectation: it has no order to show
        places[system] = _places(task, query_id, scores, ranks)
    return Case(
        kinds=kinds,
        task=task.name,
        task_type=task.task_type,
        query=task.queries[query_id],
        facts=dict(task.metadata.get(query_id, {})),
        values={system: values[system][query_id] for system in values},
        num_relevant=sum(grade >= 1 for grade in task.qrels[query_id].values()),
        num_candidates=len(stage),
        places=places,
    )


def _places(
    task: RerankTask, query_id: str, scores: Mapping[str, float], ranks: Mapping[str, int]
) -> tuple[Place, ...]:
    judged = task.qrels[query_id]
    # A document that the corpus does not have cannot be shown; the coverage counts it.
    order = canonical_order(scores, where=task.name)
    places = [
        Place(rank, doc_id, scores[doc_id], ranks.get(doc_id), judged.get(doc_id), task.corpus[doc_id])
        for rank, doc_id in enumerate(order, start=1)
        if doc_id in task.corpus
    ]
    lower = [place for place in places if place.rank > TOP and (place.grade or 0) >= 1]
    return tuple([place for place in places if place.rank <= TOP] + lower[:LOWER])
