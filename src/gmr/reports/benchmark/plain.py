"""The tables of a report as rows of text, which terminal, Markdown and page lay out each in its own way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gmr.core.nouns import TASK_TYPES, display_type
from gmr.evaluation import SummaryRow
from gmr.evaluation.cost import Cost
from gmr.metrics.coverage import Coverage
from gmr.reports.benchmark import words
from gmr.reports.benchmark.contents import BenchmarkReport, TaskFacts
from gmr.reports.figures import signed


@dataclass(frozen=True)
class PlainTable:
    """Cells as text.

    Attributes:
        title: Heading.
        header: Of the columns.
        rows: One cell for each column.
        num_labels: Columns on the left that hold words, not numbers.
        note: What has to be known to read it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_labels: int = 1
    note: str = ""


def all_tables(report: BenchmarkReport) -> list[PlainTable]:
    """Every table that has a row, in the order of the page; what was published elsewhere is not among them."""
    several = len(report.rows("task")) > len(report.rows("type"))
    tables = [
        results(report),
        *([by_task(report)] if several else []),
        *[tests(report, level) for level in ("mean", "group", "type", "task")],
        depth(report),
        calibration(report),
        costs(report),
        *breakdowns(report),
        tasks(report),
        coverage(report),
        coverage_by_task(report),
    ]
    return [table for table in tables if table.rows]


def results(report: BenchmarkReport) -> PlainTable:
    """Means with intervals by type, by group and of all tasks."""
    rows = [row for level in ("type", "group", "mean") for row in report.rows(level)]
    header = ("task type", "tasks", "queries", *(system.name for system in report.systems))
    return PlainTable(
        f"{report.measure} by task type, mean [95 % interval]",
        header,
        tuple(
            (
                words.label_of(row.level, row.label),
                str(row.num_tasks),
                f"{row.num_queries:,}",
                *(words.interval_text(name, value) for name, value in row.values.items()),
            )
            for row in rows
        ),
    )


def by_task(report: BenchmarkReport) -> PlainTable:
    """Means with intervals by task."""
    types = {task.name: task.task_type for task in report.tasks}
    return PlainTable(
        f"{report.measure} by task, mean [95 % interval]",
        ("task", "type", "queries", *(system.name for system in report.systems)),
        tuple(
            (
                row.label,
                display_type(types[row.label]),
                f"{row.num_queries:,}",
                *(words.interval_text(name, value) for name, value in row.values.items()),
            )
            for row in report.rows("task")
        ),
        num_labels=2,
    )


def tests(report: BenchmarkReport, level: str) -> PlainTable:
    """The paired tests of one level."""
    of_what = {"mean": "over all tasks", "group": "by group", "type": "by task type", "task": "by task"}[
        level
    ]
    return PlainTable(
        f"Paired randomisation tests {of_what}",
        ("", "system", "against", "difference", "95 % interval", "p", "p (Holm)", "wins/ties/losses"),
        tuple(
            (
                words.label_of(row.level, row.label),
                row.a,
                row.b,
                signed(row.delta.mean),
                f"[{signed(row.delta.low)}, {signed(row.delta.high)}]",
                words.p_text(row.p_value),
                words.p_text(row.adjusted_p_value),
                f"{row.wins}/{row.ties}/{row.losses}",
            )
            for row in report.tests(level)
        ),
        num_labels=3,
    )


def depth(report: BenchmarkReport) -> PlainTable:
    """Means over all tasks by depth of reranking."""
    rows = [row.curves for row in report.depth if row.level == "mean"]
    if not rows:
        return PlainTable("", (), ())
    curves = rows[0]
    lines = {**curves.systems, "best possible": curves.oracle}
    return PlainTable(
        f"{report.measure} when only the first candidates are reranked",
        ("depth", *map(str, curves.depths)),
        tuple((name, *(f"{value.mean:.3f}" for value in values)) for name, values in lines.items()),
        note=f"The first stage alone has {curves.first_stage.mean:.3f}.",
    )


def calibration(report: BenchmarkReport) -> PlainTable:
    """Errors of the scores as probabilities."""
    several = len({row.label for row in report.calibration} - {"mean"}) > 1
    shown = [row for row in report.calibration if several or row.label == "mean"]
    return PlainTable(
        "Scores as probabilities",
        (
            *("system", "task type", "pairs", "relevant", "ECE", "ECE, equal mass"),
            *("Brier", "log loss", "best temperature", "ECE at it"),
        ),
        tuple(
            (
                row.system,
                display_type(row.label) if row.label in TASK_TYPES else "all",
                f"{row.calibration.num_pairs:,}",
                f"{row.calibration.num_relevant:,}",
                f"{row.calibration.ece:.4f}",
                f"{row.calibration.ece_equal_mass:.4f}",
                f"{row.calibration.brier:.4f}",
                f"{row.calibration.log_loss:.4f}",
                f"{row.calibration.temperature:.3g}",
                f"{row.calibration.ece_at_temperature:.4f}",
            )
            for row in shown
        ),
        num_labels=2,
    )


def costs(report: BenchmarkReport) -> PlainTable:
    """What scoring cost, all tasks together."""
    return PlainTable(
        "Cost of scoring",
        (
            *("system", "pairs", "seconds", "pairs/s", "CPU s"),
            *("prompt tokens", "computed", "share computed", "pictures"),
        ),
        tuple((row.system, *_cost(row.cost)) for row in report.costs if not row.task),
        note="Pairs found in a store cost nothing and are not counted; loading a model is left out.",
    )


def share_computed(cost: Cost) -> float:
    """Tokens that went through the model over tokens of the prompts; 0.0 where nothing was scored."""
    return cost.num_computed_tokens / cost.num_prompt_tokens if cost.num_prompt_tokens else 0.0


