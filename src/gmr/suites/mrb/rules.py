"""The rules by which the suites of ``mrb.toml`` are chosen, computed from the facts in its tables."""

from collections.abc import Sequence

from gmr.suites.mrb.spec import TaskSpec

CEILING = 90.0
MIN_RELEVANT = 200


def reason_left_out(spec: TaskSpec) -> str | None:
    """Why ``mrb-open`` leaves a set out; None when it takes it.

    A first stage at the ceiling leaves nothing to rerank (the published MRB leaves such sets out as well, by a limit
    that is not known); on very few relevant documents two rerankers can hardly be told apart.
    """
    if spec.published is not None and spec.published >= CEILING:
        return f"published first stage {spec.published:.1f} ≥ {CEILING:.0f}"
    if spec.num_relevant is not None and spec.num_relevant < MIN_RELEVANT:
        return f"{spec.num_relevant} relevant judgments < {MIN_RELEVANT}"
    return None


def open_suite(specs: Sequence[TaskSpec]) -> list[str]:
    """Names of the sets that ``mrb-open`` takes, in the given order."""
    return [spec.name for spec in specs if reason_left_out(spec) is None]


def mini_suite(specs: Sequence[TaskSpec]) -> list[str]:
    """Names of the sets of ``mrb-open-mini``: of each type the smallest corpus, of four or more sets the two."""
    taken: set[str] = set()
    for task_type in {spec.task_type for spec in specs}:
        alike = [spec for spec in specs if spec.task_type == task_type]
        smallest = sorted(alike, key=lambda spec: (spec.num_documents or 0, spec.name))
        taken.update(spec.name for spec in smallest[: 2 if len(alike) >= 4 else 1])
    return [spec.name for spec in specs if spec.name in taken]
