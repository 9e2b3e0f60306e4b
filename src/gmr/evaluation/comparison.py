"""Systems side by side: means by task type and group with intervals, paired tests, and both as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gmr.core.errors import DataError
from gmr.core.nouns import TASK_TYPES, display_type, task_group
from gmr.evaluation.results import TaskResult
from gmr.metrics.statistics import Interval, holm, stratified_interval, stratified_randomisation
from gmr.metrics.tables import TABLES

LEVELS = ("task", "type", "group", "mean")


@dataclass(frozen=True)
class Comparison:
    """System ``a`` against system ``b`` on the same queries.

    Attributes:
        a: Name of the one system.
        b: Name of the other.
        level: ``task``, ``type``, ``group`` or ``mean``.
        label: Which task, task type or group.
        delta: Mean of ``a`` minus ``b`` (mean of task means) with its bootstrap interval over queries.
        p_value: Of the two-sided paired randomisation test.
        adjusted_p_value: After Holm's correction over all comparisons of its level that were made together.
        wins: Queries on which ``a`` is better.
        ties: Queries on which both are equal.
        losses: Queries on which ``b`` is better.
    """

    a: str
    b: str
    level: str
    label: str
    delta: Interval
    p_value: float
    adjusted_p_value: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class SummaryRow:
    """The systems on one task, task type or group, or on all tasks; every task weighs the same.

    Attributes:
        level: ``task``, ``type``, ``group`` or ``mean``.
        label: Which task, task type or group.
        num_tasks: Tasks behind the means.
        num_queries: Judged queries behind the means.
        values: System name to mean of task means with its bootstrap interval over queries.
    """

    level: str
    label: str
    num_tasks: int
    num_queries: int
    values: Mapping[str, Interval]


Results = Mapping[str, Sequence[TaskResult]]


def compare(a: TaskResult, b: TaskResult, *, measure: str | None = None, seed: int = 0) -> Comparison:
    """Two results on the same task, paired by query.

    Raises:
        DataError: The results are not of the same task, measure and queries.
    """
    return compare_systems({"a": [a], "b": [b]}, [("a", "b")], levels=("task",), measure=measure, seed=seed)[
        0
    ]


def compare_systems(
    results: Results,
    pairs: Sequence[tuple[str, str]],
    *,
    levels: Sequence[str] = ("type", "mean"),
    measure: str | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Paired tests between systems, by level and label, corrected for their number within each level.

    Args:
        results: System name to its results, one per task, the same tasks for each.
        pairs: The pairs of system names to compare, to be chosen before looking at the numbers.
        levels: Of ``task``, ``type``, ``group`` and ``mean``.
        measure: ``None`` is each task's main measure.
        seed: Of the resampling.

    Raises:
        DataError: A system is not among the results, or the systems were not measured on the same queries.
    """
    table = _aligned(results, measure)
    unknown = {system for pair in pairs for system in pair} - set(table)
    if unknown:
        raise DataError(f"no results of {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    comparisons = []
    for level in levels:
        rows = [
            _compare_row(table, pair, names, level=level, label=label, seed=seed)
            for label, names in _labels(results, level)
            for pair in pairs
        ]
        adjusted = holm([row.p_value for row in rows])
        comparisons += [replace(row, adjusted_p_value=p) for row, p in zip(rows, adjusted, strict=True)]
    return comparisons


def summarise(
    results: Results,
    *,
    levels: Sequence[str] = ("type", "group", "mean"),
    measure: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[SummaryRow]:
    """Means with intervals, by task type in the order of ``TASK_TYPES``, then by group, then of all tasks.

    Args:
        results: System name to its results, one per task, the same tasks for each.
        levels: Of ``task``, ``type``, ``group`` and ``mean``.
        measure: ``None`` is each task's main measure.
        confidence: Of the intervals.
        seed: Of the resampling.

    Raises:
        DataError: The systems were not measured on the same queries.
    """
    table = _aligned(results, measure)
    first = next(iter(table.values()))
    return [
        SummaryRow(
            level=level,
            label=label,
            num_tasks=len(names),
            num_queries=sum(len(first[name]) for name in names),
            values={
                system: stratified_interval([tasks[name] for name in names], confidence=confidence, seed=seed)
                for system, tasks in table.items()
            },
        )
        for level in levels
        for label, names in _labels(results, level)
    ]


def summary_table(rows: Sequence[SummaryRow], *, style: str = "text") -> str:
    """The rows of ``summarise`` as a table; the styles are ``text``, ``markdown``, ``latex`` and ``csv``."""
    systems = list(rows[0].values) if rows else []
    header = ["task type", "tasks", "queries", *systems]
    cells = [
        [
            _display(row),
            str(row.num_tasks),
            str(row.num_queries),
            *(str(row.values[name]) for name in systems),
        ]
        for row in rows
    ]
    return TABLES[style](header, cells)


def comparison_table(comparisons: Sequence[Comparison], *, style: str = "text") -> str:
    """Comparisons as a table; the styles are ``text``, ``markdown``, ``latex`` and ``csv``."""
    header = ["task type", "systems", "difference", "p", "p (Holm)", "wins/ties/losses"]
    cells = [
        [
            *(_display(row), f"{row.a} − {row.b}", str(row.delta)),
            *(f"{row.p_value:.4f}", f"{row.adjusted_p_value:.4f}", f"{row.wins}/{row.ties}/{row.losses}"),
        ]
        for row in comparisons
    ]
    return TABLES[style](header, cells)


def _aligned(results: Results, measure: str | None) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    """System to task name to ``(queries,)`` values, the same tasks and queries in the same order for each."""
    if not results or not all(results.values()):
        raise DataError("there are no results to summarise")
    reference: dict[str, tuple[str, list[str]]] = {}
    table: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    for system, of_system in results.items():
        names = [result.task_name for result in of_system]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{system}: two results of task {twice[0]!r}")
        main = {result.task_name: measure or next(iter(result.per_query)) for result in of_system}
        values = {result.task_name: result.values(measure) for result in of_system}
        reference = reference or {name: (main[name], list(values[name])) for name in names}
        for name in sorted({*reference, *names}):
            if name not in values or name not in reference:
                without = system if name not in values else next(iter(results))
                raise DataError(f"{without}: no result of task {name!r}, which another system has")
            if main[name] != reference[name][0] or set(values[name]) != set(reference[name][1]):
                raise DataError(
                    f"{system}: task {name!r} has {main[name]} of {len(values[name])} queries; to compare, it"
                    f" takes the {len(reference[name][1])} of {next(iter(results))} and {reference[name][0]}"
                )
        table[system] = {
            name: np.array([values[name][query_id] for query_id in query_ids], dtype=np.float64)
            for name, (_, query_ids) in reference.items()
        }
    return table


def _labels(results: Results, level: str) -> list[tuple[str, list[str]]]:
    """The labels of a level in the order of tables, each with its task names."""
    tasks = {result.task_name: result.task_type for result in next(iter(results.values()))}
    if level == "task":
        return [(name, [name]) for name in tasks]
    if level == "type":
        labels = {task_type: task_type for task_type in TASK_TYPES}
    elif level == "group":
        labels = {task_type: task_group(task_type) for task_type in TASK_TYPES}
    elif level == "mean":
        labels = dict.fromkeys(TASK_TYPES, "mean")
    else:
        raise ValueError(f"unknown level {level!r}; there are {', '.join(LEVELS)}")
    named = [
        (label, [name for name, task_type in tasks.items() if labels[task_type] == label])
        for label in dict.fromkeys(labels.values())
    ]
    return [(label, names) for label, names in named if names]


def _compare_row(
    table: Mapping[str, Mapping[str, npt.NDArray[np.float64]]],
    pair: tuple[str, str],
    names: Sequence[str],
    *,
    level: str,
    label: str,
    seed: int,
) -> Comparison:
    a, b = ([table[system][name] for name in names] for system in pair)
    differences = [left - right for left, right in zip(a, b, strict=True)]
    signs = np.sign(np.concatenate(differences))
    p_value = stratified_randomisation(a, b, seed=seed)
    return Comparison(
        a=pair[0],
        b=pair[1],
        level=level,
        label=label,
        delta=stratified_interval(differences, seed=seed),
        p_value=p_value,
        adjusted_p_value=p_value,
        wins=int((signs > 0).sum()),
        ties=int((signs == 0).sum()),
        losses=int((signs < 0).sum()),
    )


def _display(row: SummaryRow | Comparison) -> str:
    return display_type(row.label) if row.level == "type" else row.label
