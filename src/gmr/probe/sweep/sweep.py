"""A sweep: the runs of a plan, as many at a time as wanted, from where an earlier one stopped."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields
from pathlib import Path

from gmr.core.config import load_config, to_toml
from gmr.core.errors import ConfigError, DataError, GmrError, ModelError
from gmr.core.files import atomic_write_json, atomic_write_text, delete_unfinished
from gmr.probe.sweep.cells import Cell, cells_of
from gmr.probe.sweep.choose import Choice, choose
from gmr.probe.sweep.contents import PLAN, RUNS, write_index
from gmr.probe.sweep.estimate import Estimator, Work
from gmr.probe.sweep.execute import held_out_tasks
from gmr.probe.sweep.files import DONE, SPEC, TRAINING, is_done, last_step, read_cost
from gmr.probe.sweep.launch import OVER, Submit
from gmr.probe.sweep.levels import levels_of, write_levels
from gmr.probe.sweep.plan import Plan, load_plan
from gmr.probe.sweep.progress import SweepBar
from gmr.probe.sweep.reuse import FinishedRuns
from gmr.probe.sweep.runs import RunSpec, facts_of, reported_runs, tuning_runs
from gmr.train.arguments import check_names
from gmr.train.recipe import Recipe
from gmr.train.sources import load_dev_tasks
from gmr.train.workers import POLL_S

logger = logging.getLogger(__name__)
CHOICES = "choices.json"


@dataclass
class _State:
    """What is still to do, and what is going on."""

    pending: dict["Future[None]", RunSpec] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class PlannedRun:
    """A row of the table of runs.

    Attributes:
        cell: Which cell.
        purpose: ``tuning`` or ``test``.
        learning_rates: Those tried, or the one that is used; none where it is not chosen yet.
        seeds: Of the runs.
        num_runs: How many.
        num_done: How many of them are finished.
        work: Of one.
    """

    cell: str
    purpose: str
    learning_rates: Sequence[float]
    seeds: Sequence[int]
    num_runs: int
    num_done: int
    work: Work


class Sweep:
    """The runs of a plan in a folder.

    Args:
        plan: What to run.
        folder: Where; made when missing.
        only: Names of the cells to run; none is all. A cell that is tuned as another needs that one's tuning too.
        reuse: Folders of other sweeps, or of such folders: a run that one of them has finished is not made again.

    Raises:
        ConfigError: A cell that is not there, a recipe that cannot be made, or another sweep's folder.
        DataError: A folder that holds something else.
    """

    def __init__(
        self, plan: Plan, folder: Path, *, only: Sequence[str] = (), reuse: Sequence[Path] = ()
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.cells = cells_of(plan)
        unknown = [name for name in only if name not in self.cells]
        if unknown:
            raise ConfigError(
                f"plan {plan.name!r} has no cell {unknown[0]!r}; there are {', '.join(self.cells)}"
            )
        self.wanted = [name for name in self.cells if not only or name in only]
        tuned = {self.cells[name].tuned_as or name for name in self.wanted}
        self.tuning = tuning_runs(plan, {name: self.cells[name] for name in self.cells if name in tuned})
        for name in self.wanted:  # a cell that cannot be built is told now, not after hours of others
            for spec in reported_runs(plan, self.cells[name], learning_rate=_some_rate(self.cells[name])):
                _check_recipe(plan, name, spec)
        self._finished = FinishedRuns(reuse)
        self._estimator = Estimator(load_test=held_out_tasks, load_dev=load_dev_tasks)

    @property
    def runs_dir(self) -> Path:
        """Where the directories of the runs are."""
        return self.folder / RUNS

    def choice(self, name: str) -> Choice | None:
        """The learning rate of a cell; None while it is not chosen."""
        return self._choose(name, self.tuning)

    def _choose(self, name: str, tuning: Sequence[RunSpec]) -> Choice | None:
        return choose(self.cells, name, tuning, seeds=self.plan.tuning.seeds, runs_dir=self.runs_dir)

    def table(self) -> list[PlannedRun]:
        """The runs, cell by cell: those that choose, then those that are reported."""
        rows = []
        for name in dict.fromkeys([*(spec.cell for spec in self.tuning), *self.wanted]):
            tuning = [spec for spec in self.tuning if spec.cell == name]
            if tuning:
                rates = self.cells[name].learning_rates
                rows.append(self._row(name, "tuning", rates, self.plan.tuning.seeds, tuning))
            if name in self.wanted:
                choice = self.choice(name)
                rate = _some_rate(self.cells[name]) if choice is None else choice.learning_rate
                specs = reported_runs(self.plan, self.cells[name], learning_rate=rate)
                shown = [] if choice is None or rate is None else [rate]
                rows.append(self._row(name, "test", shown, self.plan.seeds, specs))
        return rows

    def _row(
        self,
        name: str,
        purpose: str,
        rates: Sequence[float],
        seeds: Sequence[int],
        specs: Sequence[RunSpec],
    ) -> PlannedRun:
        done = sum(is_done(self.runs_dir / spec.name, spec) for spec in specs)
        return PlannedRun(name, purpose, rates, seeds, len(specs), done, self._estimator.work(specs[0]))

    def seconds(self, *, num_workers: int) -> float | None:
        """About how long the runs that are left take; None for a model whose speed is not known yet.

        Where runs are finished, their seconds correct the estimate.
        """
        rows = self.table()
        measured = self._measured()
        if measured is None and not all(row.work.is_known for row in rows):
            return None
        left = sum((row.num_runs - row.num_done) * row.work.seconds for row in rows)
        num_left = sum(row.num_runs - row.num_done for row in rows)
        return left * (measured or 1.0) / max(1, min(num_workers, num_left))

    def _measured(self) -> float | None:
        """Seconds that finished runs took, over those estimated."""
        taken = expected = 0.0
        for name in self.wanted:
            choice = self.choice(name)
            specs = [spec for spec in self.tuning if spec.cell == name]
            if choice is not None:
                specs += reported_runs(self.plan, self.cells[name], learning_rate=choice.learning_rate)
            for spec in specs:
                cost = read_cost(self.runs_dir / spec.name)
                if cost is not None:
                    taken += cost["seconds"]
                    expected += self._estimator.work(spec).seconds
        return taken / expected if expected else None

    def adopt(self) -> int:
        """Take what other sweeps have finished, as far as it is known which runs are wanted; returns how many.

        Raises:
            DataError: Another sweep's folder, or a file of a finished run that is not as it was left.
        """
        self._claim()
        taken = sum(self._adopt(spec) for spec in self.tuning)
        for name in self.wanted:
            choice = self.choice(name)
            if choice is not None:
                specs = reported_runs(self.plan, self.cells[name], learning_rate=choice.learning_rate)
                taken += sum(self._adopt(spec) for spec in specs)
        return taken

    def _adopt(self, spec: RunSpec) -> bool:
        folder = self.runs_dir / spec.name
        return not is_done(folder, spec) and self._finished.adopt(spec, folder)

    def run(self, *, num_workers: int, over: str = "processes", progress: bool = True) -> None:
        """Make every run that is not made yet; stopped at any time, the same call goes on.

        Args:
            num_workers: Runs at a time.
            over: A key of ``OVER``: where they are made.
            progress: Show one bar over all runs on stderr.

        Raises:
            GmrError: A run failed; it is named, and the others stay as they are.
        """
        self.adopt()
        tasks = held_out_tasks(facts_of(self.plan.test))
        write_levels(levels_of(tasks, measure=self.plan.test.measure), self.folder)
        self._write_index()
        self._sweep_up()
        rows = self.table()
        num_left = sum(row.num_runs - row.num_done for row in rows)
        if num_left:
            with (
                OVER[over](min(num_workers, num_left)) as submit,
                SweepBar(
                    self.plan.name,
                    seconds=sum(row.num_runs * row.work.seconds for row in rows),
                    num_runs=sum(row.num_runs for row in rows),
                    is_shown=progress,
                ) as bar,
            ):
                self._run_all(submit, bar)
        self._write_index()

    def _run_all(self, submit: Submit, bar: SweepBar) -> None:
        state = _State()
        done_s = 0.0

        def start(specs: Sequence[RunSpec]) -> None:
            nonlocal done_s
            for spec in specs:
                if spec.name in state.started:
                    continue
                state.started.add(spec.name)
                folder = self.runs_dir / spec.name
                if is_done(folder, spec) or self._adopt(spec):
                    done_s += self._estimator.work(spec).seconds
                    bar.skip_to(done_s)
                    continue
                atomic_write_json(folder / SPEC, spec.to_json())
                state.pending[submit(folder)] = spec

        start(self.tuning)
        waiting = list(self.wanted)
        while waiting or state.pending:
            ready = [(name, self.choice(name)) for name in waiting]
            for name, choice in ready:
                if choice is not None:
                    waiting.remove(name)
                    start(reported_runs(self.plan, self.cells[name], learning_rate=choice.learning_rate))
            if any(choice is not None for _, choice in ready):
                self._write_index()
            before = len(state.pending)
            while state.pending and len(state.pending) == before:
                finished, _ = wait(state.pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    spec = state.pending.pop(future)
                    _tell_which(future, spec)
                    done_s += self._estimator.work(spec).seconds
                running = sum(self._seconds_of(spec) for spec in state.pending.values())
                bar.show(done_s + running, num_done=len(state.started) - len(state.pending))

    def _seconds_of(self, spec: RunSpec) -> float:
        """The seconds of a run that it has behind it, as estimated."""
        work = self._estimator.work(spec)
        steps = last_step(self.runs_dir / spec.name)
        return work.seconds * work.trained_share * steps / work.num_steps if work.num_steps else 0.0

    def _claim(self) -> None:
        """Make the folder, or make sure that it is this sweep's; keep the plan as it is used."""
        path = self.folder / PLAN
        if not path.exists() and self.folder.exists() and any(self.folder.iterdir()):
            raise DataError(f"{self.folder}: not empty and not the output of a sweep; name another --output")
        if path.exists():
            before = load_plan(path)
            if before.name != self.plan.name:
                raise DataError(
                    f"{self.folder} holds the sweep {before.name!r}, not {self.plan.name!r}; name another --output"
                )
            changed = [
                each.name for each in fields(Plan) if _of(before, each.name) != _of(self.plan, each.name)
            ]
            if changed:
                logger.warning(
                    "%s was made by a plan with another %s: runs that are in both are kept, and the report will be of "
                    "this one",
                    self.folder,
                    ", ".join(changed),
                )
        atomic_write_text(path, to_toml(self.plan))

    def _sweep_up(self) -> None:
        """Delete half-written files, and what a run that was killed after its signature left of its training."""
        delete_unfinished(self.folder)
        for folder in self.runs_dir.iterdir() if self.runs_dir.is_dir() else ():
            if (folder / DONE).is_file() and (folder / TRAINING).is_dir():
                shutil.rmtree(folder / TRAINING)

    def _write_index(self) -> None:
        """Keep which runs belong to the plan, and the rates that are chosen."""
        tuning = tuning_runs(self.plan, self.cells)
        choices = {name: choice for name in self.cells if (choice := self._choose(name, tuning)) is not None}
        reported = [
            spec
            for name, choice in choices.items()
            for spec in reported_runs(self.plan, self.cells[name], learning_rate=choice.learning_rate)
        ]
        write_index(self.folder, [*tuning, *reported])
        records = {
            name: {
                "learning_rate": choice.learning_rate,
                "tuned_as": choice.tuned_as,
                "dev": {str(rate): value for rate, value in choice.values.items()},
            }
            for name, choice in choices.items()
        }
        atomic_write_json(self.folder / CHOICES, records)