def _cost(cost: Cost) -> Sequence[str]:
    speed = cost.pairs_per_second
    return (
        f"{cost.num_pairs:,}",
        f"{cost.seconds:,.1f}",
        f"{speed:,.0f}" if speed >= 100 else f"{speed:.1f}",
        f"{cost.cpu_seconds:,.1f}",
        f"{cost.num_prompt_tokens:,}",
        f"{cost.num_computed_tokens:,}",
        f"{share_computed(cost):.0%}" if cost.num_prompt_tokens else "–",
        f"{cost.num_images:,}",
    )


def breakdowns(report: BenchmarkReport) -> list[PlainTable]:
    """Means by each fact of the metadata."""
    facts = dict.fromkeys(row.fact for row in report.breakdowns)
    return [
        PlainTable(
            f"{report.measure} by {fact}, mean [95 % interval]",
            (fact, "tasks", "queries", *(system.name for system in report.systems)),
            tuple(
                (
                    row.value,
                    str(row.num_tasks),
                    f"{row.num_queries:,}",
                    *(words.interval_text(name, value) for name, value in row.values.items()),
                )
                for row in report.breakdowns
                if row.fact == fact
            ),
        )
        for fact in facts
    ]


def tasks(report: BenchmarkReport) -> PlainTable:
    """The tasks in numbers."""
    columns: dict[str, Callable[[TaskFacts], str]] = {
        "task": lambda task: task.name,
        "type": lambda task: display_type(task.task_type),
        "measure": lambda task: task.measure,
        "languages": lambda task: _languages(task.languages),
        "queries": lambda task: f"{task.num_queries:,}",
        "judged": lambda task: f"{task.num_judged:,}",
        "documents": lambda task: f"{task.num_documents:,}",
        "candidates": lambda task: _range(task.min_candidates, task.max_candidates),
        "recall of candidates": lambda task: f"{task.candidate_recall:.3f}",
        "unreachable": lambda task: f"{task.num_unreachable:,}",
    }
    if not any(task.languages for task in report.tasks):
        del columns["languages"]
    return PlainTable(
        "Tasks",
        tuple(columns),
        tuple(tuple(cell(task) for cell in columns.values()) for task in report.tasks),
        num_labels=4 if "languages" in columns else 3,
        note="Unreachable: judged queries none of whose relevant documents is a candidate.",
    )


def coverage(report: BenchmarkReport) -> PlainTable:
    """Denominators and ties by system, summed over tasks."""
    rows = []
    for system in report.systems:
        of_system = [row for row in report.coverage if row.system == system.name]
        held = [row.coverage for row in of_system]
        is_expectation = all(row.is_expectation for row in of_system)
        worst, best = (
            sum(values) / len(held) for values in zip(*((c.worst_tie, c.best_tie) for c in held), strict=True)
        )
        counts = [sum(values) for values in zip(*map(_counts, held), strict=True)]
        rows.append((system.name, *(f"{count:,}" for count in counts), *_ties(worst, best, is_expectation)))
    return PlainTable("Denominators and ties", ("system", *COVERAGE), tuple(rows), note=COVERAGE_NOTE)


def coverage_by_task(report: BenchmarkReport) -> PlainTable:
    """The same by task, where there are several."""
    rows = [
        (
            row.task,
            row.system,
            *(f"{count:,}" for count in _counts(row.coverage)),
            *_ties(row.coverage.worst_tie, row.coverage.best_tie, row.is_expectation),
        )
        for row in sorted(
            report.coverage, key=lambda row: [task.name for task in report.tasks].index(row.task)
        )
    ]
    header = ("task", "system", *COVERAGE)
    shown = tuple(rows) if len(report.tasks) > 1 else ()
    return PlainTable("Denominators and ties by task", header, shown, num_labels=2, note=COVERAGE_NOTE)


def published(report: BenchmarkReport) -> PlainTable:
    """What the paper printed; its caution is the note."""
    table = report.published
    if table is None:
        return PlainTable("", (), ())
    header = [
        f"{'all' if label == 'mean' else display_type(label)} ({num})" for label, num in table.columns.items()
    ]
    rows = tuple(
        (
            row.model,
            row.size,
            *(f"{row.values[label]:.2f}" if label in row.values else "unknown" for label in table.columns),
            row.mark,
        )
        for row in table.rows
    )
    title = f"{table.title} ({table.paper}): other test sets, not comparable"
    return PlainTable(title, ("model", "size", *header, "mark"), rows, num_labels=2, note=table.caution)


COVERAGE = ("judged", "answered", "missing", "unjudged", "unknown", "dropped", "tied pairs", "worst", "best")
COVERAGE_NOTE = (
    "Judged queries are the denominator; missing ones count 0. Unjudged: queries of the run without a relevant "
    "document, left out. Unknown: documents that the corpus lacks. Dropped: candidates without a score. Worst and "
    "best: the mean if every tie were broken in that way; – where values are expectations under ties."
)


def overall_row(report: BenchmarkReport) -> SummaryRow:
    """The mean over all tasks."""
    return report.rows("mean")[0]


def _counts(coverage: Coverage) -> tuple[int, ...]:
    return (
        coverage.num_judged,
        coverage.num_answered,
        len(coverage.missing_queries),
        len(coverage.unjudged_queries),
        len(coverage.unknown_documents),
        coverage.num_dropped,
        coverage.num_tied_pairs,
    )


def _ties(worst: float, best: float, is_expectation: bool) -> tuple[str, str]:
    return ("–", "–") if is_expectation else (f"{worst:.4f}", f"{best:.4f}")


def _languages(languages: Sequence[str]) -> str:
    return " ".join(languages) if len(languages) <= 4 else f"{len(languages)} languages"


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
