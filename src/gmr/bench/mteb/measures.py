"""Measures by mteb's names (``ndcg_at_10``) and by ours (``ndcg@10``)."""

import re

from gmr.core.errors import DataError
from gmr.metrics.measures import Measure, parse_measure

# All of them are trec_eval's, on the same judgments, with linear gains.
THEIR_NAMES = {
    "ndcg": "ndcg",
    "ap": "map",
    "rr": "mrr",
    "recall": "recall",
    "p": "precision",
    "hit": "hit_rate",
}
OUR_NAMES = {theirs: ours for ours, theirs in THEIR_NAMES.items()}


def to_mteb(measure: str | Measure) -> str | None:
    """What mteb calls a measure; None for those that it does not compute (no cutoff, other gains)."""
    measure = parse_measure(measure)
    theirs = THEIR_NAMES.get(measure.name)
    return f"{theirs}_at_{measure.k}" if theirs and measure.k else None


def from_mteb(name: str) -> str | None:
    """Our spelling of one of mteb's scores; None for what we do not compute, such as ``p-MRR``."""
    found = re.fullmatch(r"([a-z_]+)_at_([1-9][0-9]*)", name)
    if found and (ours := OUR_NAMES.get(found[1])):
        return f"{ours}@{found[2]}"
    return None


def main_measure(name: str, *, where: str) -> str:
    """Our spelling of a task's main score.

    Raises:
        DataError: It is none of our measures.
    """
    # mteb's accuracy is recall@1, of tasks with one right answer to each query.
    measure = "recall@1" if name == "accuracy" else from_mteb(name)
    if measure is None:
        raise DataError(f"{where}: the main score {name!r} is none of gmr's measures; give measure='ndcg@10'")
    return measure
