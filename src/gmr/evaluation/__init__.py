"""Scorer, task and judgments to measures; systems to tables with intervals and paired tests."""

from gmr.evaluation.comparison import (
    Comparison,
    SummaryRow,
    compare,
    compare_systems,
    comparison_table,
    summarise,
    summary_table,
)
from gmr.evaluation.results import TaskResult, evaluate_run, evaluate_task, rerank_run

__all__ = [
    "Comparison",
    "SummaryRow",
    "TaskResult",
    "compare",
    "compare_systems",
    "comparison_table",
    "evaluate_run",
    "evaluate_task",
    "rerank_run",
    "summarise",
    "summary_table",
]
