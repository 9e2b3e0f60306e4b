"""How sure an effect of training is, when both the seeds of training and the queries of the test are samples.

The same queries are asked of every seed's model, so the two are crossed: an effect varies with the seed, with the
query, and with both together. Two levels, then. The outer one is the seeds. With as few as people can afford a
bootstrap of them is no help (three seeds have ten different means), so its draws come from Student's t with
one degree of freedom less than seeds, around the mean and as wide as the seeds' own means are spread. The inner one
is a bootstrap of the queries inside each task, the same queries for all seeds, as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmr.metrics.statistics import DRAWS_AT_ONCE, Interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """A mean over tasks, seeds and queries, and how sure it is.

    Attributes:
        interval: Mean and limits.
        p_value: Two-sided, of the same draws: how often they lie on the other side of zero.
        num_seeds: Training runs behind it. With one, nothing is said of the luck of training.
        seed_deviation: Standard deviation of the seeds' means; 0.0 for one seed.
    """

    interval: Interval
    p_value: float
    num_seeds: int
    seed_deviation: float


def crossed_effect(
    strata: Sequence[ArrayLike], *, confidence: float = 0.95, num_resamples: int = 10_000, seed: int = 0
) -> Effect:
    """Mean of the means of ``strata`` with its interval over seeds and queries.

    Args:
        strata: For each task ``(seeds, queries)`` values, or differences of two systems paired by both; the seeds
            are the same in all.
        confidence: Share of intervals that should hold the true mean, for new seeds and new queries of these tasks.
        num_resamples: Draws.
        seed: Of the generator.

    Raises:
        ValueError: There are no values, they are no such tables or not finite, or an option is out of range.

    Source: the two-way layout of variance components (Searle, Casella and McCulloch 1992); Owen 2007 on why a plain
    bootstrap of both ways counts what varies with both together more than once.
    """
    tables = [np.asarray(table, dtype=np.float64) for table in strata]
    _check(tables, confidence, num_resamples)
    num_seeds = tables[0].shape[0]
    mean = float(np.mean([table.mean() for table in tables]))
    by_seed = np.mean([table.mean(axis=1) for table in tables], axis=0)
    deviation = float(by_seed.std(ddof=1)) if num_seeds > 1 else 0.0
    generator = np.random.default_rng(seed)
    draws = mean + _own_share(tables) * _query_draws(tables, num_resamples, generator)
    if num_seeds > 1:
        draws += generator.standard_t(num_seeds - 1, num_resamples) * deviation / np.sqrt(num_seeds)
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Effect(Interval(mean, float(low), float(high)), _p_value(draws), num_seeds, deviation)


def _query_draws(tables: Sequence[Array], num: int, generator: np.random.Generator) -> Array:
    """Deviations ``(num,)`` of the mean when the queries of each task are drawn again."""
    total = np.zeros(num)
    for table in tables:
        values = table.mean(axis=0) - table.mean()
        rows = max(1, DRAWS_AT_ONCE // len(values))
        for start in range(0, num, rows):
            stop = min(start + rows, num)
            chosen = generator.integers(0, len(values), size=(stop - start, len(values)))
            total[start:stop] += values[chosen].mean(axis=1)
    return total / len(tables)


def _own_share(tables: Sequence[Array]) -> float:
    """By how much to shrink the queries' draws, so that what varies with seed and query together counts once.

    It makes the queries' means differ as well as the seeds', whose draws hold all of it.
    """
    num_seeds = tables[0].shape[0]
    if num_seeds == 1:
        return 1.0  # there are no draws of seeds that could hold it
    of_queries = of_both = 0.0
    for table in tables:
        num_queries = table.shape[1]
        if num_queries == 1:
            continue
        of_queries += table.mean(axis=0).var(ddof=1) / num_queries
        rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        freedom = (num_seeds - 1) * (num_queries - 1)
        of_both += float((rest**2).sum()) / freedom / (num_seeds * num_queries)
    return float(np.sqrt(max(0.0, 1 - of_both / of_queries))) if of_queries > 0 else 0.0


def _p_value(draws: Array) -> float:
    # Rounding must not make an effect of exactly nothing look like one.
    below, above = ((draws * sign >= -1e-12).sum() for sign in (-1, 1))
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(draws))))


def _check(tables: Sequence[Array], confidence: float, num_resamples: int) -> None:
    if not tables:
        raise ValueError("an effect needs at least one task")
    for table in tables:
        if table.ndim != 2 or table.size == 0 or table.shape[0] != tables[0].shape[0]:
            raise ValueError(
                f"values must be tables of (seeds, queries) with the same seeds, not {[t.shape for t in tables]}"
            )
        if not np.isfinite(table).all():
            raise ValueError("a value is not finite")
    if not 0 < confidence < 1 or num_resamples < 1:
        raise ValueError(
            f"confidence {confidence} is not between 0 and 1, or num_resamples {num_resamples} < 1"
        )
