"""The files of a probe: the summary as JSON, candidates line by line, tables in Markdown, a page."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from gmr.core.errors import DataError
from gmr.core.files import (
    atomic_write_json,
    atomic_write_jsonl,
    atomic_write_text,
    parse_json_object,
    read_jsonl,
    read_text,
)
from gmr.metrics.statistics import Interval
from gmr.probe.gradients.page import gradients_page
from gmr.probe.gradients.results import (
    FORMAT,
    Candidate,
    CandidateGradient,
    GradientReport,
    GradientStudy,
    ObjectiveSummary,
    PairSummary,
    PartGradient,
)
from gmr.probe.gradients.tables import markdown, tables_of

SUMMARY, CANDIDATES, TABLES, PAGE = (
    "gradients.json",
    "candidates.jsonl",
    "gradients.md",
    "gradients.html",
)


def write_study(study: GradientStudy, folder: Path) -> None:
    """Write all files to ``folder``, each whole or not at all; it is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_jsonl(folder / CANDIDATES, (line for report in study.reports for line in report.lines()))
    atomic_write_text(folder / TABLES, markdown(tables_of(study)))
    atomic_write_text(folder / PAGE, gradients_page(study))
    atomic_write_json(folder / SUMMARY, study.to_dict())


def read_study(folder: Path) -> GradientStudy:
    """What `write_study` wrote.

    Raises:
        DataError: a file is missing, or not as it was written.
    """
    path = folder / SUMMARY
    content = parse_json_object(read_text(path), where=str(path))
    if content.get("format") != FORMAT:
        raise DataError(f"{path}: format {content.get('format')!r}, this version reads {FORMAT}")
    lines = (record for _, record in read_jsonl(folder / CANDIDATES))
    try:
        reports = tuple(_report(record, lines) for record in content["reports"])
        return GradientStudy(content["data"], content["settings"], content["environment"], reports)
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: not as gmr probe gradients wrote it ({error})") from None


def _report(record: dict[str, Any], lines: Iterator[dict[str, Any]]) -> GradientReport:
    expected = sum(record["kinds"].values())
    candidates = tuple(_candidate(line) for line in islice(lines, expected))
    if len(candidates) != expected:
        raise KeyError(f"{CANDIDATES} has {len(candidates)} of {expected} candidates of {record['model']}")
    return GradientReport(
        **record
        | {
            "objectives": tuple(_objective(each) for each in record["objectives"]),
            "pairs": tuple(_pair(each) for each in record["pairs"]),
            "parts": tuple(
                PartGradient(**each | {"cosines": tuple(map(tuple, each["cosines"]))})
                for each in record["parts"]
            ),
        },
        candidates=candidates,
    )


def _intervals(values: Mapping[str, Mapping[str, float]]) -> dict[str, Interval]:
    return {name: Interval(**value) for name, value in values.items()}


def _pair(record: dict[str, Any]) -> PairSummary:
    return PairSummary(**record | {"difference": _intervals(record["difference"])})


def _objective(record: dict[str, Any]) -> ObjectiveSummary:
    return ObjectiveSummary(
        **record
        | {
            "mean_weight": _intervals(record["mean_weight"]),
            "share": _intervals(record["share"]),
            "quarter_share": tuple(record["quarter_share"]),
            "net_weight": Interval(**record["net_weight"]),
        }
    )


def _candidate(line: dict[str, Any]) -> Candidate:
    fields = {name: value for name, value in line.items() if name not in ("model", "step")}
    gradients = {name: CandidateGradient(**value) for name, value in fields.pop("gradients").items()}
    return Candidate(**fields, gradients=gradients)
