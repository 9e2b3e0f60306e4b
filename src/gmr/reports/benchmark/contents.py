"""What the report of a benchmark shows: every number, curve, count and example that a renderer may print."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gmr.core.nouns import Document, Query
from gmr.evaluation import Comparison, SummaryRow
from gmr.evaluation.cost import Cost
from gmr.evaluation.depth import DepthCurves
from gmr.metrics.calibration import Calibration
from gmr.metrics.coverage import Coverage
from gmr.metrics.statistics import Interval
from gmr.reports.experiment import System
from gmr.reports.published import PublishedTable


@dataclass(frozen=True)
class TaskFacts:
    """One task in numbers.

    Attributes:
        name: Of the task.
        task_type: One of the nine.
        measure: Its main measure, as it is parsed.
        num_queries: Queries of the task.
        num_judged: Those with a relevant document: the denominator.
        num_documents: Size of the corpus.
        min_candidates: Fewest candidates of a judged query.
        max_candidates: Most candidates of a judged query.
        num_unreachable: Judged queries none of whose relevant documents is a candidate: no reranker can help.
        candidate_recall: Mean share of the relevant documents that are candidates.
        languages: Values of the metadata ``language``, ascending.
    """

    name: str
    task_type: str
    measure: str
    num_queries: int
    num_judged: int
    num_documents: int
    min_candidates: int
    max_candidates: int
    num_unreachable: int
    candidate_recall: float
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoverageRow:
    """What one system covered of one task; values are expectations under ties where ``is_expectation``."""

    system: str
    task: str
    coverage: Coverage
    is_expectation: bool


@dataclass(frozen=True)
class CalibrationRow:
    """Probabilities of one model against judgments, over all pairs of a task type, or of all tasks (``mean``)."""

    system: str
    label: str
    calibration: Calibration


@dataclass(frozen=True)
class CostRow:
    """What one system cost on one task, or on all of them (``task`` is empty)."""

    system: str
    task: str
    cost: Cost


@dataclass(frozen=True)
class DepthRow:
    """The curves of one task, one task type or all tasks; ``level`` is ``task``, ``type`` or ``mean``."""

    level: str
    label: str
    curves: DepthCurves


@dataclass(frozen=True)
class BreakdownRow:
    """The queries that share one value of one fact of the tasks' metadata, such as ``language``.

    Attributes:
        fact: Name of the fact.
        value: The value shared.
        num_tasks: Tasks with such queries; each weighs the same.
        num_queries: Judged queries behind the means.
        values: System name to mean with interval.
    """

    fact: str
    value: str
    num_tasks: int
    num_queries: int
    values: Mapping[str, Interval]


@dataclass(frozen=True)
class PairedQueries:
    """Two systems, query by query.

    Attributes:
        a: Name of the one system.
        b: Name of the other.
        cells: ``(value of a, value of b, queries)`` on a grid of steps of 0.05.
        wins: Queries on which ``a`` is better.
        ties: Queries on which both are equal.
        losses: Queries on which ``b`` is better.
    """

    a: str
    b: str
    cells: tuple[tuple[float, float, int], ...]
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Place:
    """A candidate where one system put it.

    Attributes:
        rank: From 1.
        doc_id: Of the document.
        score: Of the system.
        first_stage_rank: From 1; None where it was no candidate.
        grade: Judged grade; None where it was not judged.
        document: To be shown.
    """

    rank: int
    doc_id: str
    score: float
    first_stage_rank: int | None
    grade: int | None
    document: Document


@dataclass(frozen=True)
class Case:
    """One query to look at, and what every system with an order made of it.

    Attributes:
        kinds: Positions of its reasons in ``BenchmarkReport.case_kinds``.
        task: Name of its task.
        task_type: Of its task.
        query: To be shown.
        facts: Metadata of the query.
        values: System name to the main measure of this query.
        num_relevant: Judged relevant documents.
        num_candidates: Candidates of the query.
        places: System name to its first candidates, and behind them the relevant ones that it put lower; empty
            where it did not answer, absent where all its scores are equal by design.
    """

    kinds: tuple[int, ...]
    task: str
    task_type: str
    query: Query
    facts: Mapping[str, str]
    values: Mapping[str, float]
    num_relevant: int
    num_candidates: int
    places: Mapping[str, tuple[Place, ...]]


@dataclass(frozen=True)
class CaseKind:
    """Why cases were chosen, as a filter says it: ``title``; ``a`` and ``b`` are the systems it is about."""

    title: str
    a: str
    b: str = ""


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything that the report shows; see the classes above.

    Attributes:
        title: Of the report.
        suite: What was run.
        measure: How the measure of the tables is called: one name, or several where tasks differ.
        systems: In the order of all tables; a baseline is drawn in grey.
        unordered: Systems with values but no order: their scores are all equal (chance).
        reference: The system that the daggers are against, usually the first stage; empty without one.
        tasks: In the order of all tables.
        summary: Means with intervals by task, type and group, and of all tasks.
        comparisons: Paired tests, corrected within their level.
        depth: Curves by task, by type and of all tasks, as far as there is a first stage.
        coverage: By system and task.
        calibration: Of the models, by type and pooled.
        costs: By system and task, and in sum, where they are known.
        breakdowns: By facts of the metadata.
        paired: Two systems query by query.
        case_kinds: The reasons for cases.
        cases: Queries to look at.
        findings: Sentences that say what came out.
        warnings: Sentences that say what to mind.
        notes: What the numbers mean and what they do not.
        published: A table from elsewhere, shown apart.
        environment: Facts about machine and versions.
        facts: Facts about how the result was made.
        seed: Of every resampling and drawing.
    """

    title: str
    suite: str
    measure: str
    systems: tuple[System, ...]
    unordered: frozenset[str]
    reference: str
    tasks: tuple[TaskFacts, ...]
    summary: tuple[SummaryRow, ...]
    comparisons: tuple[Comparison, ...] = ()
    depth: tuple[DepthRow, ...] = ()
    coverage: tuple[CoverageRow, ...] = ()
    calibration: tuple[CalibrationRow, ...] = ()
    costs: tuple[CostRow, ...] = ()
    breakdowns: tuple[BreakdownRow, ...] = ()
    paired: tuple[PairedQueries, ...] = ()
    case_kinds: tuple[CaseKind, ...] = ()
    cases: tuple[Case, ...] = ()
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    published: PublishedTable | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def models(self) -> list[str]:
        """Names of the systems that are no baselines."""
        return [system.name for system in self.systems if system.role != "baseline"]

    @property
    def drawn(self) -> tuple[System, ...]:
        """The systems in the order of colours: those without an order, which no figure draws, come last."""
        return (
            *(system for system in self.systems if system.name not in self.unordered),
            *(system for system in self.systems if system.name in self.unordered),
        )

    def rows(self, level: str) -> list[SummaryRow]:
        """The rows of one level, in order."""
        return [row for row in self.summary if row.level == level]

    def tests(self, level: str) -> list[Comparison]:
        """The paired tests of one level, in order."""
        return [row for row in self.comparisons if row.level == level]
