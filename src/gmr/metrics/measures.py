"""Measures as values that print as they are parsed (``ndcg@10``), and their values per query."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gmr.core.errors import DataError
from gmr.core.nouns import Qrels, Run
from gmr.metrics import formulas, ties
from gmr.metrics.formulas import Gains
from gmr.metrics.order import canonical_order, tie_sizes


@dataclass(frozen=True)
class Formula:
    """What a measure is made of.

    Attributes:
        title: The name as printed in papers.
        gain: Grades to gains, elementwise.
        value: Gains in ranked order, gains of all relevant documents, and ``k``, to the measure.
        expected: The same with the sizes of the tie blocks, to the expectation under random order inside
            them; ``None`` where the measure is linear in the gains, so that their block means give it.
        needs_cutoff: Whether the measure means nothing without ``k``.
    """

    title: str
    gain: Callable[[Gains], Gains]
    value: Callable[..., float]
    expected: Callable[..., float] | None = None
    needs_cutoff: bool = False


MEASURES: dict[str, Formula] = {
    "ndcg": Formula("nDCG", formulas.linear_gain, formulas.ndcg),
    "ndcg_exp": Formula("nDCG-exp", formulas.exponential_gain, formulas.ndcg),
    "recall": Formula("Recall", formulas.binary_gain, formulas.recall, needs_cutoff=True),
    "p": Formula("P", formulas.binary_gain, formulas.precision, needs_cutoff=True),
    "hit": Formula("Hit", formulas.binary_gain, formulas.hit, ties.expected_hit, needs_cutoff=True),
    "rr": Formula("RR", formulas.binary_gain, formulas.reciprocal_rank, ties.expected_reciprocal_rank),
    "ap": Formula("AP", formulas.binary_gain, formulas.average_precision, ties.expected_average_precision),
}
# What other tools call them: suggested, never accepted, so that a measure has one name in every file.
OTHER_NAMES = {
    "map": "ap",
    "map_cut": "ap",
    "mrr": "rr",
    "recip_rank": "rr",
    "ndcg_cut": "ndcg",
    "precision": "p",
    "success": "hit",
    "hitrate": "hit",
    "r": "recall",
}


@dataclass(frozen=True)
class Measure:
    """A measure by name and cutoff; ``str(measure)`` is what ``parse_measure`` reads."""

    name: str
    k: int | None = None

    def __post_init__(self) -> None:
        if self.name not in MEASURES:
            raise ValueError(_unknown(self.name, self.k))
        if self.k is None and MEASURES[self.name].needs_cutoff:
            raise ValueError(f"measure {self.name!r} needs a cutoff, for example '{self.name}@10'")
        if self.k is not None and self.k < 1:
            raise ValueError(f"measure '{self}' has cutoff {self.k}; the least is 1")

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def title(self) -> str:
        """The name as printed in papers, such as ``nDCG@10``."""
        title = MEASURES[self.name].title
        return title if self.k is None else f"{title}@{self.k}"


def parse_measure(text: str | Measure) -> Measure:
    """The measure that ``text`` names, such as ``ndcg@10``, ``nDCG@10`` or ``ap``.

    Raises:
        ValueError: The name is unknown, or the cutoff is not a positive integer or is missing where needed.
    """
    if isinstance(text, Measure):
        return text
    name, at, cutoff = text.strip().lower().partition("@")
    if at and not re.fullmatch(r"[0-9]+", cutoff):
        raise ValueError(f"measure {text!r}: {cutoff!r} is not a cutoff; write '{name}@10'")
    return Measure(name, int(cutoff) if at else None)


def evaluate(
    run: Run, qrels: Qrels, measures: Iterable[str | Measure], *, expected_under_ties: bool = False
) -> dict[str, dict[str, float]]:
    """Every measure for every query of ``qrels`` that has a relevant document.

    A query that the run does not answer counts 0.0, so the mean over the values has the denominator of the
    judgments, not of the run. Queries of the run without judgments are left out: ``count_coverage`` has them.

    Args:
        run: Query id to document id to score.
        qrels: Query id to document id to grade; relevant from 1 upwards.
        measures: Such as ``["ndcg@10", "rr@10"]``.
        expected_under_ties: Give the exact expectation under uniformly random order among equal scores,
            instead of the value in the canonical order.

    Returns:
        Measure to query id to value, queries in the order of ``qrels``.

    Raises:
        DataError: No query has a relevant document, or a score is not finite.
        ValueError: A measure is unknown.
    """
    wanted = {str(measure): measure for measure in map(parse_measure, measures)}
    values: dict[str, dict[str, float]] = {name: {} for name in wanted}
    for query_id in judged_queries(qrels):
        scores, judged = run.get(query_id, {}), qrels[query_id]
        order = canonical_order(scores, where=f"query {query_id!r}")
        grades = np.array([judged.get(doc_id, 0) for doc_id in order], dtype=np.float64)
        sizes = tie_sizes(scores, order) if expected_under_ties else None
        for name, measure in wanted.items():
            values[name][query_id] = measure_grades(measure, grades, judged, sizes=sizes)
    return values


def measure_grades(
    measure: Measure, grades: Gains, judged: Mapping[str, int], *, sizes: ties.Sizes | None = None
) -> float:
    """The measure of one query from its grades in ranked order; its expectation when ``sizes`` is given.

    Args:
        measure: What to compute.
        grades: ``(documents,)`` float64, in ranked order.
        judged: Document id to grade, of all judged documents.
        sizes: ``(blocks,)`` int64, the sizes of the blocks of equal scores along ``grades``.
    """
    formula = MEASURES[measure.name]
    gains = formula.gain(grades)
    relevant = formula.gain(np.array(sorted(judged.values(), reverse=True), dtype=np.float64))
    relevant = relevant[relevant > 0]
    if sizes is None:
        return formula.value(gains, relevant, k=measure.k)
    if formula.expected is None:
        return formula.value(ties.block_means(gains, sizes), relevant, k=measure.k)
    return formula.expected(gains, relevant, sizes, k=measure.k)


def judged_queries(qrels: Qrels) -> list[str]:
    """Ids of the queries with a relevant document: the denominator of every mean.

    Raises:
        DataError: There is none.
    """
    query_ids = [
        query_id for query_id, judged in qrels.items() if any(grade >= 1 for grade in judged.values())
    ]
    if not query_ids:
        raise DataError(f"none of the {len(qrels)} judged queries has a relevant document (grade 1 or more)")
    return query_ids


def _unknown(name: str, k: int | None) -> str:
    """The error message for an unknown measure, with the nearest known one."""
    bare, digits = re.fullmatch(r"(.*?)(?:_at)?_?([0-9]*)", name, flags=re.DOTALL).groups()  # type: ignore[union-attr]
    cutoff = str(k or digits or "")
    name = name if k is None else f"{name}@{k}"
    nearest = difflib.get_close_matches(bare, [*MEASURES, *OTHER_NAMES], n=1)
    if not nearest:
        return f"unknown measure {name!r}; there are {', '.join(MEASURES)}, with a cutoff such as ndcg@10"
    known = OTHER_NAMES.get(nearest[0], nearest[0])
    if MEASURES[known].needs_cutoff:
        cutoff = cutoff or "10"
    return f"unknown measure {name!r}: did you mean '{known}{'@' if cutoff else ''}{cutoff}'?"
