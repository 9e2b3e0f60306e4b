"""The learning rate of a cell: the one whose runs do best on the development tasks, by the same budget for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gmr.probe.sweep.cells import Cell
from gmr.probe.sweep.files import read_result
from gmr.probe.sweep.runs import RunSpec, lone_rate


@dataclass(frozen=True)
class Choice:
    """What was chosen, and from what.

    Attributes:
        cell: Name of the cell.
        learning_rate: The rate; None where the recipe's own was taken unasked.
        values: Rate to mean on the development tasks, over the tuning seeds; None where a run diverged.
        tuned_as: The cell that it was chosen for; None for this one.
    """

    cell: str
    learning_rate: float | None
    values: Mapping[float, float | None]
    tuned_as: str | None = None

    @property
    def is_at_edge(self) -> bool:
        """Whether it is the smallest or largest of at least three: a better one may lie beyond.

        Of two rates every choice is at an edge, which is nothing to flag.
        """
        return len(self.values) > 2 and self.learning_rate in (min(self.values), max(self.values))


def choose(
    cells: Mapping[str, Cell],
    name: str,
    tuning: Sequence[RunSpec],
    *,
    seeds: Sequence[int],
    runs_dir: Path,
) -> Choice | None:
    """The choice of a cell; None while a tuning run is missing.

    Where several rates do equally well it is the smallest; where all diverge it is, too.

    Args:
        cells: All cells.
        name: Of the one.
        tuning: The runs that choose, of all cells, as far as they are known.
        seeds: With which every rate has to be tried.
        runs_dir: Where their directories are.
    """
    cell = cells[name]
    if cell.tuned_as is not None:
        found = choose(cells, cell.tuned_as, tuning, seeds=seeds, runs_dir=runs_dir)
        return found and Choice(name, found.learning_rate, found.values, cell.tuned_as)
    if not cell.is_tuned:
        return Choice(name, lone_rate(cell), {})
    values: dict[float, list[float | None]] = {}
    for spec in tuning:
        if spec.cell != name:
            continue
        result = read_result(runs_dir / spec.name, spec)
        if result is None or spec.learning_rate is None:
            return None
        values.setdefault(spec.learning_rate, []).append(result.dev)
    if {rate: len(row) for rate, row in values.items()} != dict.fromkeys(cell.learning_rates, len(seeds)):
        return None
    means = {rate: _mean(row) for rate, row in values.items()}
    best = max(means, key=lambda rate: (-1.0 if means[rate] is None else float(means[rate] or 0.0), -rate))
    return Choice(name, best, means)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
