"""What an analysis finds: numbers per query, their means with intervals and tests, in tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from gmr.bench.analysis.cases import Case
from gmr.metrics.statistics import (
    SIGNIFICANT,
    Interval,
    holm,
    stratified_interval,
    stratified_randomisation,
)

ALL_TASKS = "all tasks"
# Rounding of float32 moves a log-odds by less: a smaller effect is none, however sure its sign.
NEGLIGIBLE = 1e-4
# Sums of the same numbers in another order differ by less; such a difference has no sign to test.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Column:
    """What the numbers of a column are.

    Attributes:
        about: one sentence.
        is_effect: whether zero means no effect; otherwise the number is a level.
        is_tested: whether an effect is tested: what is not asked needs no correction of what is.
        digits: after the point.
    """

    about: str
    is_effect: bool = True
    is_tested: bool = True
    digits: int = 3


@dataclass(frozen=True)
class Estimate:
    """The mean over queries (of task means, where there are several tasks), with how sure it is.

    Attributes:
        value: with its 95 % bootstrap interval over queries.
        num_queries: behind it.
        num_tasks: behind it.
        p_value: of the two-sided sign-flip test over queries that it is zero; None where that is not asked.
        adjusted_p_value: after Holm's correction over the rows of the table in this column.
    """

    value: Interval
    num_queries: int
    num_tasks: int = 1
    p_value: float | None = None
    adjusted_p_value: float | None = None

    @property
    def mean(self) -> float:
        """The mean itself."""
        return self.value.mean

    @property
    def is_shown(self) -> bool:
        """Whether chance alone would make such an effect in fewer than 5 of 100 tables, and it is no rounding."""
        return (
            self.adjusted_p_value is not None
            and self.adjusted_p_value < SIGNIFICANT
            and abs(self.mean) >= NEGLIGIBLE
        )


@dataclass(frozen=True)
class Change:
    """What was done.

    Attributes:
        label: in words.
        series: line of a figure that the row is a point of.
        x: where on that line.
    """

    label: str
    series: str = ""
    x: float | None = None


@dataclass(frozen=True)
class Row:
    """One change on one task, or on all of them.

    Attributes:
        change: what was done.
        task: name of the task, or `ALL_TASKS`.
        is_summary: whether this is the row to read first: all tasks, or the only one.
        estimates: column to estimate; what no query gives a number for is absent.
    """

    change: Change
    task: str
    is_summary: bool
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True)
class Table:
    """Changes and what they do.

    Attributes:
        title: of the table.
        columns: by heading.
        rows: each change on all tasks together, then on each.
        drawn: the column that a figure shows.
        axis: what ``x`` of the rows is, where the figure is of lines.
    """

    title: str
    columns: Mapping[str, Column]
    rows: tuple[Row, ...]
    drawn: str
    axis: str = ""

    def summary(self) -> list[Row]:
        """The rows to read first."""
        return [row for row in self.rows if row.is_summary]

    def find(self, label: str, column: str, *, task: str | None = None) -> Estimate:
        """The estimate of a change in a column; of all tasks together, or of one task.

        Raises:
            KeyError: there is no such row, or no number in it.
        """
        for row in self.rows:
            if row.change.label == label and (row.is_summary if task is None else row.task == task):
                return row.estimates[column]
        raise KeyError(label)


@dataclass(frozen=True)
class AnalysisResult:
    """What one analysis found.

    Attributes:
        name: of the analysis.
        question: that it answers.
        tables: of numbers.
        sentences: what the numbers show, and no more.
        method: how they were made.
        facts: counts and choices that the numbers hang on.
    """

    name: str
    question: str
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]
    method: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    def table(self, title: str) -> Table:
        """The table with a title.

        Raises:
            KeyError: there is none.
        """
        for table in self.tables:
            if table.title == title:
                return table
        raise KeyError(title)


class Collector:
    """Numbers per query as they come, to a table."""

    def __init__(self) -> None:
        self._values: dict[Change, dict[str, dict[str, dict[str, float]]]] = {}

    def add(self, change: str | Change, case: Case, values: Mapping[str, float | None]) -> None:
        """Note the values of columns for a query; None is no value."""
        change = Change(change) if isinstance(change, str) else change
        columns = self._values.setdefault(change, {})
        for column, value in values.items():
            if value is not None:
                kept = 0.0 if abs(value) < ROUNDING else float(value)
                columns.setdefault(column, {}).setdefault(case.task.name, {})[case.query.query_id] = kept

    def table(
        self, title: str, columns: Mapping[str, Column], *, drawn: str, axis: str = "", seed: int = 0
    ) -> Table:
        """Means with intervals, and tests for the rows to read first, corrected within each column."""
        rows: list[Row] = []
        for change, found in self._values.items():
            tasks = list(dict.fromkeys(task for values in found.values() for task in values))
            if len(tasks) > 1:
                estimates = {
                    name: _estimate(found[name], is_tested=_is_tested(column), seed=seed)
                    for name, column in columns.items()
                    if name in found
                }
                rows.append(Row(change, ALL_TASKS, True, estimates))
            for task in tasks:
                is_summary = len(tasks) == 1
                estimates = {
                    name: _estimate(
                        {task: found[name][task]}, is_tested=is_summary and _is_tested(column), seed=seed
                    )
                    for name, column in columns.items()
                    if task in found.get(name, {})
                }
                rows.append(Row(change, task, is_summary, estimates))
        shown = {name: column for name, column in columns.items() if any(name in r.estimates for r in rows)}
        for name in shown:
            rows = _corrected(rows, name)
        return Table(title, shown, tuple(rows), drawn, axis)


def _is_tested(column: Column) -> bool:
    return column.is_effect and column.is_tested


def _estimate(by_task: Mapping[str, Mapping[str, float]], *, is_tested: bool, seed: int) -> Estimate:
    # Sorted by id: a resampling by position then does not hang on the order of the queries.
    strata = tuple(tuple(values[key] for key in sorted(values)) for _, values in sorted(by_task.items()))
    return Estimate(
        value=_interval(strata, seed),
        num_queries=sum(map(len, strata)),
        num_tasks=len(strata),
        p_value=_p_value(strata, seed) if is_tested else None,
    )


# The same numbers come again: the first stage at every depth, all candidates reranked for every first stage.
@lru_cache(maxsize=4096)
def _interval(strata: tuple[tuple[float, ...], ...], seed: int) -> Interval:
    mean = float(np.mean([np.mean(values) for values in strata]))
    # Where all queries of a task say the same, every resample does.
    is_same = all(len(set(values)) == 1 for values in strata)
    return Interval(mean, mean, mean) if is_same else stratified_interval(strata, seed=seed)


@lru_cache(maxsize=4096)
def _p_value(strata: tuple[tuple[float, ...], ...], seed: int) -> float:
    return stratified_randomisation(strata, [np.zeros(len(values)) for values in strata], seed=seed)


def _corrected(rows: Sequence[Row], column: str) -> list[Row]:
    tested = [row for row in rows if column in row.estimates and row.estimates[column].p_value is not None]
    p_values = [row.estimates[column].p_value for row in tested]
    adjusted = iter(holm([p_value for p_value in p_values if p_value is not None]))
    corrected = []
    for row in rows:
        estimate = row.estimates.get(column)
        if estimate is not None and estimate.p_value is not None:
            new = replace(estimate, adjusted_p_value=next(adjusted))
            corrected.append(replace(row, estimates={**row.estimates, column: new}))
        else:
            corrected.append(row)
    return corrected
