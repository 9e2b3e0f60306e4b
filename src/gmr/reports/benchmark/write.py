"""A benchmark's report as files."""

from pathlib import Path

from gmr.core.files import atomic_write_json, atomic_write_text
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.reports.benchmark.latex import to_latex
from gmr.reports.benchmark.page import benchmark_page
from gmr.reports.benchmark.records import to_dict
from gmr.reports.benchmark.texts import to_csv, to_markdown


def write_report(report: BenchmarkReport, folder: Path) -> None:
    """Write ``report.html``, ``.md``, ``.tex``, ``.json`` and ``.csv``, each whole or not at all.

    The same report gives the same bytes: nothing of the moment of writing is in them.

    Raises:
        DataError: The folder cannot be written.
    """
    atomic_write_text(folder / "report.html", benchmark_page(report))
    atomic_write_text(folder / "report.md", to_markdown(report))
    atomic_write_text(folder / "report.tex", to_latex(report))
    atomic_write_text(folder / "report.csv", to_csv(report))
    atomic_write_json(folder / "report.json", to_dict(report))
