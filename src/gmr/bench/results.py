"""Results of a suite as a folder: runs, values of every query, and one file that ties them together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import (
    atomic_write_json,
    atomic_write_jsonl,
    file_names,
    parse_json_object,
    read_jsonl,
    read_text,
    sha256_file,
)
from gmr.core.trec import read_run, write_run
from gmr.evaluation import TaskResult
from gmr.evaluation.cost import Cost

RESULTS, COSTS = "results.json", "cost.json"
FORMAT = "gmr bench 1"


@dataclass(frozen=True)
class BenchResults:
    """What a folder of results holds.

    Attributes:
        suite: name of the suite, or what stands for it.
        measures: the first is the main one; empty where each task has its own.
        results: system to its results, one per task, the same tasks for each.
        tasks: name of the task to its facts: type, main measure, counts, the first stage's digest.
        systems: system to what its scores depend on; empty for a baseline.
        costs: system to task to what scoring took.
        facts: how it was made: split, limit, depth, seed, policies.
        environment: versions and commit.
    """

    suite: str
    measures: tuple[str, ...]
    results: Mapping[str, Sequence[TaskResult]]
    tasks: Mapping[str, Mapping[str, Any]]
    systems: Mapping[str, Mapping[str, str]]
    costs: Mapping[str, Mapping[str, Cost]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def write_results(bench: BenchResults, folder: Path, *, orderless: Sequence[str] = ()) -> None:
    """Write the folder: ``SYSTEM/TASK.trec``, ``SYSTEM/TASK.jsonl``, ``results.json`` and ``cost.json``.

    All but ``cost.json`` are the same bytes whenever the same is computed, however often it was interrupted.

    Args:
        bench: what to write.
        folder: made when it is not there; files of other systems in it are left alone.
        orderless: systems that are an expectation over orders and have no run of their own.

    Raises:
        DataError: a file cannot be written, or an id cannot stand in a TREC run.
    """
    names = file_names(list(bench.results))
    files: dict[str, dict[str, Any]] = {}
    for system, of_system in bench.results.items():
        tasks = file_names([result.task_name for result in of_system])
        files[system] = {}
        for result in of_system:
            stem = f"{names[system]}/{tasks[result.task_name]}"
            runs = folder / f"{stem}.trec"
            if system not in orderless:
                write_run(result.run, runs, tag=names[system])
            values = folder / f"{stem}.jsonl"
            atomic_write_jsonl(values, per_query_records(result))
            record = {
                name: value for name, value in result.to_dict().items() if name not in ("run", "per_query")
            }
            record |= {"values": f"{stem}.jsonl", "values_sha256": sha256_file(values)}
            if system not in orderless:
                record |= {"run": f"{stem}.trec", "run_sha256": sha256_file(runs)}
            files[system][result.task_name] = record
    atomic_write_json(
        folder / RESULTS,
        {
            "format": FORMAT,
            "suite": bench.suite,
            "measures": list(bench.measures),
            "tasks": bench.tasks,
            "systems": bench.systems,
            "results": files,
            "facts": bench.facts,
            "environment": bench.environment,
        },
    )
    costs = {
        system: {task: asdict(cost) for task, cost in tasks.items()} for system, tasks in bench.costs.items()
    }
    atomic_write_json(folder / COSTS, costs)


def read_results(folder: Path) -> BenchResults:
    """What `write_results` wrote.

    Raises:
        DataError: naming the file that is missing, cut short, or not the one that the results speak of.
    """
    path = folder / RESULTS
    record = parse_json_object(read_text(path), where=str(path))
    if record.get("format") != FORMAT:
        raise DataError(f"{path}: of format {record.get('format')!r}; {FORMAT!r} is read here")
    try:
        results = {
            system: [_read_result(folder, name, facts) for name, facts in tasks.items()]
            for system, tasks in record["results"].items()
        }
        costs = {}
        if (folder / COSTS).is_file():
            read = parse_json_object(read_text(folder / COSTS), where=str(folder / COSTS))
            costs = {
                system: {task: Cost(**cost) for task, cost in tasks.items()} for system, tasks in read.items()
            }
        return BenchResults(
            suite=record["suite"],
            measures=tuple(record["measures"]),
            results=results,
            tasks=record["tasks"],
            systems=record["systems"],
            costs=costs,
            facts=record["facts"],
            environment=record["environment"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: these are no results of gmr bench ({type(error).__name__}: {error})"
        ) from None


def per_query_records(result: TaskResult) -> list[dict[str, Any]]:
    """One record for each judged query: its id and the value of every measure."""
    names = list(result.per_query)
    return [
        {"query_id": query_id, **{name: result.per_query[name][query_id] for name in names}}
        for query_id in result.values()
    ]


def set_aside_if_damaged(folder: Path) -> Path | None:
    """Rename a ``results.json`` that cannot be read, so that it is computed anew; its new name, or None."""
    path = folder / RESULTS
    if not path.exists():
        return None
    try:
        parse_json_object(read_text(path), where=str(path))
    except DataError:
        aside = path.with_name(f"{path.name}.corrupt")
        path.replace(aside)
        return aside
    return None


def _read_result(folder: Path, name: str, record: Mapping[str, Any]) -> TaskResult:
    path = folder / record["values"]
    _check_digest(path, record["values_sha256"])
    per_query: dict[str, dict[str, float]] = {measure: {} for measure in record["means"]}
    for number, row in read_jsonl(path):
        try:
            for measure, values in per_query.items():
                values[row["query_id"]] = float(row[measure])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: no value of a query ({type(error).__name__}: {error})"
            ) from None
    run: dict[str, dict[str, float]] = {}
    if "run" in record:
        _check_digest(folder / record["run"], record["run_sha256"])
        run = read_run(folder / record["run"])
    return TaskResult.from_dict({**record, "run": run, "per_query": per_query}, where=f"{folder}: {name}")


def _check_digest(path: Path, expected: str) -> None:
    if (found := sha256_file(path)) != expected:
        raise DataError(
            f"{path}: not the file that {RESULTS} speaks of (sha256 {found[:12]}…, expected {expected[:12]}…); "
            "run gmr bench again to make it anew"
        )
