"""A whole benchmark: pictures checked, models scored one after the other, results as a folder."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gmr.bench.assembly import assemble, refuse_incomplete
from gmr.bench.baselines import baseline_results
from gmr.bench.blocks import Shard
from gmr.bench.media import BadMedia, check_media, refuse_bad_media
from gmr.bench.recheck import SHARE, recheck
from gmr.bench.results import BenchResults, set_aside_if_damaged, write_results
from gmr.bench.runner import Bad, score_tasks, total_cost
from gmr.bench.store import ScoreStore
from gmr.bench.system import StoredSystem, System
from gmr.core.environment import source
from gmr.core.errors import DataError
from gmr.core.files import digest
from gmr.core.tasks import RerankTask
from gmr.core.trec import run_lines
from gmr.evaluation import TaskResult, evaluate_run
from gmr.evaluation.cost import Cost
from gmr.suites.baselines import CHANCE

logger = logging.getLogger(__name__)

STORE = "scores.sqlite"


@dataclass(frozen=True)
class Policy:
    """What happens to what cannot be scored, and how the store is trusted.

    Attributes:
        floors_bad_media: a pair with a picture that cannot be used takes the last place of its query and is counted;
            else nothing is scored before all pictures are right.
        floors_non_finite: the same for a pair to which the model gives no finite number.
        recheck_share: of the stored scores, to be computed again and compared; 0 for none.
        is_single_writer: do without file locks.
    """

    floors_bad_media: bool = False
    floors_non_finite: bool = False
    recheck_share: float = SHARE
    is_single_writer: bool = False


@dataclass(frozen=True)
class Bench:
    """What is run.

    Attributes:
        suite: its name in the results.
        tasks: with candidates.
        measures: the first is the main one; empty for each task's own.
        facts: how the tasks were chosen: split, limit, depth, data.
        policy: for what cannot be scored.
    """

    suite: str
    tasks: Sequence[RerankTask]
    measures: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        names = [task.name for task in self.tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"suite {self.suite}: the task {twice[0]!r} is there twice")
        if empty := [task.name for task in self.tasks if not any(task.first_stage.values())]:
            raise DataError(
                f"suite {self.suite}: {len(empty)} tasks have no candidates to rerank (first: {empty[0]!r}); "
                "gmr first-stage makes them"
            )
        if not self.tasks:
            raise DataError(f"suite {self.suite}: no task is left to run")


Load = Callable[[], System]
"""Makes a system when its turn comes, so that one model at a time is in memory."""


def check_pictures_of(bench: Bench, *, progress: bool = False) -> Bad:
    """What of each task cannot be shown to a model; under the policy to stop, an error if there is any.

    Raises:
        DataError: pictures are missing, damaged or too large, and the policy is to stop.
    """
    bad = {task.name: found for task in bench.tasks if (found := check_media(task, progress=progress))}
    if not bench.policy.floors_bad_media:
        refuse_bad_media(bad)
    for name, found in bad.items():
        logger.warning(
            "%s: %d queries and %d documents have pictures that cannot be used and take the last places",
            *(name, len(found.queries), len(found.documents)),
        )
    return bad


def run_shard(
    bench: Bench, systems: Sequence[Load], store_path: Path, shard: Shard, *, progress: bool = False
) -> int:
    """Score a part of the blocks into the store; the number of pairs that this part has."""
    bad = check_pictures_of(bench, progress=progress)
    num_pairs = 0
    with _store(bench, store_path) as store:
        for load in systems:
            system = load()
            num_pairs += score_tasks(
                system,
                bench.tasks,
                store,
                shard=shard,
                bad=bad,
                floors_bad_media=bench.policy.floors_bad_media,
                progress=progress,
            ).num_pairs
    return num_pairs


def run_bench(
    bench: Bench,
    systems: Sequence[Load],
    output: Path,
    *,
    store_path: Path | None = None,
    bad: Bad | None = None,
    progress: bool = False,
) -> BenchResults:
    """Results of baselines and systems, also written to ``output``; what the store has is not computed again.

    Args:
        bench: what to run.
        systems: models, in the order of the tables.
        output: folder of the results.
        store_path: of the scores; ``scores.sqlite`` in ``output`` when not given.
        bad: what is known to have pictures of no use; looked for when not given.
        progress: whether to show bars on stderr.

    Raises:
        DataError: bad pictures, a store that lies or cannot be written, scores that are not finite.
    """
    if aside := set_aside_if_damaged(output):
        logger.warning("the results there were damaged: moved to %s, and made anew", aside)
    bad = check_pictures_of(bench, progress=progress) if bad is None else bad
    results: dict[str, Sequence[TaskResult]] = dict(
        baseline_results(bench.tasks, bench.measures or None, with_pixels=not bad)
    )
    costs: dict[str, dict[str, Cost]] = {}
    facts: dict[str, dict[str, str]] = {name: {} for name in results}
    checks: dict[str, Any] = {}
    floored: dict[str, dict[str, Any]] = {}
    with _store(bench, store_path or output / STORE) as store:
        for load in systems:
            system = load()
            if system.name in results:
                raise DataError(f"two systems are called {system.name!r}")
            if bench.policy.recheck_share and not isinstance(system, StoredSystem):
                found = recheck(
                    system, bench.tasks, store, share=bench.policy.recheck_share, bad=bad, progress=progress
                )
                if found.num_checked:
                    checks[system.name] = asdict(found)
                    logger.info(
                        "%s: %d of %d stored scores were computed again and agree (largest difference %.1e)",
                        *(system.name, found.num_checked, found.num_stored, found.largest_difference),
                    )
            score_tasks(
                system,
                bench.tasks,
                store,
                bad=bad,
                floors_bad_media=bench.policy.floors_bad_media,
                progress=progress,
            )
            of_system = []
            for task in bench.tasks:
                assembled = assemble(system, task, store, bad=bad.get(task.name))
                refuse_incomplete(
                    assembled,
                    system=system.name,
                    task=task.name,
                    floors_non_finite=bench.policy.floors_non_finite,
                )
                of_system.append(evaluate_run(assembled.run, task, measures=bench.measures or None))
                if assembled.bad_media or assembled.non_finite:
                    floored.setdefault(system.name, {})[task.name] = {
                        "bad_media": len(assembled.bad_media),
                        "non_finite": len(assembled.non_finite),
                    }
            results[system.name] = of_system
            facts[system.name] = dict(system.facts)
            costs[system.name] = {task.name: total_cost(system, task, store) for task in bench.tasks}
    record = BenchResults(
        suite=bench.suite,
        measures=bench.measures,
        results=results,
        tasks={task.name: task_facts(task, bad.get(task.name)) for task in bench.tasks},
        systems=facts,
        costs=costs,
        facts={**bench.facts, "policy": asdict(bench.policy), "floored": floored},
        environment=source(),
    )
    write_results(record, output, orderless=(CHANCE,))
    return record


def task_facts(task: RerankTask, bad: BadMedia | None = None) -> dict[str, Any]:
    """What a result must say of its task: type, measure, counts, and the digest of the first stage."""
    sizes = [len(scores) for scores in task.first_stage.values()]
    lines = "\n".join(run_lines(task.first_stage)).encode()
    return {
        "task_type": task.task_type,
        "measure": task.measure,
        "num_queries": len(task.queries),
        "num_documents": len(task.corpus),
        "num_candidates": {"least": min(sizes), "most": max(sizes), "all": sum(sizes)},
        "first_stage_sha256": digest(lines),
        "num_bad_media": {"queries": len(bad.queries), "documents": len(bad.documents)} if bad else {},
    }


def _store(bench: Bench, path: Path) -> ScoreStore:
    return ScoreStore(path, is_single_writer=bench.policy.is_single_writer)
