"""Measures, ties and statistics: pure mathematics on runs and judgments, per query first, without torch."""
