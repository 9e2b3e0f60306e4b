"""The report of ``gmr bench`` on the terminal: what came out, in tables that fit a narrow window too."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmr.cli.console import examples, print_line, print_note, print_table, print_text, shorten, terminal_width
from gmr.cli.names import parse_measures
from gmr.cli.tasks import AllowCounts, AllowUnpinned, DataRoot, PictureRoot, RunsRoot, load_tasks
from gmr.core.errors import DataError
from gmr.suites.baselines import BASELINES

if TYPE_CHECKING:
    from gmr.bench.results import BenchResults
    from gmr.core.tasks import RerankTask
    from gmr.evaluation import SummaryRow
    from gmr.reports.benchmark import BenchmarkReport
    from gmr.reports.benchmark.plain import PlainTable

EPILOG = examples(
    "gmr bench report results/glyphs",
    "gmr bench report results/emoji --data-root data --measure rr@10",
)
# Blanks between columns of a dense table.
GAP = 2
# Longest name of a system or task in a cell; the files have all of it.
NAME_WIDTH = 28
# What a paired test takes beside the names of its two systems.
TEST_WIDTH = 52
# Columns that go where the window is too narrow, the first of them first. The files have all.
DISPENSABLE = (
    *("prompt tokens", "computed", "log loss", "ECE, equal mass", "ECE at it", "unjudged", "unknown"),
    *(
        "p",
        "relevant",
        "pictures",
        "CPU s",
        "answered",
        "95 % interval",
        "pairs",
        "size",
        "task type",
        "dropped",
    ),
)


def report(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What gmr bench wrote.")],
    measure: Annotated[
        str | None, typer.Option(help="Of those that were computed; the tasks' main one when not given.")
    ] = None,
    data_root: DataRoot = None,
    runs_root: RunsRoot = None,
    picture_root: PictureRoot = None,
    allow_unpinned: AllowUnpinned = False,
    allow_counts: AllowCounts = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of resampling and lots; that of the run.")] = None,
) -> None:
    """Make the report of a benchmark anew from its files; nothing is scored.

    Queries and pictures come from the suite, so it must be here as it was then.
    """
    from gmr.bench.results import read_results

    record = read_results(folder)
    tasks = _tasks_of(
        record,
        folder,
        data_root=data_root,
        runs_root=runs_root,
        picture_root=picture_root,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
    )
    chosen = parse_measures([measure])[0] if measure else None
    used = int(record.facts.get("seed", 0)) if seed is None else seed
    show(record, tasks, folder, measure=chosen, seed=used)
    print_note(f"wrote {folder}/report.html, .md, .tex, .json and .csv")


def show(
    record: "BenchResults",
    tasks: "Sequence[RerankTask]",
    output: Path,
    *,
    measure: str | None = None,
    seed: int = 0,
) -> None:
    """Print the report of results, and write it beside them."""
    from gmr.readouts import NO_LOG_ODDS
    from gmr.reports.benchmark import build_benchmark_report, write_report

    built = build_benchmark_report(
        tasks,
        record.results,
        suite=record.suite,
        baselines=list(BASELINES),
        graded=[name for name, facts in record.systems.items() if facts.get("readout") in NO_LOG_ODDS],
        measure=measure or (record.measures[0] if record.measures else None),
        costs=record.costs,
        descriptions={name: BASELINES.get(name, _described(facts)) for name, facts in record.systems.items()},
        environment=record.environment,
        facts=_facts(record),
        seed=seed,
    )
    print_report(built)
    write_report(built, output)


def _described(facts: Mapping[str, str]) -> str:
    """A model in a sentence, from what its scores depend on."""
    if not facts:
        return ""
    return (
        f"{facts['dtype']} weights {facts['weights'][:12]}, prompt {facts['template'].split()[0]}, at most "
        f"{facts['max_tokens']} tokens, engine {facts['engine']}, on {facts['device']}."
    )


def _facts(record: "BenchResults") -> dict[str, str]:
    chosen = record.facts.get("chosen", {})
    facts = {
        name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in chosen.items()
        if value
    }
    for name, task in record.tasks.items():
        facts[f"first stage of {name}"] = f"sha256 {task['first_stage_sha256'][:16]}"
    floored = record.facts.get("floored", {})
    for system, tasks in floored.items():
        for task, counts in tasks.items():
            facts[f"last places of {system} on {task}"] = ", ".join(
                f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items() if number
            )
    return facts


def _tasks_of(
    record: "BenchResults",
    folder: Path,
    *,
    data_root: Path | None,
    runs_root: Path | None,
    picture_root: Path | None,
    allow_unpinned: bool,
    allow_counts: bool,
) -> "list[RerankTask]":
    """The tasks that were measured, which must be as they were then."""
    from gmr.bench.run import task_facts

    chosen = record.facts.get("chosen")
    if not isinstance(chosen, Mapping):
        raise DataError(f"{folder}: the results do not say which tasks they are of; run gmr bench again")
    tasks = load_tasks(
        chosen["suite"],
        [Path(each) for each in chosen["folders"]],
        split=chosen["split"],
        names=chosen["names"],
        task_types=chosen["task_types"],
        limit=chosen["limit"],
        depth=chosen["depth"],
        data_root=data_root,
        runs_root=runs_root,
        picture_root=picture_root,
        allow_unpinned=allow_unpinned,
        allow_counts=allow_counts,
        folder_option="--folder",
    )
    for task in tasks:
        then = record.tasks.get(task.name, {}).get("first_stage_sha256")
        if task_facts(task)["first_stage_sha256"] != then:
            raise DataError(
                f"{folder}: the candidates of {task.name} are not those that were measured; run gmr bench again"
            )
    return tasks


def print_report(report: "BenchmarkReport", *, width: int | None = None) -> None:
    """Print findings, results, tests, depth, calibration, cost and what to mind; details are in the files.

    Args:
        report: Of `build_benchmark_report`.
        width: Characters on a line; ``None`` is the terminal's.
    """
    from dataclasses import replace

    from gmr.core.nouns import TASK_TYPES
    from gmr.reports.benchmark import plain

    width = terminal_width() if width is None else width
    print_text(report.title, style="bold")
    for sentence in report.findings:
        print_text(sentence)
    print_line()
    keys = _keys(report, width)
    _print_overall(report, keys)
    for level in ("type", "task"):
        rows = report.rows(level)
        # where each type has one task the two tables would be the same
        if len(rows) > 1 and not (level == "task" and len(rows) == len(report.rows("type"))):
            _print_level(report, rows, keys, width)
    pooled = tuple(row for row in report.calibration if row.label not in TASK_TYPES)
    for table in (
        plain.tests(report, "mean"),
        plain.depth(report),
        plain.calibration(replace(report, calibration=pooled)),
        plain.costs(report),
        plain.coverage(report),
        plain.published(report),
    ):
        _print(table, keys, width)
    if report.published is not None:
        print_text(report.published.caution, style="yellow")
        print_line()
    for sentence in report.warnings:
        print_text(f"! {sentence}", style="yellow")


def _keys(report: "BenchmarkReport", width: int) -> Mapping[str, str]:
    """System name to heading: itself, or a letter where all the names would not fit on a line."""
    names = [system.name for system in report.systems]
    first = max(len("task type"), *(min(len(task.name), NAME_WIDTH) for task in report.tasks))
    room = width - first - len("queries") - 3 * GAP
    fits_columns = sum(max(len(name), 6) + GAP for name in names) <= room
    fits_tests = 2 * max(map(len, names)) + TEST_WIDTH <= width
    if fits_columns and fits_tests and all(len(name) <= NAME_WIDTH for name in names):
        return {name: name for name in names}
    return {name: _letters(number) for number, name in enumerate(names)}


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    head = _letters(number // 26 - 1) if number >= 26 else ""
    return head + chr(ord("A") + number % 26)


def _print_overall(report: "BenchmarkReport", keys: Mapping[str, str]) -> None:
    """Systems as lines: the mean with its interval, and the means over groups."""
    from gmr.reports.benchmark import words

    groups = report.rows("group")
    groups = groups if len(groups) > 1 else []
    is_lettered = any(key != name for name, key in keys.items())
    cells = [
        [
            *([keys[name]] if is_lettered else []),
            shorten(name, width=NAME_WIDTH),
            words.interval_text(name, value),
            *(f"{row.values[name].mean:.3f}" for row in groups),
        ]
        for name, value in report.rows("mean")[0].values.items()
    ]
    numbers = ["mean [95 % interval]", *(row.label for row in groups)]
    columns = [*([""] if is_lettered else []), "system", *numbers]
    title = f"{report.measure} over all tasks"
    print_table(columns, cells, title=title, right=numbers[1:], is_dense=True)


def _print_level(
    report: "BenchmarkReport", rows: "Sequence[SummaryRow]", keys: Mapping[str, str], width: int
) -> None:
    """Task types or tasks as lines and systems as columns; with intervals where they fit."""
    from gmr.reports.benchmark import words

    level = rows[0].level
    labels = [shorten(words.label_of(row.level, row.label), width=NAME_WIDTH) for row in rows]
    counts = [f"{row.num_queries:,}" for row in rows]
    long = [[words.interval_text(name, value) for name, value in row.values.items()] for row in rows]
    short = [_means(row) for row in rows]
    head = ["task" if level == "task" else "task type", "queries"]
    columns = [*head, *keys.values()]

    def lines(cells: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[label, count, *row] for label, count, row in zip(labels, counts, cells, strict=True)]

    fitting = lines(long) if _width(columns, lines(long)) <= width else lines(short)
    title = f"{report.measure} by {head[0]}" + ("" if fitting == lines(long) else " (* best)")
    print_table(columns, fitting, title=title, right=columns[1:], is_dense=True)


def _means(row: "SummaryRow") -> list[str]:
    """Means, the best with a star and the others with a blank in its place."""
    shown = [f"{value.mean:.3f}" for value in row.values.values()]
    return [f"{mean}*" if mean == max(shown) else f"{mean} " for mean in shown]


def _print(table: "PlainTable", keys: Mapping[str, str], width: int) -> None:
    """The table without the columns for which there is no room, then with letters for names."""
    if not table.rows:
        return
    kept = list(range(len(table.header)))
    names: Mapping[str, str] = {}

    def cells() -> list[list[str]]:
        return [
            [
                shorten(names.get(row[place], row[place]), width=NAME_WIDTH)
                if place < table.num_labels
                else row[place]
                for place in kept
            ]
            for row in table.rows
        ]

    def header() -> list[str]:
        return [table.header[place] for place in kept]

    for name in DISPENSABLE:
        if _width(header(), cells()) <= width:
            break
        kept = [place for place in kept if table.header[place] != name]
    if _width(header(), cells()) > width:
        names = keys
    right = [table.header[place] for place in kept if place >= table.num_labels]
    print_table(header(), cells(), title=table.title, right=right, is_dense=True)


def _width(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    return sum(widths) + GAP * len(widths)  # a table has a blank on either side
