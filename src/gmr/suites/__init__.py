"""Data sets as tables of rerank tasks; ``glyphs`` is embedded and needs no download."""

from gmr.suites.catalogue import SUITES, load, splits, training_set

__all__ = ["SUITES", "load", "splits", "training_set"]
