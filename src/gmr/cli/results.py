"""Results of ``gmr evaluate`` on the terminal and in a folder: runs, per-query values, tables, a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from gmr.cli.console import print_line, print_table
from gmr.core.environment import environment
from gmr.core.files import atomic_write_json, atomic_write_text, file_names
from gmr.core.nouns import display_type
from gmr.core.trec import write_run
from gmr.evaluation import (
    Comparison,
    SummaryRow,
    TaskResult,
    compare_systems,
    comparison_table,
    summarise,
    summary_table,
)
from gmr.metrics.measures import MEASURES
from gmr.metrics.statistics import Interval
from gmr.suites.baselines import BASELINES, CHANCE, PIXEL_COSINE

Results = Mapping[str, Sequence[TaskResult]]
SUFFIXES = {"markdown": "md", "latex": "tex", "csv": "csv"}


def print_results(results: Results, measures: Sequence[str], *, seed: int) -> None:
    """One table for each measure, then the paired tests of the main one."""
    for measure in measures:
        rows = _summary(results, measure, seed=seed)
        cells = [
            [
                _label(row, results),
                str(row.num_queries),
                *(_value(name, value) for name, value in row.values.items()),
            ]
            for row in rows
        ]
        columns = ["task", "queries", *results]
        print_table(columns, cells, title=f"{measure}, mean [95 % confidence interval]", right=columns[1:])
    tests = _comparisons(results, measures[0], seed=seed)
    shown = [row for row in tests if row.level == "mean"] or tests
    if not shown:
        return
    cells = [
        [
            row.label,
            row.a,
            row.b,
            str(row.delta),
            f"{row.adjusted_p_value:.4f}",
            f"{row.wins}/{row.ties}/{row.losses}",
        ]
        for row in shown
    ]
    columns = ["task", "system", "against", "difference", "p (Holm)", "wins/ties/losses"]
    print_line()
    title = f"{measures[0]}, paired randomisation tests"
    print_table(columns, cells, title=title, right=columns[3:])


def write_results(
    results: Results,
    measures: Sequence[str],
    folder: Path,
    *,
    seed: int,
    facts: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write the folder.

    ``SYSTEM/TASK.trec`` and ``SYSTEM/TASK.json`` (per-query values), ``results.json``, the tables of the main
    measure as ``.md``, ``.tex`` and ``.csv``, and ``results.html``. ``facts`` are what the
    scores of a system depend on.

    Raises:
        DataError: An id cannot stand in a TREC run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = file_names(list(results))
    for system, of_system in results.items():
        (folder / names[system]).mkdir(exist_ok=True)
        tasks = file_names([result.task_name for result in of_system])
        for result in of_system:
            path = folder / names[system] / tasks[result.task_name]
            record = {"system": system, **result.to_dict()}
            if system != CHANCE:  # chance is an expectation: it has no order
                write_run(result.run, Path(f"{path}.trec"), tag=names[system])
            del record["run"]
            atomic_write_json(Path(f"{path}.json"), record)
    rows = _summary(results, measures[0], seed=seed)
    tests = _comparisons(results, measures[0], seed=seed)
    content = {
        "measures": list(measures),
        "systems": names,
        "facts": {system: dict(of_system) for system, of_system in (facts or {}).items()},
        "summary": {
            measure: [asdict(row) for row in _summary(results, measure, seed=seed)] for measure in measures
        },
        "comparisons": [asdict(row) for row in tests],
        "seed": seed,
        "environment": environment(),
    }
    atomic_write_json(folder / "results.json", content)
    for style, suffix in SUFFIXES.items():
        tables = [
            summary_table(rows, style=style),
            *([comparison_table(tests, style=style)] if tests else []),
        ]
        atomic_write_text(folder / f"results.{suffix}", "\n".join(tables))
    atomic_write_text(folder / "results.html", _page(results, rows, tests, measures[0], facts or {}))


def _summary(results: Results, measure: str, *, seed: int) -> list[SummaryRow]:
    several = len(next(iter(results.values()))) > 1
    return summarise(
        results, levels=("task", "group", "mean") if several else ("task",), measure=measure, seed=seed
    )


def _comparisons(results: Results, measure: str, *, seed: int) -> list[Comparison]:
    """Every model against the first stage and every other model; expectations are no systems to test."""
    systems = [name for name in results if name not in (CHANCE, PIXEL_COSINE)]
    pairs = [(b, a) for a, b in combinations(systems, 2)]
    if not pairs:
        return []
    several = len(next(iter(results.values()))) > 1
    return compare_systems(
        results, pairs, levels=("task", "mean") if several else ("task",), measure=measure, seed=seed
    )


def _label(row: SummaryRow, results: Results) -> str:
    if row.level != "task":
        return row.label
    types = {result.task_name: result.task_type for result in next(iter(results.values()))}
    return f"{row.label} ({display_type(types[row.label])})" if types[row.label] else row.label


def _value(system: str, value: Interval) -> str:
    # Chance is computed, not sampled: an interval over queries would suggest otherwise.
    return f"{value.mean:.3f}" if system == CHANCE else str(value)


def _page(
    results: Results,
    rows: Sequence[SummaryRow],
    tests: Sequence[Comparison],
    measure: str,
    facts: Mapping[str, Mapping[str, str]],
) -> str:
    from gmr.reports.experiment import ComparisonRow, ExperimentReport, ResultRow, System
    from gmr.reports.experiment_page import experiment_page

    shown = [name for name in results if name != CHANCE]

    types = {result.task_name: result.task_type for result in next(iter(results.values()))}
    # Where each task is the only one of its type, the type says all, and the page can group by it.
    labels = types if len(set(types.values()) - {""}) == len(types) else {}

    def result_row(row: SummaryRow) -> ResultRow:
        chance = row.values.get(CHANCE)
        values = {name: row.values[name] for name in shown}
        return ResultRow(
            labels.get(row.label, row.label), row.num_queries, values, chance.mean if chance else None
        )

    name, at, cutoff = measure.partition("@")
    title = f"{MEASURES[name].title}{at}{cutoff}"
    overall = [result_row(row) for row in rows if row.level == "mean"]
    report = ExperimentReport(
        title=f"{title} of {', '.join(name for name in shown if name not in BASELINES)}",
        subtitle=", ".join(types),
        summary=[],
        measure=title,
        systems=[
            System(
                name,
                BASELINES.get(name, _in_words(facts.get(name, {}))),
                "baseline" if name in BASELINES else "shipped",
            )
            for name in shown
        ],
        rows=[result_row(row) for row in rows if row.level == "task"],
        overall=overall[0] if overall else None,
        comparisons=[
            ComparisonRow(labels.get(row.label, row.label), row.a, row.b, row.delta, row.adjusted_p_value)
            for row in tests
        ],
        environment=environment(),
        notes=[
            "Every task weighs the same in the mean. Intervals are over queries of these tasks; they do not "
            "speak of tasks that were not run.",
            *_left_out(results),
        ],
    )
    return experiment_page(report)


def _in_words(facts: Mapping[str, str]) -> str:
    """What a reader asks first of a model: which weights, in which type, read how."""
    shown = {
        name: facts[name]
        for name in ("dtype", "template", "engine", "max_tokens", "adapter")
        if name in facts
    }
    if "weights" in facts:
        shown["weights"] = facts["weights"][:16]
    return ", ".join(f"{name} {value.split()[0][:16]}" for name, value in shown.items() if value != "none")


def _left_out(results: Results) -> list[str]:
    """Queries and documents that the denominators say something of, by system and task."""
    return [
        f"{system}, {result.task_name}: {result.coverage}"
        for system, of_system in results.items()
        for result in of_system
        if result.coverage.missing_queries or result.coverage.unjudged_queries or result.coverage.num_dropped
    ]
