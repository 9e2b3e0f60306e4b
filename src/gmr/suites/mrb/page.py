"""The tables of ``docs/mrb.md``, made of ``mrb.toml`` so that the page cannot fall behind it."""

from collections.abc import Sequence

from gmr.core.nouns import TASK_TYPES, display_type
from gmr.metrics.measures import parse_measure
from gmr.metrics.tables import compact_markdown_table
from gmr.suites.mrb.rules import reason_left_out
from gmr.suites.mrb.spec import SpecFile, TaskSpec, read_specs

HEADER = (
    "type",
    "set",
    "data set",
    "queries",
    "documents",
    "relevant",
    "measure",
    "UMRB's",
    "licence",
    "mini",
)
BEGIN, END = "<!-- begin: made of mrb.toml -->", "<!-- end -->"


def page_tables(page: SpecFile | None = None) -> str:
    """Markdown: the sets of UMRB by type, those that ``mrb-open`` leaves out with the reason, and the extra ones."""
    page = page or read_specs()
    umrb = [page.tasks[name] for name in page.suites["mrb-umrb"].tasks]
    extra = [page.tasks[name] for name in page.tasks if name not in page.suites["mrb-umrb"].tasks]
    taken = [spec for spec in umrb if reason_left_out(spec) is None]
    left_out = [spec for spec in umrb if reason_left_out(spec) is not None]
    mini = page.suites["mrb-open-mini"].tasks
    reasons = [[spec.name, reason_left_out(spec) or ""] for spec in left_out]
    return "\n\n".join(
        [
            f"**`mrb-open`: {len(taken)} sets.**",
            _markdown(HEADER, _rows(taken, mini)),
            f"**Left out of it, and in `mrb-umrb`: {len(left_out)} sets.**",
            _markdown(HEADER[:-1], [row[:-1] for row in _rows(left_out, mini)]),
            _markdown(("set", "why"), reasons),
            f"**Beyond the {len(umrb)}: {len(extra)} sets** (suite `vidore-v2-en`).",
            _markdown(HEADER[:-1], [row[:-1] for row in _rows(extra, mini)]),
            f"Unpinned: {', '.join(spec.name for spec in (*umrb, *extra) if not spec.is_pinned) or 'none'}.",
        ]
    )


def _rows(specs: Sequence[TaskSpec], mini: Sequence[str]) -> list[list[str]]:
    by_type = sorted(
        specs, key=lambda spec: TASK_TYPES.index(spec.task_type)
    )  # stable: else the file's order
    return [
        [
            display_type(spec.task_type),
            f"`{spec.name}`",
            spec.origins[""].dataset or "" if not spec.parts else f"{len(spec.parts)} parts",
            *(_number(count) for count in (spec.num_queries, spec.num_documents, spec.num_relevant)),
            parse_measure(spec.measure).title,
            "" if spec.umrb_measure is None else parse_measure(spec.umrb_measure).title,
            spec.licence,
            "✓" if spec.name in mini else "",
        ]
        for spec in by_type
    ]


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return compact_markdown_table(header, rows, right=HEADER[3:6]).rstrip()
