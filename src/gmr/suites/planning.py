"""How things that are asked become the plan of a task, and what the tasks of a split are called."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gmr.suites.pieces import Pieces, Plan, Search


class SplitScope(Protocol):
    """What a plan takes from the scope of a split."""

    @property
    def split(self) -> str:
        """The split's name."""

    @property
    def max_depth(self) -> int:
        """Candidates of a query, at most."""


ScopeT = TypeVar("ScopeT", bound=SplitScope)


@dataclass(frozen=True)
class PlanMaker(Generic[ScopeT]):
    """A task before a split is chosen; ``make`` takes the split's scope and the task's name."""

    task_type: str
    make: Callable[[ScopeT, str], Plan]


@dataclass(frozen=True)
class Asked:
    """One query: what it is called within its task, its pieces, the documents that answer it, and facts."""

    name: str
    pieces: Pieces
    relevant: tuple[str, ...]
    facts: Mapping[str, str]


def full_name(name: str, split: str) -> str:
    """What a task of a split is called: after the split as well, where it is not ``test``."""
    return name if split == "test" else f"{name}-{split}"


def language_name(stem: str, language: str) -> str:
    """What a task in one language is called: after the language as well, where it is not English."""
    return stem if language == "en" else f"{stem}-{language}"


def split_types(makers: Mapping[str, PlanMaker[Any]], split: str) -> dict[str, str]:
    """Task type by full name of the tasks of a split."""
    return {full_name(name, split): maker.task_type for name, maker in makers.items()}


def make_plans(makers: Mapping[str, PlanMaker[ScopeT]], scope: ScopeT) -> list[Plan]:
    """The plans of a scope's split in the order of their makers, those without any query left out."""
    made = [maker.make(scope, name) for name, maker in makers.items()]
    return [plan for plan in made if plan.search.queries]


def make_plan(
    scope: SplitScope,
    name: str,
    task_type: str,
    instruction: str,
    asked: Iterable[Asked],
    *,
    documents: Mapping[str, Pieces],
    depth: int = 50,
    by_parts: bool = False,
) -> Plan:
    """A plan of the queries that some document answers.

    Args:
        scope: the split.
        name: of the task in the split ``test``, the suite's name first: ``emoji-t2t-en-zh``.
        task_type: one of the nine.
        instruction: one sentence that says what relevance means.
        asked: queries; their ids say the task without the suite, then their names.
        documents: document id -> pieces.
        depth: candidates of a query, at most; so is the scope's.
        by_parts: as in `Search`.
    """
    _, _, short = name.partition("-")
    rows = {f"{short}:{query.name}": query for query in asked if query.relevant}
    return Plan(
        name=full_name(name, scope.split),
        task_type=task_type,
        instruction=instruction,
        search=Search(
            queries={query_id: query.pieces for query_id, query in rows.items()},
            documents=documents,
            depth=min(depth, scope.max_depth),
            by_parts=by_parts,
        ),
        relevant={query_id: query.relevant for query_id, query in rows.items()},
        metadata={query_id: query.facts for query_id, query in rows.items()},
    )
