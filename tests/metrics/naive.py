"""The measures written a second time, from their definitions, in plain Python without arrays or tables."""

import itertools
import math


def naive_measure(name: str, k: int | None, ranked: list[int], judged: list[int]) -> float:
    """The measure of one query from the grades in ranked order and the grades of everything judged."""
    first = ranked if k is None else ranked[:k]
    num_relevant = sum(grade >= 1 for grade in judged)
    if name in ("ndcg", "ndcg_exp"):
        best = sorted(judged, reverse=True) if k is None else sorted(judged, reverse=True)[:k]
        return _dcg(first, name) / _dcg(best, name)
    if name == "recall":
        return sum(grade >= 1 for grade in first) / num_relevant
    if name == "p":
        return sum(grade >= 1 for grade in first) / k
    if name == "hit":
        return 1.0 if any(grade >= 1 for grade in first) else 0.0
    if name == "rr":
        return next((1 / rank for rank, grade in enumerate(first, start=1) if grade >= 1), 0.0)
    if name == "ap":
        precisions = [
            sum(grade >= 1 for grade in first[:rank]) / rank
            for rank, grade in enumerate(first, start=1)
            if grade >= 1
        ]
        return math.fsum(precisions) / num_relevant
    raise AssertionError(name)


def mean_over_tie_orders(name: str, k: int | None, blocks: list[list[int]], judged: list[int]) -> float:
    """The mean of the measure over every order of every block of tied grades: its expectation, enumerated."""
    values = [
        naive_measure(name, k, list(itertools.chain.from_iterable(order)), judged)
        for order in itertools.product(*(list(itertools.permutations(block)) for block in blocks))
    ]
    return math.fsum(values) / len(values)


def _dcg(grades: list[int], name: str) -> float:
    gains = [max(grade, 0) if name == "ndcg" else 2 ** max(grade, 0) - 1 for grade in grades]
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
