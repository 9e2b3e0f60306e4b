"""A benchmark's report as JSON: every number it shows, and of the queries ids instead of pictures."""

from dataclasses import asdict
from typing import Any

from gmr.reports.benchmark.contents import BenchmarkReport, Case

# Changed when a key changes its meaning or goes away.
FORMAT = 1


def to_dict(report: BenchmarkReport) -> dict[str, Any]:
    """The report as JSON can hold it; the values are those of the dataclasses, under their names."""
    shown = {name: value for name, value in vars(report).items() if name not in ("cases", "unordered")}
    record = {name: _plain(value) for name, value in shown.items()}
    record["unordered"] = sorted(report.unordered)
    record["cases"] = [_case(case) for case in report.cases]
    return {"format": FORMAT, **record}


def _plain(value: Any) -> Any:
    """Dataclasses as objects and tuples as lists, as deep as they go."""
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _case(case: Case) -> dict[str, Any]:
    rankings = {
        system: [
            {
                "rank": place.rank,
                "doc_id": place.doc_id,
                "score": place.score,
                "first_stage_rank": place.first_stage_rank,
                "grade": place.grade,
            }
            for place in places
        ]
        for system, places in case.places.items()
    }
    return {
        "task": case.task,
        "query_id": case.query.query_id,
        "kinds": list(case.kinds),
        "facts": dict(case.facts),
        "values": dict(case.values),
        "num_relevant": case.num_relevant,
        "num_candidates": case.num_candidates,
        "rankings": rankings,
    }
