"""Tasks and results to the report of a benchmark."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from gmr.core.errors import DataError
from gmr.core.tasks import RerankTask
from gmr.evaluation import Comparison, TaskResult, compare_systems, summarise
from gmr.evaluation.cost import Cost
from gmr.evaluation.depth import DepthValues, choose_depths, depth_curves, depth_values
from gmr.metrics.measures import parse_measure
from gmr.reports.benchmark import counts, words
from gmr.reports.benchmark.cases import choose_cases
from gmr.reports.benchmark.contents import BenchmarkReport, Case, CaseKind, DepthRow
from gmr.reports.experiment import System
from gmr.reports.published import published_table
from gmr.suites.baselines import FIRST_STAGE

Table = Mapping[str, Mapping[str, TaskResult]]

LEVELS = ("task", "type", "group", "mean")
# The suites that are rebuilt from public sets after the paper's benchmark.
REBUILT = "mrb-"


def build_benchmark_report(
    tasks: Sequence[RerankTask],
    results: Mapping[str, Sequence[TaskResult]],
    *,
    suite: str,
    baselines: Collection[str],
    graded: Collection[str] = (),
    measure: str | None = None,
    costs: Mapping[str, Mapping[str, Cost]] | None = None,
    descriptions: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
    with_published: bool | None = None,
    seed: int = 0,
) -> BenchmarkReport:
    """Everything that the files and pages of a benchmark show.

    Args:
        tasks: What was measured on, in the order of tables.
        results: System name to its results, one for each task; the names are the headings.
        suite: Name of the suite.
        baselines: Names of the systems that are no models.
        graded: Names of models whose scores are grades and no log-odds; they have no calibration.
        measure: ``None`` is each task's main measure.
        costs: System name to task name to what scoring cost, as far as known.
        descriptions: System name to one sentence about it.
        environment: Facts about machine and versions.
        facts: Facts about how the results were made: weights, prompt, limits, hashes of the first stages.
        with_published: Show the paper's own table, apart; ``None`` does for suites named ``mrb-...``.
        seed: Of the resampling and of the lots.

    Raises:
        DataError: A system lacks a task, has one that is not among the tasks, or other queries than another; or
            a cost is of nothing that was measured.
    """
    by_name = {task.name: task for task in tasks}
    ordered_results = {system: _by_task(system, rows, by_name) for system, rows in results.items()}
    if not by_name or not ordered_results:
        raise DataError(f"{suite}: there are no results to report")
    in_order = {system: list(rows.values()) for system, rows in ordered_results.items()}
    name = None if measure is None else str(parse_measure(measure))
    unordered = frozenset(system for system, rows in in_order.items() if all(map(_is_unordered, rows)))
    reference = FIRST_STAGE if FIRST_STAGE in results else ""
    systems = tuple(
        System(system, (descriptions or {}).get(system, ""), "baseline" if system in baselines else "shipped")
        for system in results
    )
    measures = {
        task: name or next(iter(result.per_query))
        for task, result in next(iter(ordered_results.values())).items()
    }
    title = ", ".join(dict.fromkeys(parse_measure(each).title for each in measures.values()))
    report = BenchmarkReport(
        title=f"{suite}: {title}",
        suite=suite,
        measure=title,
        systems=systems,
        unordered=unordered,
        reference=reference,
        tasks=tuple(counts.task_facts(task, measure=measures[task.name]) for task in tasks),
        summary=tuple(summarise(in_order, levels=LEVELS, measure=name, seed=seed)),
        seed=seed,
        environment=dict(environment or {}),
        facts=dict(facts or {}),
    )
    pairs = _focus(report)
    shown = [system for system in results if system not in unordered]
    kinds: tuple[CaseKind, ...] = ()
    cases: tuple[Case, ...] = ()
    if shown:
        best = pairs[0][0] if pairs else _best(report, report.models or shown)
        kinds, cases = choose_cases(
            tasks, ordered_results, pairs=pairs, shown=shown, best=best, measure=name, seed=seed
        )
    depth, without_depth = _depth(tasks, ordered_results, shown, reference, measures, seed=seed)
    breakdowns, left_out = counts.breakdown_rows(in_order, by_name, measure=name, seed=seed)
    wanted = suite.startswith(REBUILT) if with_published is None else with_published
    report = replace(
        report,
        comparisons=tuple(_tests(report, in_order, measure=name, seed=seed)),
        depth=depth,
        coverage=counts.coverage_rows(in_order),
        calibration=counts.calibration_rows(
            [model for model in report.models if model not in graded], in_order, by_name
        ),
        costs=counts.cost_rows(costs or {}, in_order),
        breakdowns=breakdowns,
        paired=tuple(counts.paired_queries(in_order, a, b, measure=name) for a, b in pairs),
        case_kinds=kinds,
        cases=cases,
        published=published_table() if wanted else None,
    )
    return replace(
        report,
        findings=words.findings(report),
        warnings=words.warnings(report, without_depth=without_depth, left_out=left_out),
        notes=(
            *words.NOTES,
            *([words.DEPTH_NOTE] if report.depth else []),
            *([words.CALIBRATION_NOTE] if report.calibration else []),
            *([words.graded_note(graded)] if graded else []),
        ),
    )


def _by_task(
    system: str, results: Sequence[TaskResult], tasks: Mapping[str, RerankTask]
) -> dict[str, TaskResult]:
    """Task name to result, in the order of the tasks."""
    found = {result.task_name: result for result in results}
    unknown = [name for name in found if name not in tasks]
    missing = [name for name in tasks if name not in found]
    if unknown or missing:
        what = (
            f"a result of {unknown[0]!r}, which is" if unknown else f"no result of {missing[0]!r}, which is"
        )
        raise DataError(
            f"{system}: {what} {'not ' if unknown else ''}among the {len(tasks)} tasks of the report"
        )
    if len(found) != len(results):
        raise DataError(f"{system}: two results of one task among {', '.join(r.task_name for r in results)}")
    return {name: found[name] for name in tasks}


def _is_unordered(result: TaskResult) -> bool:
    """Whether all scores of every query are equal, and its values expectations under that."""
    return result.expected_under_ties and all(
        len(set(scores.values())) <= 1 for scores in result.run.values()
    )


def _best(report: BenchmarkReport, names: Sequence[str]) -> str:
    values = report.rows("mean")[0].values
    return max(names, key=lambda name: values[name].mean)


def _focus(report: BenchmarkReport) -> list[tuple[str, str]]:
    """The best model against the reference, and against the next best model."""
    models = report.models
    if not models:
        return []
    best = _best(report, models)
    rivals = [name for name in models if name != best]
    others = [*([report.reference] if report.reference else []), *([_best(report, rivals)] if rivals else [])]
    return [(best, other) for other in others]


def _tests(
    report: BenchmarkReport,
    results: Mapping[str, Sequence[TaskResult]],
    *,
    measure: str | None,
    seed: int,
) -> list[Comparison]:
    """Every model against the reference and against every model before it; by task against the reference alone."""
    models = report.models
    against = [(model, report.reference) for model in models if report.reference]
    pairs = [*against, *((later, earlier) for earlier, later in combinations(models, 2))]
    tests = []
    if len(report.rows("task")) > len(report.rows("type")) and against:
        tests += compare_systems(results, against, levels=("task",), measure=measure, seed=seed)
    if pairs:
        tests += compare_systems(results, pairs, levels=("type", "group", "mean"), measure=measure, seed=seed)
    return tests


def _depth(
    tasks: Sequence[RerankTask],
    results: Table,
    shown: Sequence[str],
    reference: str,
    measures: Mapping[str, str],
    *,
    seed: int,
) -> tuple[tuple[DepthRow, ...], list[str]]:
    """The curves of all tasks, of every type and of every task with candidates, and the names of the others."""
    held = [task for task in tasks if any(task.first_stage.values())]
    without = [task.name for task in tasks if task not in held]
    if not held:
        return (), without
    depths = choose_depths(held)
    systems = [system for system in shown if system != reference]
    tables: dict[str, DepthValues] = {}
    for task in held:
        of_task = {system: results[system][task.name] for system in systems}
        tables[task.name] = depth_values(
            task,
            {system: result.run for system, result in of_task.items()},
            depths=depths,
            measure=measures[task.name],
            expected_under_ties=[system for system, result in of_task.items() if result.expected_under_ties],
        )
    types = dict.fromkeys(task.task_type for task in held)
    labels = [
        ("mean", "mean", list(tables)),
        *(("type", kind, [task.name for task in held if task.task_type == kind]) for kind in types),
        *(("task", name, [name]) for name in tables),
    ]
    rows = [
        DepthRow(level, label, depth_curves([tables[name] for name in names], seed=seed))
        for level, label, names in labels
    ]
    return tuple(rows), without
