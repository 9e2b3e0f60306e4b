"""What the page of an experiment shows: numbers with their intervals, curves, and rankings to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gmr.core.nouns import Query, Ranking
from gmr.metrics.statistics import Interval

Role = Literal["baseline", "trained", "shipped"]


@dataclass(frozen=True)
class System:
    """One thing that ranks.

    Attributes:
        name: Short; the key of the tables below.
        description: One sentence.
        role: A baseline is drawn in grey, a trained or shipped model in colour.
    """

    name: str
    description: str
    role: Role


@dataclass(frozen=True)
class ResultRow:
    """One task type, or the mean of all.

    Attributes:
        task_type: For example ``"t2it"``; any other text (``"mean"``) is shown as it is.
        num_queries: Judged queries behind the values.
        values: System name to mean with confidence interval; a system without a value is left blank.
        chance: Expected value of a random order, where known.
    """

    task_type: str
    num_queries: int
    values: Mapping[str, Interval]
    chance: float | None = None


@dataclass(frozen=True)
class ComparisonRow:
    """System ``a`` minus system ``b``: difference with interval, corrected p-value of the paired test."""

    task_type: str
    a: str
    b: str
    delta: Interval
    p_value: float


@dataclass(frozen=True)
class Curve:
    """One quantity over the steps of one training run.

    Attributes:
        system: Name of the system that the run makes.
        quantity: For example ``"sft_loss"``; curves of one quantity share a panel.
        steps: Optimiser steps, ascending.
        values: One for each step.
        seed: Of the run; seeds of one system are drawn in one colour.
    """

    system: str
    quantity: str
    steps: Sequence[float]
    values: Sequence[float]
    seed: int = 0


@dataclass(frozen=True)
class ExampleRanking:
    """One query and what the systems made of its candidates.

    Attributes:
        task_type: Of the query's task.
        query: Shown with its pictures.
        rankings: System name to ranking of the same candidates.
        relevant: Ids of the relevant documents.
        caption: Why this example is here.
    """

    task_type: str
    query: Query
    rankings: Mapping[str, Ranking]
    relevant: frozenset[str]
    caption: str = ""


@dataclass(frozen=True)
class ExperimentReport:
    """Everything the page shows; see the classes above.

    Attributes:
        title: Of the page.
        subtitle: One line under it: date, duration, machine.
        summary: Paragraphs that say what came out.
        measure: Name of the measure of ``rows``, for example ``"nDCG@10"``.
        systems: In the order of all tables and figures.
        rows: By task type.
        overall: The mean over task types.
        comparisons: Paired tests.
        curves: Of the training runs.
        examples: Rankings to look at.
        environment: Facts about machine and versions.
        notes: What the numbers show and what they do not.
    """

    title: str
    summary: Sequence[str]
    measure: str
    systems: Sequence[System]
    rows: Sequence[ResultRow]
    subtitle: str = ""
    overall: ResultRow | None = None
    comparisons: Sequence[ComparisonRow] = ()
    curves: Sequence[Curve] = ()
    examples: Sequence[ExampleRanking] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
