"""The demo's report: what stands in ``report.html``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gmr.core.environment import machine, versions
from gmr.core.nouns import RankedDocument, Ranking
from gmr.core.tasks import RerankTask
from gmr.demo.systems import CHANCE, PIXELS, DemoSystem
from gmr.demo.tables import verdicts
from gmr.evaluation import Comparison, SummaryRow, TaskResult
from gmr.metrics.order import canonical_order
from gmr.reports.experiment import (
    ComparisonRow,
    Curve,
    ExampleRanking,
    ExperimentReport,
    ResultRow,
    System,
)

EXAMPLES_SHOWN = ("t2i", "i2t", "i2i", "it2i", "t2vd", "it2it")
NOTES = (
    "Test pictures come from typefaces (DejaVu Serif, STIX) and test characters from families that training never "
    "showed. The right answer is always among the 20 candidates; the others are its neighbours in the code chart, in "
    "name words and in pixels.",
    "Both models start from the same weights, see the same queries and documents in the same order for the same "
    "number of steps, and differ in the objective and the readout alone.",
    "Intervals resample queries, not training runs: with one seed they say nothing about the luck of training.",
    "The first stage was run once and is frozen; it draws on the training split's examples and has no parameters.",
    "A model of under two million parameters says little about models of billions.",
)


def build_report(
    *,
    systems: Sequence[DemoSystem],
    tasks: Sequence[RerankTask],
    results: Mapping[str, Sequence[TaskResult]],
    rows: Sequence[SummaryRow],
    comparisons: Sequence[Comparison],
    curves: Sequence[Curve],
    seconds: float,
    quick: bool,
) -> ExperimentReport:
    """Everything the page shows."""
    by_type = [_row(row) for row in rows if row.level == "type"]
    overall = next(_row(row) for row in rows if row.level == "mean")
    shown = [system for system in systems if system not in (CHANCE, PIXELS)]
    summary = list(verdicts(rows, comparisons, systems))
    if quick:
        summary.insert(0, "A quick run: few steps and few queries, so the intervals are wide.")
    return ExperimentReport(
        title="One multimodal reranker, trained twice",
        subtitle=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} seconds on {machine()['CPU cores']} cores",
        summary=summary,
        measure="nDCG@10",
        systems=[
            System(system.name, system.description, system.role) for system in systems if system is not CHANCE
        ],
        rows=by_type,
        overall=overall,
        comparisons=[
            ComparisonRow(
                row.label if row.level == "type" else "mean", row.a, row.b, row.delta, row.adjusted_p_value
            )
            for row in comparisons
        ],
        curves=curves,
        examples=_examples(shown, tasks, results),
        environment=machine() | versions(),
        notes=NOTES,
    )


def _row(row: SummaryRow) -> ResultRow:
    chance = row.values[CHANCE.name].mean
    values = {
        name: value
        for name, value in row.values.items()
        if name != CHANCE.name
        and not (name == PIXELS.name and (row.level == "mean" or abs(value.mean - chance) < 1e-9))
    }
    return ResultRow(row.label if row.level == "type" else "mean", row.num_queries, values, chance)


def _examples(
    systems: Sequence[DemoSystem], tasks: Sequence[RerankTask], results: Mapping[str, Sequence[TaskResult]]
) -> list[ExampleRanking]:
    """For each chosen task type the query on which the systems' values differ most."""
    examples = []
    for number, task in enumerate(tasks):
        if task.task_type not in EXAMPLES_SHOWN:
            continue
        values = {system.name: results[system.name][number].values() for system in systems}

        def spread(query_id: str, values: Mapping[str, Mapping[str, float]] = values) -> float:
            seen = [row[query_id] for row in values.values()]
            return max(seen) - min(seen)

        query_id = max(sorted(task.queries), key=spread)
        rankings = {
            system.name: _ranking(task, query_id, results[system.name][number].run[query_id])
            for system in systems
        }
        relevant = frozenset(doc_id for doc_id, grade in task.qrels[query_id].items() if grade > 0)
        caption = f"query {query_id}: the one of its type on which the systems differ most"
        examples.append(ExampleRanking(task.task_type, task.queries[query_id], rankings, relevant, caption))
    return examples


def _ranking(task: RerankTask, query_id: str, scores: Mapping[str, float]) -> Ranking:
    ordered = canonical_order(scores)
    documents = tuple(
        RankedDocument(rank, doc_id, scores[doc_id], task.corpus[doc_id])
        for rank, doc_id in enumerate(ordered, start=1)
    )
    return Ranking(task.queries[query_id], documents)
