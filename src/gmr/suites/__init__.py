"""Data sets as tables of rerank tasks; ``glyphs`` is embedded and needs no download."""

from gmr.suites.catalogue import CATALOGUE, SUITES, Suite, load, splits, task_names, task_types, training_set

__all__ = ["CATALOGUE", "SUITES", "Suite", "load", "splits", "task_names", "task_types", "training_set"]
