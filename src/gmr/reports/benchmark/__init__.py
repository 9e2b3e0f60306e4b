"""A benchmark's results as one value, and that value as a page, tables and files."""

from gmr.reports.benchmark.build import build_benchmark_report
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.reports.benchmark.write import write_report

__all__ = ["BenchmarkReport", "build_benchmark_report", "write_report"]