def _of(plan: Plan, name: str) -> object:
    """A section; the texts that a report quotes change nothing of what is run or compared."""
    return None if name in ("question", "about", "needs", "quick") else getattr(plan, name)


def _some_rate(cell: Cell) -> float | None:
    """A rate to build a recipe with before one is chosen."""
    return cell.learning_rates[0] if cell.learning_rates else None


def _check_recipe(plan: Plan, name: str, spec: RunSpec) -> None:
    """Build what of a recipe can be built without its model and data."""
    where = f"plan {plan.name!r}, cell {name!r}"
    try:
        recipe = load_config(spec.recipe, Recipe, where=where)
        check_names(recipe)
        recipe.objective.build()
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _tell_which(future: "Future[None]", spec: RunSpec) -> None:
    """Raise what a run raised, with its name in front."""
    try:
        future.result()
    except BrokenProcessPool as error:
        raise ModelError(
            f"run {spec.name}: its process was ended from outside; the same command goes on, with fewer --workers "
            "if memory ran out"
        ) from error
    except GmrError as error:
        raise type(error)(f"run {spec.name}: {error}") from error
    except Exception as error:
        # Ray gives an exception of its own that holds ours.
        cause = getattr(error, "cause", None)
        if isinstance(cause, GmrError):
            raise type(cause)(f"run {spec.name}: {cause}") from error
        raise
