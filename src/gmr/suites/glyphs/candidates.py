"""Hard candidates: same block, same name words, near in pixels, what a careless model would take."""

from collections.abc import Sequence

from gmr.suites.glyphs.characters import Character
from gmr.suites.glyphs.neighbours import Neighbours
from gmr.suites.glyphs.queries import QueryPlan, shuffled

NUM_CANDIDATES = 20
NUM_PER_KIND = 6


def is_candidate(row: Character, plan: QueryPlan, target: Character) -> bool:
    """Whether a character may stand beside the answer: no look-alike of it, and drawn by the same face."""
    return row.lookalikes != target.lookalikes and (plan.face is None or plan.face in row.faces)


def choose_candidates(
    plan: QueryPlan, target: Character, traps: Sequence[Character], neighbours: Neighbours, key: str
) -> list[str]:
    """Document ids of the candidates of one query: the answer and at most ``NUM_CANDIDATES - 1`` others."""
    chosen: dict[str, None] = {plan.answer: None}
    for trap in traps:
        if is_candidate(trap, plan, target):
            chosen.setdefault(plan.make(trap.code_point))
    for extra in plan.extra:
        chosen.setdefault(extra)
    for near in (neighbours.by_block, neighbours.by_words, neighbours.by_pixels):
        taken = 0
        for row in near(target.code_point):
            if taken == NUM_PER_KIND or len(chosen) == NUM_CANDIDATES:
                break
            if is_candidate(row, plan, target) and (doc_id := plan.make(row.code_point)) not in chosen:
                chosen[doc_id] = None
                taken += 1
    for row in shuffled(neighbours.rows, key, "fill", target.code_point):
        if len(chosen) == NUM_CANDIDATES:
            break
        if is_candidate(row, plan, target):
            chosen.setdefault(plan.make(row.code_point))
    return list(chosen)
